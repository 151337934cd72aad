# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where everything in a picture is
--------------------------------

Boxes on a grid, the host first: each goes where there is room highest up. A box has two
shapes: open, with a row for each device, and folded, with a small square for each. The
page's script places boxes in the same way when one is folded.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple
import unicodedata

from .columns import Columns, Place, in_columns
from .scene import Box, Row, Scene

__all__ = (
    "BADGE_GAP",
    "DOT",
    "GLYPH",
    "HEAD",
    "INNER_GAP",
    "LINE",
    "MARGIN",
    "PAD",
    "Grid",
    "Layout",
    "Placed",
    "Shape",
    "badge_width",
    "cells",
    "fitted",
    "pack",
    "place_scene",
    "shape_of",
    "text_width",
)

MARGIN = 16
PAD = 10
HEAD = 30  #: the label of a box
LINE = 14  #: a line below it
GLYPH = 18  #: the state of a device, left of its name
DOT = 12  #: a device of a folded box
BADGE_GAP = 4
INNER_GAP = 16
_DOT_STEP = DOT + 2
_GAP_Y = 16
_GAP_X = 44
_GAP_X_QUIET = 20
_GAP_Y_QUIET = 10

_NARROWEST, _WIDEST = 150, 330
_PAGE = 1500  # pixels: about what a screen shows without scrolling sideways
_WIDE = 1.6  # times as wide as high, if there is room

# More devices: boxes start folded. More edges: an edge is shown once it is asked for.
_MOST_OPEN = 400
_MOST_EDGES = 150
# More edges: each is faint.
_MANY_EDGES = 50


