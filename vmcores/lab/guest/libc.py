# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of the C library that Python does not have. Each raises OSError on failure."""

from __future__ import annotations

import ctypes
import os

__all__ = ("checked", "libc", "mount", "setns")

CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """Return the result of a call, or raise what errno says."""
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def setns(fd: int) -> None:
    """Enter the network namespace of a descriptor."""
    checked(libc.setns(fd, CLONE_NEWNET))


def mount(kind: str, place: str, flags: int = 0) -> None:
    """Mount a file system that needs no device."""
    name = kind.encode()
    checked(libc.mount(name, os.fsencode(place), name, flags, None))
