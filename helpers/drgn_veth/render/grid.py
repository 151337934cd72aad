# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tables that fit
---------------

How wide each column of a table may be, and the table. tabulate could wrap cells itself
(maxcolwidths), but that takes as long as the rest of the report.
"""

from collections import Counter
from collections.abc import Sequence
import itertools
from typing import Callable, NamedTuple, Optional

from .style import PLAIN, Style
from .width import cut, narrow, spread, width, wrap

__all__ = ("Column", "Row", "grid")

_GAP = 2  # between columns, as tabulate has it

#: A cell for each column; a line of a cell stands for itself.
Row = Sequence[str]
#: Returns a painted line of a cell.
Paint = Callable[[str], str]


class Column(NamedTuple):
    """A column of a table, and what it may lose if the screen is narrow."""

    header: str
    #: It gets no narrower than that, unless its cells are.
    least: int = 4
    #: A word that is too long is cut, or else broken over lines.
    is_cut: bool = False
    #: What continues a cell is indented by that.
    indent: str = ""
    paint: Optional[Paint] = None


def _lines(cell: str) -> list[str]:
    return cell.split("\n")


# Each cell that takes another line makes a table harder to read, and each word that is
# cut more so.
_LINE = 1
_CUT = 6
_NEVER = 1 << 30
_STEP = 8  # columns: if one less saves nothing, a few less may


def _costs(column: Column, cells: Sequence[str], room: int) -> list[int]:
    # What each width of a column costs, up to one that costs nothing or has no room.
    texts = [line for cell in cells for line in _lines(cell)]
    lines = Counter(map(width, texts))
    words = Counter(
        width(word) + (len(column.indent) if i else 0)
        for line in texts
        for i, word in enumerate(line.split(" "))
    )
    natural = min(max(lines), room)
    costs = [0] * (natural + 1)
    for length, number in lines.items():
        for i in range(1, min(length, natural + 1)):
            costs[i] += _LINE * number * ((length - 1) // i)
    for length, number in words.items():
        for i in range(1, min(length, natural + 1)):
            costs[i] += _CUT * number
    for i in range(min(column.least, natural)):
        costs[i] = _NEVER
    return costs


def _widths(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int
) -> list[int]:
    # What each column has: its widest cell, or less if all do not fit.
    costs = [_costs(column, one, room) for column, one in zip(columns, cells)]
    widths = [len(one) - 1 for one in costs]
    room -= _GAP * (len(columns) - 1)
    while sum(widths) > room:
        # The column gives that loses least for what it gives, and then the widest.
        steps = [
            ((costs[i][less] - costs[i][now]) / (now - less), -now, i, less)
            for i, now in enumerate(widths)
            for less in range(max(now - _STEP, 1), now)
        ]
        if not steps:
            break
        _, _, i, less = min(steps)
        widths[i] = less
    return widths


def _cell(text: str, columns: int, column: Column, style: Style) -> str:
    lines = []
    for line in _lines(text):
        if width(line) > columns:
            if column.is_cut:
                first, *rest = line.split(" ")
                least = columns - len(column.indent)
                words = [cut(first, columns, style.ellipsis)]
                words += [cut(word, least, style.ellipsis) for word in rest]
                line = " ".join(words)
            lines += wrap(line, columns, rest=column.indent, keep=True)
        else:
            lines.append(line)
    if column.paint is not None and style.color:
        lines = [column.paint(line) for line in lines]
    return spread("\n".join(lines))


def grid(
    columns: Sequence[Column],
    rows: Sequence[Row],
    style: Style = PLAIN,
    room: Optional[int] = None,
    below: Sequence[Sequence[str]] = (),
) -> list[str]:
    """
    Return the lines of a table that is no wider than the screen.

    Cells are broken at blanks; :data:`~.width.KEEP` is one that they are not broken at.

    :param rows: At least one
    :param room: How wide it may be, by default as wide as the screen
    :param below: For each row, lines that stand below it, as they are
    """
    import tabulate  # The only use: JSON and CSV work without it.

    shown = [[style.shown(cell) for cell in row] for row in rows]
    headers = [style.shown(column.header) for column in columns]
    by_column = [list(cells) for cells in zip(headers, *shown)]
    widths = _widths(columns, by_column, style.width if room is None else room)
    plain = [column._replace(paint=None) for column in columns]
    header = [_cell(h, w, c, style) for h, w, c in zip(headers, widths, plain)]
    # Names such as "1e5" are not numbers. The header is a row, as tabulate would want
    # two blanks more in a column than in its header.
    cells = [
        header,
        *(
            [_cell(t, w, c, style) for t, w, c in zip(row, widths, columns)]
            for row in shown
        ),
    ]
    table = tabulate.tabulate(cells, tablefmt="plain", disable_numparse=True)
    lines = (narrow(line).rstrip() for line in table.splitlines())
    heights = [1 + max(cell.count("\n") for cell in row) for row in cells]
    found = [style.paint(line, "bold") for line in itertools.islice(lines, heights[0])]
    for i, height in enumerate(heights[1:]):
        found += itertools.islice(lines, height)
        found += below[i] if below else ()
    return found
