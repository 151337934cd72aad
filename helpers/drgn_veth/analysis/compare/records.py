# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a comparison finds
-----------------------
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from ...core.unreadable import Maybe
from .document import Record
from .values import Reference

__all__ = (
    "CAME",
    "CHANGED",
    "WENT",
    "Change",
    "Comparison",
    "DeviceChange",
    "FindingChange",
    "NamespaceChange",
    "PairChange",
    "Unknown",
    "Wanted",
)

CAME = "came"
WENT = "went"
CHANGED = "changed"


class Wanted(NamedTuple):
    """What is compared: what matches all filters in one of the reports."""

    netns: Sequence[str] = ()  #: shell patterns of labels, names and mounts
    names: Sequence[str] = ()  #: shell patterns of device names and altnames
    kinds: Sequence[str] = ()  #: shell patterns of kinds
    rules: Optional[frozenset[str]] = None  #: of findings; None: all

    @property
    def everything(self) -> bool:
        """Whether no filter chooses devices."""
        return not (self.netns or self.names or self.kinds)


class Change(NamedTuple):
    """A value that differs."""

    key: str  #: of :mod:`.fields`
    old: Any
    new: Any


class NamespaceChange(NamedTuple):
    """A network namespace that came, went or changed."""

    change: str
    netns: str  #: its label, the newer one
    changes: tuple[Change, ...] = ()
    devices: tuple[Maybe[str], ...] = ()  #: names of its devices, if it came or went


class DeviceChange(NamedTuple):
    """A device that came, went or changed."""

    change: str
    netns: str  #: label of its namespace, the newer one
    name: Maybe[str]  #: the newer one
    kind: Maybe[Optional[str]]
    changes: tuple[Change, ...] = ()
    values: Mapping[str, Any] = {}  #: all that is compared, if it came or went


class PairChange(NamedTuple):
    """A pair that came or went; its ends may have stayed."""

    change: str
    kind: Maybe[Optional[str]]
    a: Reference
    b: Reference


class FindingChange(NamedTuple):
    """A finding that came, went or changed."""

    change: str
    rule: str
    severity: str
    device: Optional[Reference]  #: None: it is about the kernel
    summary: str
    undecided: Optional[str]
    changes: tuple[Change, ...] = ()


class Unknown(NamedTuple):
    """What could not be compared."""

    netns: Optional[str]  #: None: it is about the kernel
    name: Maybe[Optional[str]]  #: None: it is about the namespace
    key: str  #: ``device``, ``namespace``: whether it is there at all
    side: str  #: where it is not known: a, b, both
    why: str


class Comparison(NamedTuple):
    """What differs between two reports."""

    a: Record  #: the targets
    b: Record
    same_boot: Optional[bool]
    target: tuple[Change, ...]
    namespaces: tuple[NamespaceChange, ...]
    devices: tuple[DeviceChange, ...]
    pairs: tuple[PairChange, ...]
    findings: tuple[FindingChange, ...]
    unknown: tuple[Unknown, ...]
    unchanged: Mapping[str, int] = {}  #: findings that are on both sides, by severity

    @property
    def differ(self) -> bool:
        """Whether anything came, went or changed."""
        return any(
            (self.target, self.namespaces, self.devices, self.pairs, self.findings)
        )
