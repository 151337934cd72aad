# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces and devices as a tree
--------------------------------

Each namespace with its devices, masters with their ports below them, and what is on the
other end of each pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..analysis.chains import MOST_LEVELS
from ..analysis.rules.finding import Finding
from ..analysis.shown import marks
from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef, Namespace, Snapshot
from . import head, words
from .style import PLAIN, Style
from .width import KEEP, wrap

__all__ = ("tree",)


class _Signs(NamedTuple):
    # In front of a device, and of what is below it: of all but the last, of the last.
    middle: str
    last: str
    line: str
    blank: str


_BOXES = _Signs(
    "\N{BOX DRAWINGS LIGHT VERTICAL AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL} ",
    "\N{BOX DRAWINGS LIGHT UP AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL} ",
    "\N{BOX DRAWINGS LIGHT VERTICAL}  ",
    "   ",
)
_ASCII = _Signs("+- ", "+- ", "|  ", "   ")


def _words(device: Device) -> str:
    said = [words.cell(device.name)]
    peer = device.peer
    if isinstance(peer, DeviceRef):
        said.append(f"<->{KEEP}{words.cell(peer.name)}")
        if peer.netns != device.netns:
            said[-1] += f"{KEEP}({words.netns(peer)})"
    elif device.kind is not None:
        said.append(f"({words.cell(device.kind)})")
    if isinstance(peer, Unreadable):
        said.append(f"<->{KEEP}{words.UNKNOWN}")
    if isinstance(device.lowers, tuple) and not (
        device.vlan is device.macvlan is device.ipvlan is None
    ):
        said += [f"on{KEEP}{words.cell(lower.name)}" for lower in device.lowers]
    if words.state(device) != "UP":
        said.append(words.state(device))
    if device.off_list is not None:
        said.append(f"({words.cell(device.off_list)})")
    said += [f"XDP{KEEP}{program}" for program in words.xdp(device)]
    rps = words.rps(device)
    if rps:
        said.append(f"RPS{KEEP}{rps}")
    return " ".join(said)


class _Tree:
    def __init__(
        self, devices: Sequence[Device], worst: Mapping[int, str], style: Style
    ) -> None:
        self._style = style
        self._signs = _BOXES if style.can_show(_BOXES.middle) else _ASCII
        self._worst = worst
        self._ports: dict[int, list[Device]] = {}
        self._met: set[int] = set()
        there = {device.net_device for device in devices}
        self._roots = []
        for device in devices:
            master = device.master
            if isinstance(master, DeviceRef) and master.net_device in there:
                self._ports.setdefault(master.net_device, []).append(device)
            else:
                self._roots.append(device)
        self._devices = devices

    def _lines(
        self, devices: Sequence[Device], before: str, level: int
    ) -> Iterator[str]:
        signs = self._signs
        new = [d for d in devices if d.net_device not in self._met]
        self._met.update(device.net_device for device in new)
        for device in new:
            is_last = device is new[-1]
            severity = self._worst.get(device.net_device)
            mark = " " if severity is None else severity[0].upper()
            yield from wrap(
                self._style.shown(_words(device)),
                self._style.width,
                f"{mark} {before}{signs.last if is_last else signs.middle}",
                f"  {before}{signs.blank if is_last else signs.line}  ",
            )
            ports = self._ports.get(device.net_device, ())
            if ports and level < MOST_LEVELS:
                below = f"{before}{signs.blank if is_last else signs.line}"
                yield from self._lines(ports, below, level + 1)

    def lines(self) -> Iterator[str]:
        yield from self._lines(self._roots, "", 1)
        # In a damaged dump, devices may be masters of each other.
        yield from self._lines(self._devices, "", MOST_LEVELS)


def _namespace(
    namespace: Namespace, devices: Sequence[Device], style: Style
) -> list[str]:
    said = f"{head.namespace(namespace)}: {count(len(devices), 'device')}"
    lines = wrap(style.shown(said), style.width, rest="  ")
    return [style.paint(line, "bold") for line in lines]


def tree(
    kept: Snapshot, found: Sequence[Finding] = (), style: Style = PLAIN
) -> list[str]:
    """
    Return the lines of a tree of namespaces and their devices.

    :param found: The findings on them: a device with an error or a warning is marked
    """
    by_netns: dict[object, list[Device]] = {}
    for device in kept.devices:
        by_netns.setdefault(device.netns, []).append(device)
    worst = marks(found)
    lines = []
    for namespace in kept.namespaces:
        devices = by_netns.pop(namespace.inum, [])
        lines += _namespace(namespace, devices, style)
        lines += _Tree(devices, worst, style).lines()
    for devices in by_netns.values():
        lines += wrap("no namespace that is known", style.width)
        lines += _Tree(devices, worst, style).lines()
    return lines
