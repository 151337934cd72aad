# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tables
------

The screens of ``veth_report.py``, at most 120 columns wide whatever is in them.
"""

import textwrap
from typing import Callable, Dict, List, NamedTuple, Sequence

import tabulate

from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef, Snapshot, XdpProgram, unreadable_in
from . import words

__all__ = ("devices", "pairs", "totals")


class _Column(NamedTuple):
    header: str
    width: int  # at most
    lines: Callable[[Device], Sequence[str]]


def _name_lines(device: Device) -> List[str]:
    lines = [
        words.cell(device.netns),
        f"{words.cell(device.ifindex)}: {words.cell(device.name)}",
    ]
    if device.master is not None:
        master = device.master
        name = (
            words.UNKNOWN if isinstance(master, Unreadable) else words.cell(master.name)
        )
        lines.append(f"in {name}")
    if device.off_list is not None:
        lines.append(f"({device.off_list})")
    return lines


def _state_lines(device: Device) -> List[str]:
    return [words.state(device), f"mtu {words.cell(device.mtu)}"]


def _queue_lines(device: Device) -> List[str]:
    return [
        f"rx {words.queue_count(device.queues.rx)}",
        f"tx {words.queue_count(device.queues.tx)}",
    ]


def _xdp_rps_lines(device: Device) -> List[str]:
    lines = words.xdp(device)
    for word, text in (("rps", words.rps(device)), ("rfs", words.rfs(device))):
        if text:
            lines.append(f"{word} {text}")
    return lines or ["-"]


# One end of a pair. Both together are 120 columns: 2 * (17 + 10 + 10 + 16), and
# two blanks between each two of the eight columns. tabulate wants two blanks more
# in a column than in its header.
_END = (
    _Column("netns\nifindex: name", 17, _name_lines),
    _Column("state\nMTU", 10, _state_lines),
    _Column("queues\nreal/max", 10, _queue_lines),
    _Column("XDP program#id\nRPS CPUs", 16, _xdp_rps_lines),
)

# A device of any kind: 17 + 10 + 10 + 10 + 28 + 31 and the blanks between.
_DEVICE = (
    *_END[:1],
    _Column("kind", 10, lambda device: [words.cell(device.kind, "-")]),
    *_END[1:3],
    _Column(_END[3].header, 28, _xdp_rps_lines),
    _Column(
        "peer\n(netns:ifindex)",
        31,
        lambda device: [words.reference(device.peer) or "-"],
    ),
)


def _render(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> str:
    # Names such as "1e5" are no numbers. tabulate could wrap the cells itself
    # (maxcolwidths), which takes as long as all the rest of a report.
    return tabulate.tabulate(
        rows,
        headers=[column.header for column in columns],
        tablefmt="simple",
        disable_numparse=True,
    )


def _cell(lines: Sequence[str], width: int) -> str:
    return "\n".join(
        line if len(line) <= width else textwrap.fill(line, width) for line in lines
    )


def _cells(columns: Sequence[_Column], device: Device) -> List[str]:
    return [_cell(column.lines(device), column.width) for column in columns]


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return the pairs, both ends side by side.

    :param all_devices: Where the ends are looked up: a filter may have left out
        one of them
    """
    by_address = {device.net_device: device for device in all_devices}
    columns = _END + _END

    def end(ref: DeviceRef) -> List[str]:
        device = by_address.get(ref.net_device)
        if device is not None:
            return _cells(_END, device)
        name = f"{words.cell(ref.ifindex)}: {words.cell(ref.name)}"
        lines = [words.cell(ref.netns), name, f"({ref.off_list})"]
        unknown = [words.UNKNOWN] * (len(_END) - 1)
        return [_cell(lines, _END[0].width), *unknown]

    rows = [end(pair.a) + end(pair.b) for pair in snapshot.pairs]
    return _render(columns, rows)


def devices(snapshot: Snapshot) -> str:
    """Return the devices of every kind."""
    return _render(_DEVICE, [_cells(_DEVICE, device) for device in snapshot.devices])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _has_rps(device: Device) -> bool:
    if isinstance(device.rps, Unreadable):
        return False
    return any(isinstance(q.cpus, tuple) and q.cpus for q in device.rps)


def totals(snapshot: Snapshot) -> str:
    """Return one line that says how much there is."""
    kinds: Dict[str, int] = {}
    for pair in snapshot.pairs:
        kinds[pair.kind] = kinds.get(pair.kind, 0) + 1
    by_kind = ", ".join(
        f"{count} {words.cell(kind)}" for kind, count in sorted(kinds.items())
    )
    # What could not be read is counted for itself, below.
    modes = {
        mode: sum(
            isinstance(getattr(device.xdp, mode), XdpProgram)
            for device in snapshot.devices
        )
        for mode in ("generic", "driver", "offload")
    }
    rps = sum(_has_rps(device) for device in snapshot.devices)
    missing = sum(1 for _ in unreadable_in(snapshot))
    line = (
        f"{_count(len(snapshot.pairs), 'pair')}{f' ({by_kind})' if by_kind else ''}, "
        f"{_count(len(snapshot.devices), 'device')} in "
        f"{_count(len(snapshot.namespaces), 'namespace')}; XDP: "
        + ", ".join(f"{count} {mode}" for mode, count in modes.items())
        + f"; RPS on {_count(rps, 'device')}"
    )
    return f"{line}; {_count(missing, 'value')} unreadable" if missing else line
