# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tables
------

The screens of ``veth_report.py``, never wider than 120 columns.
"""

from collections.abc import Iterable, Sequence
import textwrap
from typing import Callable, Optional

import tabulate

from ..analysis.missing import missing_from
from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import XDP_MODES, Device, DeviceRef, Namespace, Snapshot, XdpProgram
from . import words
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
    of_ref,
    rows_of_pairs,
)

__all__ = ("devices", "head", "legend", "pairs", "totals")

_WIDTH = 120
_LEGEND = 60  # namespaces

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
        text
        if len(text) <= width
        # Python versions differ in where they break at hyphens.
        else textwrap.fill(text, width, break_on_hyphens=False)
        for text in texts
    ).replace("\N{NO-BREAK SPACE}", " ")


def _cells_of(
    layout: _Layout, devices: Iterable[Device]
) -> Callable[[Device], list[str]]:
    # What makes the cells of a device; *devices* are all there are.
    columns = columns_with(devices)
    inside = [
        ([column for column in columns if column.cell == cell], width)
        for cell, width in layout
    ]

    def cells(device: Device) -> list[str]:
        return [
            _wrapped([text for one in several for text in lines(one, device)], width)
            or "-"
            for several, width in inside
        ]

    return cells


def _unknown_end(ref: DeviceRef) -> list[str]:
    known = of_ref(ref)
    who = [known["netns_label"], f"{known['ifindex']}: {known['name']}"]
    if known["off_list"]:
        who.append(f"({known['off_list']})")
    return [_wrapped(who, _END[0][1])] + [words.UNKNOWN] * (len(_END) - 1)


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return the pairs, both ends side by side.

    :param all_devices: All devices, to look up an end that a filter has removed
    """
    end = _cells_of(_END, all_devices)
    rows = rows_of_pairs(snapshot.pairs, all_devices, end, _unknown_end)
    return _render((*_END, *_END), list(rows))


def devices(snapshot: Snapshot, all_devices: Optional[Sequence[Device]] = None) -> str:
    """
    Return the devices of every kind.

    :param all_devices: All devices, if a filter has removed some
    """
    cells = _cells_of(_DEVICE, snapshot.devices if all_devices is None else all_devices)
    return _render(_DEVICE, list(map(cells, snapshot.devices)))


def _in_legend(namespace: Namespace) -> str:
    text = f"{words.cell(namespace.label)} {words.cell(namespace.inum)}"
    hostname = namespace.hostname
    # What a host is called that nobody has named.
    if isinstance(hostname, str) and hostname != "(none)" and not namespace.init:
        text += f" ({words.cell(hostname)})"
    return text + (" (dying)" if namespace.dying else "")


def legend(snapshot: Snapshot) -> str:
    """Return which namespaces the labels in a table stand for."""
    shown = [_in_legend(namespace) for namespace in snapshot.namespaces[:_LEGEND]]
    more = len(snapshot.namespaces) - len(shown)
    if more:
        shown.append(f"and {more} more, which netns_report.py lists")
    # An entry stays in one line.
    text = ", ".join(entry.replace(" ", "\N{NO-BREAK SPACE}") for entry in shown)
    return textwrap.fill(
        f"namespaces: {text}",
        _WIDTH,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    ).replace("\N{NO-BREAK SPACE}", " ")


def _has_rps(device: Device) -> bool:
    if isinstance(device.rps, Unreadable):
        return False
    return any(isinstance(q.cpus, tuple) and q.cpus for q in device.rps)


def head(snapshot: Snapshot) -> str:
    """Return one line that says who holds ``rtnl_mutex``, ``""`` if nobody does."""
    owner = snapshot.target.rtnl_owner
    if owner is None or isinstance(owner, Unreadable):
        return ""
    who = f"{words.cell(owner.comm)} (pid {words.cell(owner.pid)})"
    return (
        f"rtnl_mutex is held by {who}: "
        "what it changes may be half done, and all other changes wait"
    )


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
    missing = missing_from(snapshot).brief()
    line = (
        f"{count(len(snapshot.pairs), 'pair')}{f' ({by_kind})' if by_kind else ''}, "
        f"{count(len(snapshot.devices), 'device')} in "
        f"{count(len(snapshot.namespaces), 'namespace')}; XDP: "
        + ", ".join(f"{number} {mode}" for mode, number in modes.items())
        + f"; RPS on {count(rps, 'device')}"
    )
    return f"{line}; {missing}" if missing else line
