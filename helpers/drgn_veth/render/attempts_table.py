# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers to XDP attaches to many devices
---------------------------------------

How many get which answer, then the devices: those with the same answers in one row.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..analysis.attach.alike import Answered
from ..analysis.attach.question import Answer
from ..core.english import count
from ..core.xdp_modes import IP_LINK
from ..model import Device
from . import words
from .attempts import outcome, painted, same_ways
from .commands import hint
from .style import PLAIN, Style
from .width import KEEP, width, wrap

__all__ = ("all_devices",)

_GAP = 2
_MOST = 100  # devices of a row that are named
_FEW = 20  # and of one with so many
_NARROWEST = 24  # columns of the devices
_WIDEST_MODE = 12


class _Row(NamedTuple):
    cells: dict[str, str]  # by mode
    devices: list[Device]

    @property
    def rank(self) -> int:
        # Most devices have no offload, and many no driver mode.
        for i, modes in enumerate((("default", "generic"), self.cells)):
            if any(self.cells.get(mode, "ok") != "ok" for mode in modes):
                return i
        return 2


def _cell(answers: Sequence[Answered]) -> str:
    # What one mode answers.
    by_word: dict[str, list[tuple[str, bool]]] = {}
    for one in answers:
        by_word.setdefault(outcome(one.answer), []).append((one.via, one.frags))
    if len(by_word) == 1:
        return next(iter(by_word))
    every = [(one.via, one.frags) for one in answers]
    first, *others = by_word.items()
    return ", ".join(
        [first[0], *(f"{w} {same_ways(ways, every)}" for w, ways in others)]
    )


def _cells(answers: Sequence[Answered]) -> dict[str, str]:
    by_mode: dict[str, list[Answered]] = {}
    for one in answers:
        by_mode.setdefault(one.mode, []).append(one)
    return {mode: _cell(same) for mode, same in by_mode.items()}


def _rows(
    answered: Iterable[tuple[Device, Sequence[Answered]]],
) -> tuple[list[_Row], list[Sequence[Answered]]]:
    # The rows, and all answers that differ.
    rows: dict[tuple[str, ...], _Row] = {}
    cells_of: dict[int, dict[str, str]] = {}
    different: list[Sequence[Answered]] = []
    for device, answers in answered:
        # Devices that are alike have the same list.
        cells = cells_of.get(id(answers))
        if cells is None:
            cells = cells_of[id(answers)] = _cells(answers)
            different.append(answers)
        row = rows.setdefault(tuple(cells.values()), _Row(cells, []))
        row.devices.append(device)
    return sorted(rows.values(), key=lambda row: row.rank), different


def _named(devices: Sequence[Device]) -> Iterator[str]:
    # Paragraphs: a namespace each if that is shorter.
    most = _FEW if len(devices) > _MOST else len(devices)
    by_netns: dict[str, list[str]] = {}
    for device in devices[:most]:
        name = device.name
        word = words.cell(name)
        if not isinstance(name, str):
            word = f"?{KEEP}{words.cell(device.ifindex)}"
        by_netns.setdefault(words.netns(device.ref), []).append(word)
    more = f"and {len(devices) - most} more" if len(devices) > most else ""
    if len(by_netns) * 2 > most:
        names = [f"{n}{KEEP}({netns})" for netns, of in by_netns.items() for n in of]
        yield ", ".join([*names, more] if more else names)
        return
    for netns, names in by_netns.items():
        yield f"{netns}: {' '.join(names)}"
    if more:
        yield more


def _counts(rows: Sequence[_Row], modes: Sequence[str], style: Style) -> Iterator[str]:
    # A line for each answer: how many devices have it, in each mode.
    numbers: dict[str, dict[str, int]] = {}
    for row in rows:
        for mode in modes:
            of_cell = numbers.setdefault(row.cells[mode], {})
            of_cell[mode] = of_cell.get(mode, 0) + len(row.devices)
    wide = min(
        max([*map(width, numbers), len("answer")]), style.width - 12 * len(modes)
    )
    yield style.paint(_line(["answer", *modes], [wide, *_right(modes)]), "bold")
    for word in sorted(numbers, key=_rank):
        shown = [str(numbers[word].get(mode, "-")) for mode in modes]
        first, *rest = wrap(word, wide)
        line = _line([first, *shown], [wide, *_right(modes)])
        yield painted(first, word, style) + line[len(first) :]
        yield from rest


def _right(modes: Sequence[str]) -> list[int]:
    # Numbers stand at the right.
    return [-max(len(mode), 6) for mode in modes]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for cell, columns in zip(cells, widths):
        blank = " " * (abs(columns) - width(cell))
        parts.append(f"{blank}{cell}" if columns < 0 else f"{cell}{blank}")
    return (" " * _GAP).join(parts).rstrip()


