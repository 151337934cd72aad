# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The comparison
--------------

What came, went and changed between two reports. A value that is not known on one side
is no change: it is listed as unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Optional

from ...core.unreadable import Maybe, Unreadable
from ..rules.finding import SEVERITIES
from .both import Both
from .document import Record, Report
from .fields import DEVICE, NAMESPACE, TARGET
from .records import (
    CAME,
    CHANGED,
    WENT,
    Change,
    Comparison,
    DeviceChange,
    FindingChange,
    NamespaceChange,
    PairChange,
    Unknown,
    Wanted,
)
from .values import Reference, token_of

__all__ = ("compare",)

_ALL = Wanted()
_CHANGE = (WENT, CAME)  # what a thing did that only side 0, or side 1, has
_HOST = "host"
_Token = tuple[str, object]


def _namespaces(both: Both) -> Iterator[NamespaceChange]:
    inside: tuple[dict[str, list[Maybe[str]]], ...]
    inside = (defaultdict(list), defaultdict(list))
    for side, names in zip(both.sides, inside):
        for device in side.devices:
            names[device["netns_label"]].append(device["name"])
    for a, b in both.namespaces:
        if a is not None and b is not None:
            old, new = both.sides[0].namespaces[a], both.sides[1].namespaces[b]
            # None: the namespace is on no list, and only its devices are known.
            if old is not None and new is not None:
                changes = both.changes(NAMESPACE, old, new, b)
                if changes:
                    yield NamespaceChange(CHANGED, b, changes)
            continue
        here, label = (0, a) if b is None else (1, b)
        assert label is not None
        if both.sides[1 - here].is_incomplete():
            both.note_absent(label, None, "namespace", 1 - here)
        else:
            devices = tuple(inside[here][label])
            yield NamespaceChange(_CHANGE[here], label, devices=devices)


def _devices(both: Both) -> Iterator[DeviceChange]:
    for match in both.devices:
        records = list(both.records(match))
        here, device = records[-1]
        netns, name, kind = device["netns_label"], device["name"], device["kind"]
        if len(records) == 2:
            changes = both.changes(DEVICE, records[0][1], device, netns, name)
            if changes:
                yield DeviceChange(CHANGED, netns, name, kind, changes)
        elif match[here] in both.sides[here].uncertain:
            both.note_absent(netns, name, "device", 1 - here)
        else:
            given = both.given(here, device)
            values = {field.key: field.of(given) for field in DEVICE}
            yield DeviceChange(_CHANGE[here], netns, name, kind, (), values)


class _Pairs:
    # The pairs of a report: by both ends.
    def __init__(self, both: Both, here: int) -> None:
        side = both.sides[here]
        self.found: dict[frozenset[_Token], tuple[Any, Reference, Reference]] = {}
        self.unread: set[_Token] = set()  # devices whose peer is not known
        for i, (device, token) in enumerate(zip(side.devices, side.tokens)):
            peer = device["peer"]
            other = side.refer(peer) if isinstance(peer, dict) else peer
            if isinstance(other, Unreadable) or i in side.uncertain:
                self.unread.add(token)
            elif other is not None:
                one = Reference(token, device["netns_label"], device["name"])
                ends = frozenset((token, token_of(other)))
                self.found.setdefault(ends, (device["kind"], one, other))


def _pairs(both: Both) -> Iterator[PairChange]:
    sides = [_Pairs(both, here) for here in (0, 1)]
    for here, pairs in enumerate(sides):
        other = sides[1 - here]
        for ends, (kind, a, b) in pairs.found.items():
            wanted = both.tokens is None or ends & both.tokens
            known = not ends & other.unread
            if wanted and known and ends not in other.found:
                yield PairChange(_CHANGE[here], kind, a, b)


_FindingKey = tuple[str, Optional[_Token], int]


def _findings_of(
    both: Both, here: int, wanted: Wanted
) -> dict[_FindingKey, tuple[Optional[Reference], Record]]:
    side = both.sides[here]
    found: dict[_FindingKey, tuple[Optional[Reference], Record]] = {}
    for finding in side.report.findings:
        device = None if finding["device"] is None else side.refer(finding["device"])
        if isinstance(device, Unreadable):
            continue  # The device is listed as unknown.
        token = None if device is None else token_of(device)
        if both.tokens is not None and token not in both.tokens:
            continue
        if wanted.rules is not None and finding["rule"] not in wanted.rules:
            continue
        number = 0
        while (finding["rule"], token, number) in found:
            number += 1
        found[finding["rule"], token, number] = device, finding
    return found


def _finding(
    change: str,
    device: Optional[Reference],
    finding: Record,
    changes: tuple[Change, ...] = (),
) -> FindingChange:
    return FindingChange(
        change,
        finding["rule"],
        finding["severity"],
        device,
        finding["summary"],
        finding["undecided"],
        changes,
    )


def _findings(
    both: Both, wanted: Wanted, unchanged: Counter[str]
) -> Iterator[FindingChange]:
    sides = [_findings_of(both, here, wanted) for here in (0, 1)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        there = [side[key] for side in sides if key in side]
        device, finding = there[-1]
        rule = key[0]
        name = None if device is None else device.name
        netns = None if device is None else device.netns
        undecided = [one["undecided"] for _, one in there]
        if len(there) == 2:
            old, new = (one["severity"] for _, one in there)
            if undecided.count(None) == 1:
                side = "ab"[undecided[0] is None]
                why = undecided[0] or undecided[1]
                both.unknown.append(Unknown(netns, name, rule, side, why))
            elif old != new:
                change = Change("severity", old, new)
                yield _finding(CHANGED, device, finding, (change,))
            elif undecided[0] is None:
                unchanged[new] += 1
            continue
        here = 0 if key in sides[0] else 1
        if undecided[0] is not None:
            both.unknown.append(Unknown(netns, name, rule, "ab"[here], undecided[0]))
        else:
            yield _finding(_CHANGE[here], device, finding)


def _order(netns: Optional[str]) -> tuple[bool, bool, str]:
    return netns is not None, netns != _HOST, netns or ""


def _severity(finding: FindingChange) -> int:
    severity = finding.severity
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def compare(a: Report, b: Report, wanted: Wanted = _ALL) -> Comparison:
    """
    Return what differs between two reports.

    :param a: The older one, or that of one node
    :param b: The newer one, or that of another node
    :param wanted: What to compare
    :raises FilterError: if a filter matches nothing in either report
    """
    both = Both(a, b, wanted)
    target: tuple[Change, ...] = ()
    if wanted.everything:
        target = both.changes(TARGET, a.target, b.target)
    namespaces = sorted(_namespaces(both), key=lambda one: _order(one.netns))
    devices = sorted(_devices(both), key=lambda one: (_order(one.netns), str(one.name)))
    pairs = sorted(
        _pairs(both),
        key=lambda one: (_order(one.a.netns), str(one.a.name), one.change),
    )
    unchanged: Counter[str] = Counter()
    findings = sorted(
        _findings(both, wanted, unchanged),
        key=lambda one: (
            _severity(one),
            one.rule,
            _order(None if one.device is None else one.device.netns),
            "" if one.device is None else str(one.device.name),
        ),
    )
    return Comparison(
        a.target,
        b.target,
        both.same_boot,
        target,
        tuple(namespaces),
        tuple(devices),
        tuple(pairs),
        tuple(findings),
        tuple(both.unknown),
        {severity: unchanged[severity] for severity in SEVERITIES},
    )
