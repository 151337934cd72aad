# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a picture shows
--------------------

A box for each network namespace, in it a row for each device, a master around its
ports, and an edge for each pair. All texts are safe for a terminal
(:func:`~drgn_veth.render.escape.for_terminal()`); each format escapes them for itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from ...analysis.rules.finding import ERROR, WARNING, Finding
from ...core.english import count
from ...core.unreadable import Maybe, Unreadable
from ...model import XDP_MODES, Device, Namespace, NetTask, Snapshot
from .. import words

__all__ = ("Badge", "Box", "Edge", "Row", "Scene", "make_scene")

# A bond in a bridge in another bridge: deeper, ports are beside their masters.
_DEEPEST = 4
_MANY = 24
_MOST_TASKS = 3
_MOST_CONTAINERS = 2
# Characters of a mask, or it is left to the details.
_LONGEST_MASK = 9


class Badge(NamedTuple):
    """A word on a device: its colour says no more than the word."""

    kind: str  #: xdp, rps, error, warning, gone
    text: str


class Row(NamedTuple):
    """A device in a box, with its ports if it is a master."""

    device: int  #: index in ``Snapshot.devices``
    name: str
    state: str  #: UP, NO-CARRIER, DOWN, ?
    note: str  #: what it is, "" for a veth
    badges: tuple[Badge, ...]
    ports: tuple["Row", ...] = ()

    def all(self) -> Iterator["Row"]:
        """Yield the device and all devices in it."""
        yield self
        for port in self.ports:
            yield from port.all()


class Box(NamedTuple):
    """A network namespace."""

    namespace: Optional[int]  #: index in ``Snapshot.namespaces``; None: on no list
    label: str
    lines: tuple[str, ...]  #: what else is known, a few words each
    rows: tuple[Row, ...]
    host: bool = False
    dying: bool = False

    def all(self) -> Iterator[Row]:
        """Yield all devices."""
        for row in self.rows:
            yield from row.all()


class Edge(NamedTuple):
    """A pair."""

    kind: str
    a: int  #: index in ``Snapshot.devices``
    b: int


class Scene(NamedTuple):
    """All that a picture shows."""

    title: str
    boxes: tuple[Box, ...]  #: the host first
    edges: tuple[Edge, ...]


def _note(device: Device) -> str:
    lowers = device.lowers
    kind = words.cell(device.kind)
    if isinstance(device.name, str) and device.name == "lo":
        return ""
    if device.kind in ("veth", None):
        return ""
    if isinstance(lowers, tuple) and lowers:
        if device.vlan is not None or device.macvlan or device.ipvlan:
            return f"{kind} on {words.cell(lowers[0].name)}"
    return kind


def _badges(device: Device, severities: Sequence[str]) -> Iterator[Badge]:
    for severity in (ERROR, WARNING):
        number = severities.count(severity)
        if number:
            yield Badge(severity, severity if number == 1 else f"{number} {severity}s")
    if device.off_list is not None:
        yield Badge("gone", "on no list")
    for mode in XDP_MODES:
        program = getattr(device.xdp, mode)
        if isinstance(program, Unreadable):
            yield Badge("xdp", f"XDP {mode} ?")
        elif program is not None:
            yield Badge("xdp", f"XDP {mode}")
    mask = words.rps(device)
    if mask:
        yield Badge("rps", f"RPS {mask}" if len(mask) <= _LONGEST_MASK else "RPS")


class _Rows:
    # The rows of the devices of one namespace, each device once.

    def __init__(
        self,
        devices: Sequence[Device],
        inside: Sequence[int],
        peers: Mapping[int, int],
        severities: Mapping[int, Sequence[str]],
    ) -> None:
        self._devices = devices
        self._peers = peers
        self._severities = severities
        self._done: set[int] = set()
        by_address = {devices[i].net_device: i for i in inside}
        self._ports: dict[int, list[int]] = {}
        self._master: dict[int, int] = {}
        for i in inside:
            master = devices[i].master
            if master is None or isinstance(master, Unreadable):
                continue
            there = by_address.get(master.net_device)
            if there is not None and there != i:
                self._ports.setdefault(there, []).append(i)
                self._master[i] = there

    def row(self, i: int, depth: int = 0) -> Row:
        self._done.add(i)
        device = self._devices[i]
        badges = tuple(_badges(device, self._severities.get(i, ())))
        ports = []
        if depth < _DEEPEST:
            for port in self._ports.get(i, ()):
                if port not in self._done:
                    ports.append(self.row(port, depth + 1))
        name = words.cell(device.name)
        return Row(i, name, words.state(device), _note(device), badges, tuple(ports))

    def of(self, order: Sequence[int]) -> Iterator[Row]:
        # Both ends of a pair follow each other if neither is in a master.
        there = set(order)
        for i in order:
            if i in self._done or i in self._master:
                continue
            yield self.row(i)
            peer = self._peers.get(i)
            if peer in there and peer not in self._done and peer not in self._master:
                yield self.row(peer)
        # Masters of each other, in a damaged dump; and what is too deep.
        for i in order:
            if i not in self._done:
                yield self.row(i)


def _task(task: NetTask) -> str:
    return f"{words.cell(task.comm)} {words.cell(task.pid)}"


def _some(texts: Sequence[str], most: int, number: Maybe[Optional[int]]) -> str:
    total = number if isinstance(number, int) else len(texts)
    shown = ", ".join(texts[:most])
    more = total - min(len(texts), most)
    return f"{shown} and {more} more" if more > 0 else shown