def _rank(word: str) -> tuple[int, str]:
    # Refusals, then what is unknown, then what is accepted.
    return (2 if word == "ok" else 0 if word.startswith("E") else 1, word)


def _widths(rows: Sequence[_Row], modes: Sequence[str]) -> list[int]:
    # Each wide enough for its words.
    widths = []
    for mode in modes:
        cells = [row.cells[mode] for row in rows]
        words = [width(word) for cell in cells for word in cell.split(" ")]
        longest = min(max(map(width, cells)), _WIDEST_MODE)
        widths.append(max(len(mode), longest, *words))
    return widths


def _table(rows: Sequence[_Row], modes: Sequence[str], style: Style) -> Iterator[str]:
    widths = _widths(rows, modes)
    used = sum(widths) + _GAP * len(widths)
    # Where there is no room beside the answers, devices stand below them.
    below = style.width - used < _NARROWEST
    first = "    " if below else " " * used
    yield style.paint(
        _line([*modes, *([] if below else ["devices"])], [*widths, 0]), "bold"
    )
    for row in rows:
        cells = [wrap(row.cells[mode], w) for mode, w in zip(modes, widths)]
        names = [
            line
            for text in _named(row.devices)
            for line in wrap(text, style.width, first, f"{first}  ")
        ]
        for i in range(max(map(len, cells))):
            line = ""
            for mode, cell, columns in zip(modes, cells, widths):
                part = cell[i] if i < len(cell) else ""
                line += painted(part, row.cells[mode], style)
                line += " " * (columns - width(part) + _GAP)
            if not below and names:
                line += names.pop(0)[used:]
            yield line.rstrip()
        yield from names


def _constant(rows: Sequence[_Row], modes: Sequence[str]) -> list[str]:
    # Modes in which all devices get the same answer.
    if len(rows) < 2:
        return []
    return [mode for mode in modes if len({row.cells[mode] for row in rows}) == 1]


def _messages(answers: Iterable[Answer]) -> dict[str, dict[str, None]]:
    # What each errno says here, with the functions.
    found: dict[str, dict[str, None]] = {}
    for answer in answers:
        for one in answer.either or (answer,):
            if isinstance(one.errno, int) and one.errno:
                said = f"no message from {one.function}()"
                if one.message is not None:
                    said = f'"{one.message}"'
                found.setdefault(outcome(one), {})[said] = None
    return found


def _legend(
    different: Iterable[Sequence[Answered]], modes: Sequence[str], style: Style
) -> Iterator[str]:
    messages = _messages(one.answer for answers in different for one in answers)
    wide = max([*map(len, messages), *map(len, modes)], default=0)
    meaning = {mode: f"ip link set dev DEVICE {IP_LINK[mode]}" for mode in modes}
    if "default" in meaning:
        meaning["default"] += ": native if the driver has ndo_bpf, else generic"
    if "driver" in meaning:
        meaning["driver"] += ": native XDP"
    for name, text in (
        *meaning.items(),
        *((name, "; ".join(messages[name])) for name in sorted(messages)),
    ):
        first = f"{name.ljust(wide)}  "
        lines = wrap(text, style.width, first, " " * len(first))
        lines[0] = style.paint(name, "bold") + lines[0][len(name) :]
        yield from lines


def all_devices(
    answered: Iterable[tuple[Device, Sequence[Answered]]],
    style: Style = PLAIN,
    what: str = "devices",
) -> str:
    """
    Return the answers for many devices.

    :param answered: Devices that are alike may have the same list of answers
    :param what: What the devices are, with "no" before it if there are none
    """
    rows, different = _rows(answered)
    if not rows:
        return f"no {what}\n"
    modes = list(rows[0].cells)
    constant = _constant(rows, modes)
    shown = [mode for mode in modes if mode not in constant]
    number = sum(len(row.devices) for row in rows)
    lines = [f"{count(number, 'device')}; how many get each answer:", ""]
    lines += _counts(rows, shown or modes, style)
    if shown:
        for mode in constant:
            lines.append(f"{mode}: {rows[0].cells[mode]} for all of them")
    lines += ["", *_table(rows, shown or modes, style), ""]
    lines += _legend(different, modes, style)
    lines.append("")
    lines += hint(
        "why, and what would change it", f"{style.calls.attach} DEVICE", style
    )
    lines += hint("what an errno means", f"{style.calls.explain} ERRNO", style)
    return "\n".join(lines) + "\n"
