# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices of every kind
---------------------

The table of ``veth_report.py --all``: several facts in a cell, a line for each.
"""

from collections.abc import Iterable, Sequence
from typing import Callable, Optional

from ..model import Device, Snapshot
from .columns import (
    KIND,
    PEER,
    QUEUES,
    STATE,
    WHO,
    XDP_RPS,
    Cell,
    columns_with,
    lines,
)
from .grid import Column, grid
from .style import PLAIN, Style

__all__ = ("devices",)

#: The columns, and what each needs at least.
_LAYOUT: Sequence[tuple[Cell, int]] = (
    (WHO, 12),
    (KIND, 6),
    (STATE, 8),
    (QUEUES, 8),
    (XDP_RPS, 9),
    (PEER, 9),
)


def _cells_of(devices: Iterable[Device]) -> Callable[[Device], list[str]]:
    # What makes the cells of a device; *devices* are all there are.
    columns = columns_with(devices)
    inside = [
        [column for column in columns if column.cell == cell] for cell, _ in _LAYOUT
    ]

    def cells(device: Device) -> list[str]:
        return [
            "\n".join(text for one in several for text in lines(one, device)) or "-"
            for several in inside
        ]

    return cells


def devices(
    snapshot: Snapshot,
    all_devices: Optional[Sequence[Device]] = None,
    style: Style = PLAIN,
) -> list[str]:
    """
    Return the lines of a table with the devices of every kind.

    :param all_devices: All devices, if a filter has removed some
    """
    if not snapshot.devices:
        return []
    cells = _cells_of(snapshot.devices if all_devices is None else all_devices)
    columns = [Column(cell.header, least, True, "  ") for cell, least in _LAYOUT]
    return grid(columns, list(map(cells, snapshot.devices)), style)