def _lines(namespace: Namespace) -> Iterator[str]:
    containers = namespace.containers
    where = [words.cell(namespace.inum)]
    hostname = namespace.hostname
    if isinstance(hostname, str) and hostname != "(none)" and not namespace.init:
        where.append(words.cell(hostname))
    if isinstance(namespace.nsid, int):
        where.append(f"nsid {namespace.nsid}")
    yield " \N{MIDDLE DOT} ".join(where)
    if isinstance(containers, tuple) and containers:
        labels = [words.cell(container.label) for container in containers]
        if labels != [words.cell(namespace.label)]:
            yield _some(labels, _MOST_CONTAINERS, len(labels))
    tasks = namespace.tasks
    if isinstance(tasks, tuple) and tasks:
        yield _some(list(map(_task, tasks)), _MOST_TASKS, namespace.task_count)
    holders = namespace.holders
    if isinstance(holders, tuple) and holders:
        held = [
            words.cell(one.kind)
            if one.pid is None
            else f"{words.cell(one.kind)} of {words.cell(one.comm)} "
            f"{words.cell(one.pid)}"
            for one in holders
        ]
        yield "held by " + _some(held, 1, namespace.holder_count)
    if namespace.dying:
        yield "being torn down"


def _title(snapshot: Snapshot) -> str:
    return (
        f"Linux {words.cell(snapshot.target.release)}: "
        f"{count(len(snapshot.pairs), 'pair')}, "
        f"{count(len(snapshot.devices), 'device')} in "
        f"{count(len(snapshot.namespaces), 'namespace')}"
    )


def _sorted_by_place(
    order: Sequence[int], peers: Mapping[int, int], place: Mapping[int, int], own: int
) -> list[int]:
    # Those without a peer in another box, then the others in the order of these boxes:
    # fewer edges cross.
    def key(i: int) -> tuple[int, int]:
        there = place.get(peers.get(i, -1), -1)
        return (-1 if there == own else there), i

    return sorted(order, key=key)


def _in_order(
    snapshot: Snapshot,
    peers: Mapping[int, int],
    severities: Mapping[int, Sequence[str]],
) -> list[int]:
    # The host, then namespaces with a pair, which are then near it. Of many, first
    # those that one would look for.
    devices = snapshot.devices
    paired = {devices[i].netns for i in peers}
    wrong: set[object] = set()
    special: set[object] = set()
    if len(snapshot.namespaces) > _MANY:
        for i, found in severities.items():
            if ERROR in found or WARNING in found:
                wrong.add(devices[i].netns)
        special = {
            device.netns
            for device in devices
            if any(getattr(device.xdp, mode) is not None for mode in XDP_MODES)
        }

    def key(i: int) -> tuple[bool, ...]:
        namespace = snapshot.namespaces[i]
        inum = namespace.inum
        return (
            not namespace.init,
            inum not in wrong,
            inum not in special,
            inum not in paired,
        )

    return sorted(range(len(snapshot.namespaces)), key=key)


def make_scene(snapshot: Snapshot, findings: Sequence[Finding]) -> Scene:
    """Return what a picture of a Snapshot shows."""
    devices = snapshot.devices
    index = {device.net_device: i for i, device in enumerate(devices)}
    edges = tuple(
        Edge(words.cell(p.kind), index[p.a.net_device], index[p.b.net_device])
        for p in snapshot.pairs
        if p.a.net_device in index and p.b.net_device in index
    )
    peers = {edge.a: edge.b for edge in edges}
    peers.update((edge.b, edge.a) for edge in edges)
    severities: dict[int, list[str]] = {}
    for finding in findings:
        ref = finding.device
        if ref is not None and ref.net_device in index and finding.undecided is None:
            severities.setdefault(index[ref.net_device], []).append(finding.severity)

    order = _in_order(snapshot, peers, severities)
    box_of: dict[object, int] = {}
    for place, i in enumerate(order):
        inum = snapshot.namespaces[i].inum
        if isinstance(inum, int):
            box_of.setdefault(inum, place)
    inside: list[list[int]] = [[] for _ in order]
    elsewhere: dict[str, list[int]] = {}
    place_of: dict[int, int] = {}
    for i, device in enumerate(devices):
        there = None if isinstance(device.netns, Unreadable) else device.netns
        place_or_none = box_of.get(there)
        if place_or_none is None:
            elsewhere.setdefault(words.netns(device.ref), []).append(i)
        else:
            inside[place_or_none].append(i)
            place_of[i] = place_or_none

    def rows(order: Sequence[int]) -> tuple[Row, ...]:
        return tuple(_Rows(devices, order, peers, severities).of(order))

    boxes = []
    for place, i in enumerate(order):
        namespace = snapshot.namespaces[i]
        of_box = inside[place]
        if namespace.init and len(order) > 1:
            of_box = _sorted_by_place(of_box, peers, place_of, place)
        boxes.append(
            Box(
                i,
                words.cell(namespace.label) or words.cell(namespace.inum),
                tuple(_lines(namespace)),
                rows(of_box),
                namespace.init,
                namespace.dying,
            )
        )
    for label, of_box in elsewhere.items():
        boxes.append(Box(None, label, ("on no list of namespaces",), rows(of_box)))
    return Scene(_title(snapshot), tuple(boxes), edges)
