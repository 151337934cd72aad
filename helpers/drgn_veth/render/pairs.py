# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Pairs
-----

The two ends of a pair in two rows, and what an attach of native XDP to each would meet.
"""

from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple, Optional

from ..analysis.attach.question import Answer
from ..analysis.chains import chains_above
from ..analysis.shown import End, Shown
from ..core.english import plural
from ..model import BridgePort, Device, DeviceRef, XdpProgram
from . import native, words
from .grid import Column, grid
from .style import PLAIN, Style
from .width import KEEP, width, wrap

__all__ = ("pairs",)

_NONE = "-"


def _mark(severity: Optional[str]) -> str:
    return KEEP if severity is None else severity[0].upper()


def _above(end: Device, devices: Mapping[int, Device]) -> Sequence[str]:
    # The first chain of devices above, with the port's state if it does not forward.
    if end.uppers == ():
        return ()
    port = end.bridge_port
    state = port.state if isinstance(port, BridgePort) else None
    for chain in chains_above(end, devices):
        above = words.chain(chain, end).replace("< ", f"<{KEEP}")
        if isinstance(state, str) and state != "forwarding":
            above += f" ({words.cell(state)})"
        return (f"<{KEEP}{above}",)
    return ()


def _notes(end: End) -> Sequence[str]:
    if end.off_list is not None:
        return (f"({words.cell(end.off_list)})".replace(" ", KEEP),)
    if isinstance(end, Device) and end.reg_state != "REGISTERED":
        return (f"({words.cell(end.reg_state).lower()})",)
    return ()


class _Facts(NamedTuple):
    """What is said of an end."""

    mark: str
    netns: str
    device: str
    state: str
    mtu: str
    queues: str
    xdp: str
    rps: str
    native: str


def _facts(
    end: End,
    start: str,
    devices: Mapping[int, Device],
    worst: Mapping[int, str],
    answers: Mapping[int, Answer],
) -> _Facts:
    ref = end if isinstance(end, DeviceRef) else end.ref
    mark, netns = _mark(worst.get(end.net_device)), words.netns(ref)
    name = [f"{start}{words.cell(end.name)}"]
    if isinstance(end, DeviceRef):
        who = " ".join([*name, *_notes(end)])
        return _Facts(mark, netns, who, *(words.UNKNOWN for _ in range(6)))
    who = " ".join([*name, *_above(end, devices), *_notes(end)])
    rx, tx = (words.cell(queue.real) for queue in end.queues)
    rps, rfs = words.rps(end), words.rfs(end)
    steered = f"{rps} rfs{KEEP}{rfs}" if rfs else rps
    return _Facts(
        *(mark, netns, who, words.state(end), words.cell(end.mtu), f"{rx}/{tx}"),
        ", ".join(words.xdp(end) + words.af_xdp(end)) or _NONE,
        steered or _NONE,
        _native(end, answers.get(end.net_device)),
    )


def _marked(style: Style) -> Callable[[str], str]:
    def paint(line: str) -> str:
        colour = {"E": "red", "W": "yellow"}.get(line[:1])
        if colour is None or line[1:2] != KEEP:
            return line
        return style.paint(line[:1], colour, "bold") + line[1:]

    return paint


def _state_paint(style: Style) -> Callable[[str], str]:
    def paint(line: str) -> str:
        down = line.startswith(("DOWN", "NO-CARRIER"))
        return style.paint(line, "yellow") if down else line

    return paint


_NO_FAULT = ("ok", f"EBUSY{KEEP}", words.UNKNOWN)


def _native(end: Device, given: Optional[Answer]) -> str:
    said = native.answer(given)
    # That its native program runs already is no fault: the blank tells the paint.
    runs = isinstance(end.xdp.driver, XdpProgram)
    return f"{said}{KEEP}" if said == "EBUSY" and runs else said


def _native_paint(style: Style) -> Callable[[str], str]:
    def paint(line: str) -> str:
        return line if line in _NO_FAULT else style.paint(line, "red")

    return paint


_Table = tuple[list[Column], list[list[str]]]


def _wide(facts: Sequence[_Facts], style: Style) -> _Table:
    columns = [
        Column(f"{KEEP}{KEEP}NETNS", 8, True, KEEP * 2, _marked(style)),
        Column("DEVICE", 12, True, KEEP * 2),
        Column("STATE", 10, False, "", _state_paint(style)),
        Column("MTU"),
        Column("RX/TX", 5),
        Column("XDP", 7, True),
        Column("RPS", 5),
        Column("NATIVE XDP", 11, False, "", _native_paint(style)),
    ]
    return columns, [[f"{f.mark}{KEEP}{f.netns}", *f[2:]] for f in facts]


def _ways(facts: _Facts) -> str:
    # XDP and RPS in one cell.
    ways = [facts.xdp] if facts.xdp != _NONE else []
    if facts.rps != _NONE:
        ways.append(f"rps{KEEP}{facts.rps}")
    return " ".join(ways) or _NONE


def _medium(facts: Sequence[_Facts], style: Style) -> _Table:
    columns, rows = _wide(facts, style)
    columns[5:7] = [Column("XDP, RPS", 9, True)]
    for row, f in zip(rows, facts):
        row[5:7] = [_ways(f)]
    return columns, rows


def _narrow(facts: Sequence[_Facts], style: Style) -> _Table:
    columns = [
        Column(f"{KEEP}{KEEP}DEVICE (NETNS)", 14, True, KEEP * 4, _marked(style)),
        Column("STATE MTU RX/TX", 10, False, "", _state_paint(style)),
        Column("XDP, RPS", 9, True),
        Column("NATIVE XDP", 11, False, "", _native_paint(style)),
    ]
    rows = [
        [
            f"{f.mark}{KEEP}{f.device} ({f.netns})",
            f"{f.state} {f.mtu} {f.queues}",
            _ways(f),
            f.native,
        ]
        for f in facts
    ]
    return columns, rows


#: The columns of a screen of so many columns or more: the first that fits.
_LAYOUTS = ((100, _wide), (76, _medium), (0, _narrow))


# What is the same in each row may be said once: header, and how it is said.
_SAID = {"MTU": "MTU {}", "RX/TX": "RX/TX {}", "XDP": "XDP {}", "RPS": "RPS {}"}
_SAID["XDP, RPS"] = "{}"


def _without_constants(table: _Table, style: Style) -> tuple[_Table, list[str]]:
    columns, rows = table
    natural = sum(
        max(width(style.shown(text)) for text in (column.header, *cells)) + 2
        for column, *cells in zip(columns, *rows)
    )
    if natural - 2 <= style.width or len(rows) < 2:
        return table, []
    same = {
        i: rows[0][i]
        for i, column in enumerate(columns)
        if column.header in _SAID and len({row[i] for row in rows}) == 1
    }
    kept = [i for i in range(len(columns)) if i not in same]
    said = [
        ", ".join(f"no {what}" for what in columns[i].header.split(", "))
        if text == _NONE
        else _SAID[columns[i].header].format(text)
        for i, text in same.items()
    ]
    return ([columns[i] for i in kept], [[row[i] for i in kept] for row in rows]), said


def _left_out(shown: Shown, style: Style) -> list[str]:
    parts = []
    if shown.more:
        parts.append(f"{shown.more:,} more with findings, XDP or RPS")
    if shown.plain:
        parts.append(f"{shown.plain:,} plain {plural('pair', shown.plain)}")
    said = (
        [f"not shown: {' and '.join(parts)}; --all-pairs shows them"] if parts else []
    )
    if shown.others:
        number = f"{shown.others:,} {plural('device', shown.others)}"
        said.append(f"not shown: {number} without a pair, XDP or RPS; --all shows them")
    return [line for one in said for line in wrap(one, style.width, "  ", "    ")]


def pairs(
    shown: Shown,
    devices: Mapping[int, Device],
    worst: Mapping[int, str],
    answers: Mapping[int, Answer],
    style: Style = PLAIN,
) -> list[str]:
    """
    Return the lines of a table with a row for each end of a pair, and for each single
    device.

    :param devices: All devices, by ``net_device``
    :param worst: See :func:`~drgn_veth.analysis.shown.marks()`
    :param answers: See :func:`~drgn_veth.analysis.native.native_answers()`
    """
    facts = [
        _facts(end, style.corner if i else "", devices, worst, answers)
        for row in shown.rows
        for i, end in enumerate(row)
    ]
    lines = []
    if facts:
        make = next(make for least, make in _LAYOUTS if style.width >= least)
        table, said = _without_constants(make(facts, style), style)
        columns, rows = table
        if not answers:
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        lines = grid(columns, rows, style)
        if said:
            lines += wrap(f"all of these: {', '.join(said)}", style.width, "  ", "    ")
    return lines + _left_out(shown, style)
