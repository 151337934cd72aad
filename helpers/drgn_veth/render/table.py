# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices of every kind
---------------------

The table of ``veth_report.py --all``: several facts in a cell, a line for each.
"""

from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple, Optional

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


class _Column(NamedTuple):
    header: str
    cells: tuple[Cell, ...]
    least: int


_WIDE: Sequence[_Column] = (
    _Column(WHO.header, (WHO,), 12),
    _Column(KIND.header, (KIND,), 13),  # active-backup
    _Column(STATE.header, (STATE,), 8),
    _Column(QUEUES.header, (QUEUES,), 8),
    _Column(XDP_RPS.header, (XDP_RPS,), 9),
    _Column(PEER.header, (PEER,), 9),
)
# More in each.
_NARROW: Sequence[_Column] = (
    _Column(f"{WHO.header}\n{KIND.header}", (WHO, KIND), 14),
    _Column(f"{STATE.header}\n{QUEUES.header}", (STATE, QUEUES), 10),
    _Column(XDP_RPS.header, (XDP_RPS,), 12),
    _Column(PEER.header, (PEER,), 12),
)
_WIDE_FROM = 76  # columns of a screen


def _cells_of(
    layout: Sequence[_Column], devices: Iterable[Device]
) -> Callable[[Device], list[str]]:
    # What makes the cells of a device; *devices* are all there are.
    columns = columns_with(devices)
    inside = [
        [column for cell in each.cells for column in columns if column.cell == cell]
        for each in layout
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
    layout = _WIDE if style.width >= _WIDE_FROM else _NARROW
    every = snapshot.devices if all_devices is None else all_devices
    cells = _cells_of(layout, every)
    columns = [Column(one.header, one.least, True, "  ") for one in layout]
    return grid(columns, list(map(cells, snapshot.devices)), style)
