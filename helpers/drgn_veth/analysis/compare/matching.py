# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who is who
----------

Which namespace and which device of one report is which of the other. Inode numbers,
ifindexes and addresses are others after a reboot and on another node, so labels and
names decide. Among those that are left, a device is known by its MAC address and that
of its peer: it was renamed, or moved to another namespace.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
import re
from typing import Callable, Optional, TypeVar

from ...core.unreadable import Maybe, Unreadable
from .document import Record, Report
from .values import Reference

__all__ = ("UNCERTAIN", "Match", "Side", "match_devices", "match_namespaces", "stem_of")

T = TypeVar("T")
#: What is the same in both reports, and what only one of them has.
Match = tuple[Optional[T], Optional[T]]

_PROCESS = re.compile(r"pid:\d+\((.*)\)", re.DOTALL)
_INODE = re.compile(r"(.+)@(\d+|0x[0-9a-f]+)", re.DOTALL)
_NAMELESS = re.compile(r"net:(\d+|0x[0-9a-f]+)|fd:\d+/\d+")
_NO_MAC = "00:00:00:00:00:00"
_HOST = "host"

#: What stands for a device that the other report may have.
UNCERTAIN = Unreadable(
    "a list of the other report is incomplete, or a name in it could not be read"
)


class Side:
    """A report, and what is found by what in it."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.devices = report.devices
        listed = {namespace["label"]: namespace for namespace in report.namespaces}
        #: Label of a namespace: None if only its devices are known.
        self.namespaces: dict[str, Optional[Record]] = {
            **{device["netns_label"]: None for device in self.devices},
            **listed,
        }
        self._label_of = {n["inum"]: n["label"] for n in report.namespaces}
        self._by_index: dict[Hashable, int] = {}
        for i, device in enumerate(self.devices):
            self._by_index.setdefault((device["netns"], device["ifindex"]), i)
        #: What a device is in both reports, by its place in the list.
        self.tokens: list[tuple[str, object]] = []
        #: Devices of which it is not known whether the other report has them.
        self.uncertain: set[int] = set()
        #: The label that a namespace has in the newer report.
        self.label_now: Mapping[str, str] = {}

    def index_of(self, reference: Record) -> Optional[int]:
        """Return the place of the device that a record names, None if it has none."""
        place = (reference["netns"], reference["ifindex"])
        if any(isinstance(number, Unreadable) for number in place):
            return None
        return self._by_index.get(place)

    def label_of(self, reference: Record) -> str:
        """Return the label of the namespace of a reference."""
        index = self.index_of(reference)
        if index is not None:
            label: str = self.devices[index]["netns_label"]
            return label
        inum = reference["netns"]
        return self._label_of.get(
            inum, "?" if isinstance(inum, Unreadable) else f"net:{inum}"
        )

    def refer(self, reference: Record) -> Maybe[Reference]:
        """Return a reference in a form that both reports share."""
        label = self.label_of(reference)
        index = self.index_of(reference)
        if index in self.uncertain:
            return UNCERTAIN
        token = None if index is None else self.tokens[index]
        now = self.label_now.get(label, label)
        return Reference(token, label, reference["name"], now)

    def boot(self) -> Optional[tuple[object, str]]:
        """
        Return what two reports of one boot have in common: the kernel, and where its
        first device is. None: it is not known.
        """
        for device in self.devices:
            namespace = self.namespaces[device["netns_label"]]
            if device["ifindex"] == 1 and namespace is not None and namespace["init"]:
                place = device["net_device"]
                release = self.report.target["release"]
                if isinstance(place, str) and isinstance(release, str):
                    return release, place
        return None

    def is_incomplete(self) -> bool:
        """Return whether there may be namespaces or devices that it does not have."""
        walks = (one["what"] for one in self.report.unreadable)
        return any(
            what.startswith("devices of ") or what == "namespaces" for what in walks
        )


def _by_unique_key(
    a: Iterable[T], b: Iterable[T], key_of: Callable[[T, int], Optional[Hashable]]
) -> list[tuple[T, T]]:
    # What has the same key on both sides, and is alone with it on each.
    keys = [[(key_of(one, i), one) for one in side] for i, side in enumerate((a, b))]
    counts = [Counter(key for key, _ in side) for side in keys]
    there = dict(keys[1])
    return [
        (one, there[key])
        for key, one in keys[0]
        if key is not None and counts[0][key] == counts[1][key] == 1
    ]


def stem_of(label: str) -> Optional[str]:
    """
    Return a label without the numbers that a reboot changes, None if it has none.

    >>> stem_of("pid:221(sleep)"), stem_of("web@4026532309"), stem_of("pod1")
    ('pid(sleep)', 'web', None)
    """
    process = _PROCESS.fullmatch(label)
    if process is not None:
        return f"pid({process[1]})"
    inode = _INODE.fullmatch(label)
    return inode[1] if inode is not None else None


def _identity(side: Side, device: Record) -> Optional[Hashable]:
    # What a device keeps if it gets another name or goes to another namespace.
    mac, kind, peer = device["mac"], device["kind"], device["peer"]
    if not isinstance(mac, str) or mac == _NO_MAC or isinstance(kind, Unreadable):
        return None
    if peer is None:
        return kind, mac, None
    index = None if isinstance(peer, Unreadable) else side.index_of(peer)
    if index is None:
        return None
    other = side.devices[index]["mac"]
    return (kind, mac, other) if isinstance(other, str) else None


def _init(side: Side) -> Optional[str]:
    for label, namespace in side.namespaces.items():
        if namespace is not None and namespace["init"] is True:
            return label
    return _HOST if _HOST in side.namespaces else None


def _by_numbers(label: str) -> bool:
    # Whether an unrelated namespace of another boot may have the same label.
    return bool(_NAMELESS.fullmatch(label) or _INODE.fullmatch(label))


_Names = tuple[object, object]


def _names_inside(side: Side) -> Mapping[str, Counter[_Names]]:
    # The names of the devices of each namespace, and of their peers.
    found: dict[str, Counter[_Names]] = {label: Counter() for label in side.namespaces}
    for device in side.devices:
        peer = device["peer"]
        names = device["name"], peer["name"] if isinstance(peer, dict) else None
        found[device["netns_label"]][names] += 1
    return found


def match_namespaces(a: Side, b: Side, by_number: bool) -> list[Match[str]]:
    """
    Return the labels of namespaces: in both reports, in the first, in the second.

    :param by_number: Whether the numbers in labels mean the same in both
    """
    left = [dict.fromkeys(side.namespaces) for side in (a, b)]
    found: list[tuple[str, str]] = []

    def take(pairs: Iterable[tuple[str, str]]) -> None:
        for one, other in pairs:
            if one in left[0] and other in left[1]:
                found.append((one, other))
                del left[0][one], left[1][other]

    first = (_init(a), _init(b))
    if first[0] is not None and first[1] is not None:
        take([(first[0], first[1])])
    alike = [label for label in left[0] if label in left[1]]
    if not by_number:
        names = [_names_inside(side) for side in (a, b)]
        alike = [
            label
            for label in alike
            if not _by_numbers(label) or names[0][label] == names[1][label]
        ]
    take([(label, label) for label in alike])
    take(_by_unique_key(left[0], left[1], lambda label, _: stem_of(label)))
    # A namespace that was named, or lost its name: its devices are the same.
    sides = (a, b)
    inside = [
        [i for i, d in enumerate(side.devices) if d["netns_label"] in labels]
        for side, labels in zip(sides, left)
    ]
    same = _by_unique_key(
        inside[0], inside[1], lambda i, n: _identity(sides[n], sides[n].devices[i])
    )
    links = {
        (a.devices[i]["netns_label"], b.devices[j]["netns_label"]) for i, j in same
    }
    ends = [Counter(labels) for labels in zip(*links)] or [Counter(), Counter()]
    take(
        sorted(
            (one, other) for one, other in links if ends[0][one] == ends[1][other] == 1
        )
    )
    return [
        *found,
        *((label, None) for label in left[0]),
        *((None, label) for label in left[1]),
    ]


def _named(side: Side, labels: Mapping[str, object]) -> list[tuple[Hashable, int]]:
    # What a device is found by, and its place. Those on no list come last.
    seen: Counter[tuple[object, str]] = Counter()
    order = sorted(
        range(len(side.devices)), key=lambda i: side.devices[i]["off_list"] is not None
    )
    found: list[tuple[Hashable, int]] = []
    for i in order:
        device = side.devices[i]
        place = labels[device["netns_label"]]
        name = device["name"]
        if isinstance(name, Unreadable):
            continue
        key = (place, name)
        found.append(((key, seen[key]), i))
        seen[key] += 1
    return found


def _doubt(
    sides: tuple[Side, Side], namespaces: Sequence[Match[str]], taken: list[set[int]]
) -> None:
    # Find what only one report has, as far as is known.
    there: tuple[dict[Optional[str], Optional[str]], ...]
    there = (dict(namespaces), {b: a for a, b in namespaces})
    for n, side in enumerate(sides):
        other = sides[1 - n]
        nameless = {
            device["netns_label"]
            for device in other.devices
            if isinstance(device["name"], Unreadable)
        }
        side.uncertain = {
            i
            for i, device in enumerate(side.devices)
            if i not in taken[n]
            and (
                isinstance(device["name"], Unreadable)
                or there[n].get(device["netns_label"]) in nameless
                or other.is_incomplete()
            )
        }


def match_devices(
    a: Side, b: Side, namespaces: Sequence[Match[str]]
) -> list[Match[int]]:
    """
    Return the places of devices: in both reports, in the first, in the second.

    Sets what the sides call a device of both, and which are uncertain.

    :param namespaces: What :func:`match_namespaces()` returns
    """
    labels: list[dict[str, object]] = [{}, {}]
    for n, match in enumerate(namespaces):
        for i, label in enumerate(match):
            if label is not None:
                labels[i][label] = n
    keys = [dict(_named(side, labels[i])) for i, side in enumerate((a, b))]
    both = [(i, keys[1][key]) for key, i in keys[0].items() if key in keys[1]]
    taken = [{pair[i] for pair in both} for i in (0, 1)]
    left = [
        [i for i in keys[n].values() if i not in taken[n]] for n, _ in enumerate((a, b))
    ]
    both += _by_unique_key(
        left[0], left[1], lambda i, n: _identity((a, b)[n], (a, b)[n].devices[i])
    )
    a.tokens = [("a", i) for i, _ in enumerate(a.devices)]
    b.tokens = [("b", i) for i, _ in enumerate(b.devices)]
    for n, (i, j) in enumerate(both):
        a.tokens[i] = b.tokens[j] = ("both", n)
    a.label_now = {
        one: other for one, other in namespaces if one is not None and other is not None
    }
    taken = [{pair[i] for pair in both} for i in (0, 1)]
    _doubt((a, b), namespaces, taken)
    return [
        *both,
        *((i, None) for i, _ in enumerate(a.devices) if i not in taken[0]),
        *((None, j) for j, _ in enumerate(b.devices) if j not in taken[1]),
    ]
