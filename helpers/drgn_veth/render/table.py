# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tables
------

The screens of ``veth_report.py``, never wider than 120 columns.
"""

from collections.abc import Sequence
import textwrap

import tabulate

from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import XDP_MODES, Device, DeviceRef, Snapshot, XdpProgram, unreadable_in
from . import words
from .columns import (
    COLUMNS,
    KIND,
    PEER,
    QUEUES,
    STATE,
    WHO,
    XDP_RPS,
    Cell,
    lines,
    of_ref,
    rows_of_pairs,
)

__all__ = ("devices", "pairs", "totals")

#: The columns of a table, and the maximum width of each.
_Layout = Sequence[tuple[Cell, int]]

# One end of a pair. Both together are 120 columns: 2 * (17 + 10 + 10 + 16), and
# two blanks between each two of the eight columns. tabulate wants two blanks more
# in a column than in its header.
_END: _Layout = ((WHO, 17), (STATE, 10), (QUEUES, 10), (XDP_RPS, 16))

# A device of any kind: 17 + 10 + 10 + 10 + 28 + 31 and the blanks between.
_DEVICE: _Layout = (
    *((WHO, 17), (KIND, 10), (STATE, 10)),
    *((QUEUES, 10), (XDP_RPS, 28), (PEER, 31)),
)
_IN = {
    cell: [column for column in COLUMNS if column.cell == cell] for cell, _ in _DEVICE
}


def _render(layout: _Layout, rows: Sequence[Sequence[str]]) -> str:
    # Names such as "1e5" are not numbers. tabulate could wrap cells itself
    # (maxcolwidths), but that takes as long as the rest of the report.
    return tabulate.tabulate(
        rows,
        headers=[cell.header for cell, _ in layout],
        tablefmt="simple",
        disable_numparse=True,
    )


def _wrapped(texts: Sequence[str], width: int) -> str:
    return "\n".join(
        text if len(text) <= width else textwrap.fill(text, width) for text in texts
    )


def _cells(layout: _Layout, device: Device) -> list[str]:
    return [
        _wrapped([t for column in _IN[cell] for t in lines(column, device)], width)
        or "-"
        for cell, width in layout
    ]


def _end(device: Device) -> list[str]:
    return _cells(_END, device)


def _unknown_end(ref: DeviceRef) -> list[str]:
    known = of_ref(ref)
    who = [known["netns"], f"{known['ifindex']}: {known['name']}"]
    if known["off_list"]:
        who.append(f"({known['off_list']})")
    return [_wrapped(who, _END[0][1])] + [words.UNKNOWN] * (len(_END) - 1)


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return the pairs, both ends side by side.

    :param all_devices: All devices, to look up an end that a filter has removed
    """
    rows = rows_of_pairs(snapshot.pairs, all_devices, _end, _unknown_end)
    return _render((*_END, *_END), list(rows))


def devices(snapshot: Snapshot) -> str:
    """Return the devices of every kind."""
    return _render(_DEVICE, [_cells(_DEVICE, device) for device in snapshot.devices])


def _has_rps(device: Device) -> bool:
    if isinstance(device.rps, Unreadable):
        return False
    return any(isinstance(q.cpus, tuple) and q.cpus for q in device.rps)


def totals(snapshot: Snapshot) -> str:
    """Return one line with the totals."""
    kinds: dict[str, int] = {}
    for pair in snapshot.pairs:
        kinds[pair.kind] = kinds.get(pair.kind, 0) + 1
    by_kind = ", ".join(
        f"{number} {words.cell(kind)}" for kind, number in sorted(kinds.items())
    )
    # Unreadable values are counted separately, below.
    modes = {
        mode: sum(
            isinstance(getattr(device.xdp, mode), XdpProgram)
            for device in snapshot.devices
        )
        for mode in XDP_MODES
    }
    rps = sum(_has_rps(device) for device in snapshot.devices)
    missing = sum(1 for _ in unreadable_in(snapshot))
    line = (
        f"{count(len(snapshot.pairs), 'pair')}{f' ({by_kind})' if by_kind else ''}, "
        f"{count(len(snapshot.devices), 'device')} in "
        f"{count(len(snapshot.namespaces), 'namespace')}; XDP: "
        + ", ".join(f"{number} {mode}" for mode, number in modes.items())
        + f"; RPS on {count(rps, 'device')}"
    )
    return f"{line}; {count(missing, 'value')} unreadable" if missing else line
