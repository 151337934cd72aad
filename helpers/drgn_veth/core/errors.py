# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong while reading a kernel, in one place."""

import struct
from typing import Callable, TypeVar, Union

import drgn

from .unreadable import Unreadable

__all__ = (
    "READ_ERRORS",
    "UNEXPECTED_TYPE",
    "WalkError",
    "attempt",
    "is_read_error",
    "reason",
)

UNEXPECTED_TYPE = "TypeError"

T = TypeVar("T")


class WalkError(ValueError):
    """A list in kernel memory that does not lead back to its head."""


# What a reader raises if memory, types or symbols are not as expected. OSError: the
# dump is truncated. TypeError: a member has another type in this kernel. struct.error:
# data of another length.
READ_ERRORS: tuple[type[BaseException], ...] = (
    drgn.FaultError,
    drgn.ObjectAbsentError,
    LookupError,
    AttributeError,
    ValueError,
    OverflowError,
    TypeError,
    NotImplementedError,
    OSError,
    struct.error,
)


def is_read_error(error: BaseException) -> bool:
    """Return whether an exception means that something could not be read."""
    # drgn raises a plain Exception if it has no class for an error, such as one of
    # libkdumpfile. Some of its classes are newer than the oldest drgn that we support.
    kind = type(error)
    return (
        kind is Exception
        or kind.__module__ == "_drgn"
        or isinstance(error, READ_ERRORS)
    )


def reason(error: BaseException) -> str:
    """Return in one line why a value could not be read."""
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    else:
        text = str(error)
    if isinstance(error, TypeError):
        # If the kernel's types are as expected, this is a bug of ours: tests look for
        # this word.
        text = f"{UNEXPECTED_TYPE}: {text}"
    # drgn and libkdumpfile may put several lines into one message.
    text = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return text or type(error).__name__


def attempt(read: Callable[..., T], *args: object) -> Union[T, Unreadable]:
    """
    Return what *read* returns, or why reading failed. An unreadable argument is
    returned as it is.
    """
    if Unreadable in map(type, args):
        return next(value for value in args if isinstance(value, Unreadable))
    try:
        return read(*args)
    except Exception as e:
        if is_read_error(e):
            return Unreadable(reason(e))
        raise