_CELL = 0.605  # of a font's size: how wide its characters are at most


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cells(text: str) -> int:
    """Return how many columns a text takes in a fixed-width font."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def text_width(text: str, size: float) -> float:
    """
    Return the width of a text in pixels.

    :param size: Of the font
    """
    return cells(text) * size * _CELL


def fitted(text: str, width: float, size: float) -> str:
    """
    Return a text that is no wider than that, "" if nothing fits.

    >>> fitted("veth_xxx0", 60, 12)
    'veth_xx…'
    """
    if text_width(text, size) <= width:
        return text
    end, taken = 0, 1
    for char in text:
        taken += _cells(char)
        if taken * size * _CELL > width:
            break
        end += 1
    return f"{text[:end]}…" if end else ""


def badge_width(text: str) -> float:
    """Return the width of a badge in pixels."""
    return text_width(text, 10) + 10


def _row_width(row: Row) -> float:
    note = text_width(row.note, 10) + 8 if row.note else 0
    badges = sum(badge_width(badge.text) + BADGE_GAP for badge in row.badges)
    return GLYPH + text_width(row.name, 12) + note + badges + 8


class Shape(NamedTuple):
    """A box, open or folded."""

    columns: int  #: of the grid
    height: float
    inside: Columns


class Placed(NamedTuple):
    """A box of the picture."""

    box: Box
    open: Shape
    folded: Shape


class Grid(NamedTuple):
    """The columns that the boxes are in."""

    columns: int
    width: float  #: of a box in one column
    gap_x: float
    gap_y: float

    def box_width(self, columns: int) -> float:
        """Return the width of a box in some columns."""
        return columns * self.width + (columns - 1) * self.gap_x

    def x(self, column: int) -> float:
        """Return where a column begins."""
        return column * (self.width + self.gap_x)


class Layout(NamedTuple):
    """A picture, before it is drawn."""

    grid: Grid
    boxes: tuple[Placed, ...]
    folded: bool  #: boxes start folded
    quiet: bool  #: edges are shown only once they are asked for
    faint: bool  #: there are many edges


def pack(
    sizes: Sequence[tuple[int, float]], grid: Grid
) -> tuple[list[tuple[int, float]], float]:
    """
    Return the column and height of each box, and the height of all.

    :param sizes: Columns and height of each box
    """
    ends = [0.0] * grid.columns
    places = []
    for columns, height in sizes:
        tops = [
            max(ends[c : c + columns]) for c in range(max(1, len(ends) - columns + 1))
        ]
        top = min(tops)
        column = tops.index(top)
        places.append((column, top))
        for c in range(column, min(column + columns, len(ends))):
            ends[c] = top + height + grid.gap_y
    return places, max([0.0, *(end - grid.gap_y for end in ends)])


def _open_at(box: Box) -> float:
    # Where the rows of an open box begin.
    return HEAD + LINE * len(box.lines) + (6 if box.lines else 2)


def _open(box: Box, peers: dict[int, int], columns: int, grid: Grid) -> Shape:
    there = {row.device for row in box.all()}
    # Room for the edges of pairs within the box.
    lane = 18 if any(peers.get(d) in there for d in there) else 0
    width = grid.box_width(columns) - 2 * PAD
    each = (width - (columns - 1) * INNER_GAP) / columns - lane
    at = Place(PAD, _open_at(box), each, 0)
    inside = in_columns(box.rows, peers, columns, at, INNER_GAP + lane)
    height = at.y + inside.height + (PAD - 4 if there else 2)
    return Shape(columns, height, inside)


def _folded(box: Box, columns: int, grid: Grid) -> Shape:
    devices = [row.device for row in box.all()]
    width = grid.box_width(columns) - 2 * PAD
    beside = len(devices) * _DOT_STEP
    if beside <= width * 0.4:
        # The label needs no more than a half.
        x, y, each = width + PAD - beside, (HEAD - DOT) / 2, len(devices)
        height = float(HEAD)
    else:
        each = int((width + 2) // _DOT_STEP)
        x, y = float(PAD), float(HEAD)
        height = HEAD + math.ceil(len(devices) / each) * _DOT_STEP + PAD - 2
    dots = {
        device: Place(x + i % each * _DOT_STEP, y + i // each * _DOT_STEP, DOT, DOT)
        for i, device in enumerate(devices)
    }
    return Shape(columns, height, Columns(1, height, dots, (), ()))


def _spread(one: Shape, tallest: float, most: int) -> int:
    return max(1, min(most, math.ceil(one.height / max(tallest, 1.0))))


def place_scene(scene: Scene) -> Layout:
    """Return where everything in a picture is."""
    peers = {edge.a: edge.b for edge in scene.edges}
    peers.update((edge.b, edge.a) for edge in scene.edges)
    rows = [row for box in scene.boxes for row in box.all()]
    quiet = len(scene.edges) > _MOST_EDGES
    folded = len(rows) > _MOST_OPEN
    widest = max(map(_row_width, rows), default=0) + 25
    width = 2 * PAD + min(max(widest, _NARROWEST), _WIDEST)
    gap = _GAP_X_QUIET if quiet else _GAP_X
    one = Grid(1, width, gap, _GAP_Y_QUIET if quiet else _GAP_Y)
    opened = [_open(box, peers, 1, one) for box in scene.boxes]
    closed = [_folded(box, 1, one) for box in scene.boxes]
    shown = closed if folded else opened
    area = sum(shape.height + one.gap_y for shape in shown) * (width + gap)
    most = max(2, int((_PAGE + gap) // (width + gap)))
    columns = max(1, min(most, round(math.sqrt(area * _WIDE) / (width + gap))))
    if len(scene.boxes) > 1:
        columns = max(columns, 2)
    grid = one._replace(columns=columns)
    tallest = max(300.0, area / (columns * (width + gap)))
    if len(scene.boxes) > 1:
        most = max(1, columns - 1)
    else:
        most = columns
    placed = []
    for box, one_open, one_closed in zip(scene.boxes, opened, closed):
        open_height = max(tallest, 600.0) if folded else tallest
        placed.append(
            Placed(
                box,
                _open(box, peers, _spread(one_open, open_height, most), grid),
                _folded(box, _spread(one_closed, tallest, most), grid),
            )
        )
    faint = len(scene.edges) > _MANY_EDGES
    return Layout(grid, tuple(placed), folded, quiet, faint)


def shape_of(placed: Placed, folded: bool) -> Shape:
    """Return the shape of a box."""
    return placed.folded if folded else placed.open
