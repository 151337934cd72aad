# SPDX-License-Identifier: LGPL-2.1-or-later
"""The placeholder for a value that could not be read."""

from typing import TypeVar, Union

__all__ = ("NOT_IN_SLICE", "Maybe", "Unreadable")

#: Why packets are unreadable that a slice leaves out.
NOT_IN_SLICE = "not in a slice"

T = TypeVar("T")


class Unreadable:
    """A value that could not be read, and why."""

    __slots__ = ("reason",)

    reason: str

    def __init__(self, reason: str) -> None:
        object.__setattr__(self, "reason", reason)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Unreadable is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unreadable) and self.reason == other.reason

    def __hash__(self) -> int:
        return hash(("Unreadable", self.reason))

    def __repr__(self) -> str:
        return f"Unreadable({self.reason!r})"


Maybe = Union[T, Unreadable]
