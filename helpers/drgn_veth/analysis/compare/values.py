# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Values of two reports
---------------------

Whether two values differ: a value that could not be read is not known, and no change.
"""

import enum
from typing import Any, NamedTuple, Optional

from ...core.unreadable import Maybe, Unreadable

__all__ = (
    "Label",
    "PerQueue",
    "Program",
    "Reference",
    "Verdict",
    "token_of",
    "verdict",
    "why_unknown",
)


class Verdict(enum.IntEnum):
    """What two values are; the greater one wins where several are one value."""

    SAME = 0
    UNKNOWN = 1
    DIFFERENT = 2


class Label(NamedTuple):
    """The label of a namespace."""

    #: The same in both reports, if it is the same namespace.
    token: str
    text: str


class Reference(NamedTuple):
    """A device that another one names."""

    #: The same in both reports, if it is the same device. None: it is not in the list.
    token: Optional[tuple[str, object]]
    netns: str  # label of its namespace
    name: Maybe[str]
    now: str = ""  # that label, or what the newer report calls this namespace


class Program(NamedTuple):
    """An XDP program, without what another boot changes."""

    name: Maybe[str]
    #: None: the two kernels may compute tags in different ways.
    tag: Maybe[Optional[str]]
    via: Maybe[str]  # netlink, link
    frags: Maybe[bool]
    jited: Maybe[bool]


class PerQueue(NamedTuple):
    """What each queue has."""

    values: tuple[Any, ...]

    @property
    def common(self) -> Any:
        """What all queues have, None if they differ, or if there are none."""
        known = {value for value in self.values if not isinstance(value, Unreadable)}
        if len(known) == 1:
            return next(iter(known))
        return None if known or not self.values else self.values[0]


def token_of(reference: Reference) -> tuple[str, object]:
    """Return what stands for a device, also for one that is in no list."""
    if reference.token is not None:
        return reference.token
    return "name", (reference.now, reference.name)


def _per_queue(x: PerQueue, y: PerQueue) -> Verdict:
    # More queues that all have the same are no change: the number of queues is one.
    short, long = sorted((x.values, y.values), key=len)
    missing = len(long) - len(short)
    if missing and not short:
        # What a queue has that there is nothing for: no CPUs, no program.
        known = [one for one in long if not isinstance(one, Unreadable)]
        if any(known):
            return Verdict.DIFFERENT
        return Verdict.SAME if known == list(long) else Verdict.UNKNOWN
    if missing:
        common = PerQueue(short).common
        if common is None:
            return Verdict.DIFFERENT
        short = (*short, *[common] * missing)
    return max(map(verdict, short, long), default=Verdict.SAME)


def verdict(x: object, y: object) -> Verdict:
    """
    Return whether two values differ, as far as they could be read.

    >>> gone = Unreadable("gone")
    >>> verdict((1, gone), (1, 2)), verdict((1, gone), (3, 2))
    (<Verdict.UNKNOWN: 1>, <Verdict.DIFFERENT: 2>)
    """
    if isinstance(x, Unreadable) or isinstance(y, Unreadable):
        return Verdict.UNKNOWN
    if isinstance(x, PerQueue) and isinstance(y, PerQueue):
        return _per_queue(x, y)
    if isinstance(x, Label) and isinstance(y, Label):
        return Verdict.SAME if x.token == y.token else Verdict.DIFFERENT
    if isinstance(x, Reference) and isinstance(y, Reference):
        same = x.token == y.token
        if x.token is None or y.token is None:
            same = (x.now, x.name) == (y.now, y.name)
        return Verdict.SAME if same else Verdict.DIFFERENT
    if isinstance(x, tuple) and isinstance(y, tuple):
        if len(x) != len(y):
            return Verdict.DIFFERENT
        return max(map(verdict, x, y), default=Verdict.SAME)
    # True is 1 in Python, and not in JSON.
    same = x == y and isinstance(x, bool) == isinstance(y, bool)
    return Verdict.SAME if same else Verdict.DIFFERENT


def why_unknown(value: object) -> Optional[str]:
    """Return why a value, or a part of it, could not be read; None if all could."""
    if isinstance(value, Unreadable):
        return value.reason
    if isinstance(value, tuple):
        return next(filter(None, map(why_unknown, value)), None)
    return None
