# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Lost packets
------------

A table of the counters that are not zero: those of devices, then those of CPUs.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..analysis.drops import MEANING, NOT_LOST, Drop, cpu_drops, device_drops, reasons
from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import Device, Snapshot
from . import words
from .grid import Column, Row, grid
from .style import PLAIN, Style
from .width import wrap

__all__ = ("drops",)

_COLUMNS = (
    Column("NETNS", least=4, is_cut=True),
    Column("DEVICE", least=8),
    Column("COUNTER", least=10),
    Column("PACKETS", least=7),
)
_NOTHING = "no device and no CPU has counted a lost packet"
_SINCE = (
    "Counters begin with the device, or with the boot: what lost the packets may be "
    "gone."
)


class _Found(NamedTuple):
    # The counters of a device or a CPU.
    netns: str
    name: str
    drops: Sequence[Drop]


def _some(drops: Sequence[Drop], others: bool) -> Sequence[Drop]:
    # Those of lost packets, or the others.
    return [drop for drop in drops if (drop.counter in NOT_LOST) is others]


def _rows(found: Iterable[_Found]) -> Iterator[Row]:
    for netns, name, drops in found:
        for at, drop in enumerate(drops):
            place = (netns, name) if at == 0 else ("", "")
            yield (*place, drop.counter, str(drop.packets))


def _known(found: Iterable[_Found]) -> Iterator[str]:
    # Rules about the kernel say the same of each CPU.
    said = set()
    for netns, name, drops in found:
        for drop in drops:
            if drop.why is None or (not netns and drop.why in said):
                continue
            said.add(drop.why)
            who = f"{name} ({netns}): " if netns else ""
            yield f"{who}{words.cell(drop.why)}"


def _legend(found: Iterable[_Found]) -> Iterator[str]:
    there = {drop.counter for one in found for drop in one.drops}
    for counter, meaning in MEANING.items():
        if counter in there:
            yield f"{counter}: {meaning}"


def _unread(devices: Sequence[Device]) -> Iterator[str]:
    # By reason: how many devices, and the first.
    seen: dict[str, list[Device]] = {}
    for device in devices:
        if isinstance(device.stats, Unreadable):
            seen.setdefault(device.stats.reason, []).append(device)
    for reason, of in seen.items():
        more = f" and {count(len(of) - 1, 'more device')}" if len(of) > 1 else ""
        name = words.reference(of[0].ref)
        yield f"counters of {name}{more} could not be read: {words.cell(reason)}"


def drops(
    devices: Sequence[Device], snapshot: Snapshot, style: Style = PLAIN
) -> list[str]:
    """
    Return the lines that report lost packets.

    :param devices: Those to look at
    """
    known = reasons(snapshot)
    found = [
        _Found(
            words.netns(device.ref),
            words.cell(device.name),
            device_drops(device, known),
        )
        for device in devices
    ]
    cpus = snapshot.cpus
    for cpu in cpus if isinstance(cpus, tuple) else ():
        found.append(_Found("", f"CPU {cpu.cpu}", cpu_drops(cpu, known)))
    lost = [one._replace(drops=_some(one.drops, False)) for one in found]
    others = [one._replace(drops=_some(one.drops, True)) for one in found]
    rows, more = list(_rows(lost)), list(_rows(others))
    lines = grid(_COLUMNS, rows, style) if rows else [_NOTHING]
    if more:
        lines += ["", "not lost:", "", *grid(_COLUMNS, more, style)]
    paragraphs = [list(_known(lost)), list(_legend(found)), list(_unread(devices))]
    if rows:
        paragraphs[1].append(_SINCE)
    if isinstance(cpus, Unreadable):
        why = words.cell(cpus.reason)
        paragraphs[2].append(f"counters of CPUs could not be read: {why}")
    for paragraph in filter(None, paragraphs):
        lines.append("")
        for text in paragraph:
            lines += wrap(text, style.width, rest="  ")
    return lines
