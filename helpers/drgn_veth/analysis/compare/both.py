# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Both reports
------------

Who is who in them, what the filters leave, and what two records differ in.
"""

from collections.abc import Iterable, Iterator, Sequence
import fnmatch
from typing import Any, Optional

from ...core.nearest import offer
from ...core.unreadable import Maybe
from ..netns_names import FilterError
from .document import Record, Report
from .fields import Field, Given
from .matching import UNCERTAIN, Match, Side, match_devices, match_namespaces
from .records import Change, Unknown, Wanted
from .values import Verdict, verdict, why_unknown

__all__ = ("Both",)


def _like(patterns: Iterable[str], words: Iterable[Any]) -> bool:
    known = [word for word in words if isinstance(word, str)]
    return any(fnmatch.fnmatchcase(word, p) for p in patterns for word in known)


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else ()


def _words_of_netns(side: Side, label: str) -> list[Any]:
    namespace = side.namespaces[label]
    if namespace is None:
        return [label]
    names = [*_tuple(namespace["names"]), *_tuple(namespace["mounts"])]
    return [label, *names, str(namespace["inum"])]


def _words_of_device(device: Record) -> list[Any]:
    return [device["name"], *_tuple(device["altnames"])]


def _programs(side: Side) -> Iterator[tuple[Any, Any]]:
    for device in side.devices:
        modes = device["xdp"]
        for mode in ("generic", "driver", "offload"):
            program = modes[mode] if isinstance(modes, dict) else None
            if isinstance(program, dict):
                yield program["name"], program["tag"]


class Both:
    """
    Two reports, the older one first.

    :raises FilterError: if a filter matches nothing in either report
    """

    def __init__(self, a: Report, b: Report, wanted: Wanted) -> None:
        self.sides = (Side(a), Side(b))
        boots = [side.boot() for side in self.sides]
        #: None: it is not known.
        self.same_boot = None if None in boots else boots[0] == boots[1]
        self._same_tags = self._compute_tags_alike()
        #: All of them.
        numbers = self.same_boot is not False
        self.every_namespace = match_namespaces(*self.sides, numbers)
        every_device = match_devices(*self.sides, self.every_namespace)
        self.unknown: list[Unknown] = []
        self._check(wanted)
        kept = [m for m in self.every_namespace if self._is_in(m, wanted)]
        labels = [{match[i] for match in kept} for i in (0, 1)]
        #: Those that the filters leave.
        self.devices = [
            match
            for match in every_device
            if self._matches(match, wanted)
            and any(
                device["netns_label"] in labels[i] for i, device in self.records(match)
            )
        ]
        self.namespaces = [] if wanted.names or wanted.kinds else kept
        #: None: all.
        self.tokens = None
        if not wanted.everything:
            self.tokens = {
                self.sides[side].tokens[i]
                for match in self.devices
                for side, i in enumerate(match)
                if i is not None
            }

    def _compute_tags_alike(self) -> bool:
        # Since Linux kernel 6.18, the tag of a program is of SHA-256, not of SHA-1.
        releases = {side.report.target["release"] for side in self.sides}
        tags = [set(_programs(side)) for side in self.sides]
        return len(releases) == 1 or bool(tags[0] & tags[1])

    def records(self, match: Match[int]) -> Iterator[tuple[int, Record]]:
        """Yield the sides that have a device, and its record there."""
        for i, (side, place) in enumerate(zip(self.sides, match)):
            if place is not None:
                yield i, side.devices[place]

    def _is_in(self, match: Match[str], wanted: Wanted) -> bool:
        words = [
            word
            for side, label in zip(self.sides, match)
            if label is not None
            for word in _words_of_netns(side, label)
        ]
        return not wanted.netns or _like(wanted.netns, words)

    def _matches(self, match: Match[int], wanted: Wanted) -> bool:
        records = [device for _, device in self.records(match)]
        names = [word for device in records for word in _words_of_device(device)]
        kinds = [device["kind"] for device in records]
        return (not wanted.names or _like(wanted.names, names)) and (
            not wanted.kinds or _like(wanted.kinds, kinds)
        )

    def _check(self, wanted: Wanted) -> None:
        # Each filter matches something.
        devices = [device for side in self.sides for device in side.devices]
        places = [
            word
            for side in self.sides
            for label in side.namespaces
            for word in _words_of_netns(side, label)
        ]
        names = [word for device in devices for word in _words_of_device(device)]
        kinds = [device["kind"] for device in devices]
        for patterns, words, what in (
            (wanted.netns, places, "no network namespace in A or B is called"),
            (wanted.names, names, "no device in A or B matches"),
            (wanted.kinds, kinds, "no device in A or B is of kind"),
        ):
            known = {word for word in words if isinstance(word, str)}
            for pattern in patterns:
                if not _like([pattern], known):
                    there = offer(pattern, (w for w in known if not w.isdecimal()))
                    raise FilterError(f"{what} {pattern!r}; {there}")

    def given(self, side: int, record: Record) -> Given:
        """Return what fields take."""
        same_boot = self.same_boot is True
        return Given(record, self.sides[side], same_boot, self._same_tags)

    def changes(
        self,
        fields: Sequence[Field],
        a: Record,
        b: Record,
        netns: Optional[str] = None,
        name: Maybe[Optional[str]] = None,
    ) -> tuple[Change, ...]:
        """
        Return what differs between two records, and note what is not known.

        :param netns: Label of the namespace that they are about
        :param name: Name of the device that they are about
        """
        found: dict[str, Change] = {}
        for field in fields:
            old, new = field.of(self.given(0, a)), field.of(self.given(1, b))
            if old is new:
                continue  # Neither report has it.
            same = verdict(old, new)
            if same is Verdict.DIFFERENT:
                found[field.key] = Change(field.key, old, new)
            elif same is Verdict.UNKNOWN:
                why = (why_unknown(old), why_unknown(new))
                side = "both" if None not in why else "ba"[why.index(None)]
                said = why[0] or why[1] or ""
                self.unknown.append(Unknown(netns, name, field.key, side, said))
        if "state" in found:
            found.pop("operstate", None)  # It follows the state.
        return tuple(found.values())

    def note_absent(
        self, netns: str, name: Maybe[Optional[str]], key: str, side: int
    ) -> None:
        """Note that it is not known whether a report has something."""
        self.unknown.append(Unknown(netns, name, key, "ab"[side], UNCERTAIN.reason))
