# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices in columns
------------------

A box has its devices one below the other, in as many columns as are asked for. A master
is a frame around its ports; if it goes on in the next column, that says so.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from .scene import Row

__all__ = ("FRAME_END", "ROW", "ROW_STEP", "Columns", "Place", "in_columns")

#: Height of a row, and from one to the next.
ROW = 20
ROW_STEP = 24
#: Between the last port and the end of its master's frame.
FRAME_END = 6
_INDENT = 10
_RIGHT = 5
# Around a frame.
_APART = 4


class Place(NamedTuple):
    """Where something is, in a box or in the picture."""

    x: float
    y: float
    width: float
    height: float


class Columns(NamedTuple):
    """Where the devices of a box are, from its upper left corner."""

    number: int
    height: float
    devices: dict[int, Place]
    frames: tuple[Place, ...]
    #: Where a master goes on, and its name.
    continued: tuple[tuple[Place, str], ...]


class _Line(NamedTuple):
    row: Row
    masters: tuple[Row, ...]  # outermost first
    stays: bool  # with the line before it
    before: float  # blank space
    after: float


def _lines(
    rows: Sequence[Row], peers: dict[int, int], masters: tuple[Row, ...] = ()
) -> Iterator[_Line]:
    last: Optional[Row] = None
    for row in rows:
        apart = _APART if row.ports else 0
        stays = (
            last is not None
            and not last.ports
            and not row.ports
            and peers.get(row.device) == last.device
        )
        yield _Line(row, masters, stays, apart, 0)
        inside = list(_lines(row.ports, peers, (*masters, row)))
        if inside:
            # A master stays with its first port.
            inside[0] = inside[0]._replace(stays=True)
            inside[-1] = inside[-1]._replace(after=inside[-1].after + FRAME_END)
        yield from inside
        last = row


def _cut(lines: Sequence[_Line], most: float) -> list[list[_Line]]:
    # Columns that are no higher than that, where lines stay together.
    columns: list[list[_Line]] = [[]]
    height = 0.0
    for i, line in enumerate(lines):
        together = [line]
        while i + len(together) < len(lines) and lines[i + len(together)].stays:
            together.append(lines[i + len(together)])
        need = sum(ROW_STEP + one.before + one.after for one in together)
        if columns[-1] and height + need > most and not line.stays:
            columns.append([])
            height = ROW_STEP * len(line.masters)
        columns[-1].append(line)
        height += ROW_STEP + line.before + line.after
    return columns


class _Column:
    def __init__(self, x: float, y: float, width: float) -> None:
        self.x, self.y, self.width = x, y, width
        self.devices: dict[int, Place] = {}
        self.frames: list[Place] = []
        self.continued: list[tuple[Place, str]] = []
        self._open: list[tuple[Row, float]] = []  # masters, and where they begin

    def _place(self, depth: int) -> Place:
        return Place(
            self.x + _INDENT * depth,
            self.y,
            self.width - (_INDENT + _RIGHT) * depth,
            ROW,
        )

    def close(self, depth: int) -> None:
        while len(self._open) > depth:
            _, top = self._open.pop()
            place = self._place(len(self._open))
            end = self.y - (ROW_STEP - ROW) + FRAME_END
            self.frames.append(place._replace(y=top, height=end - top))
            self.y += FRAME_END

    def add(self, line: _Line) -> None:
        common = 0
        for (row, _), master in zip(self._open, line.masters):
            if row.device != master.device:
                break
            common += 1
        self.close(common)
        for master in line.masters[common:]:
            place = self._place(len(self._open))
            self.continued.append((place, f"{master.name}, continued"))
            self._open.append((master, self.y))
            self.y += ROW_STEP
        if self.devices or self.continued:
            self.y += line.before
        self.devices[line.row.device] = self._place(len(line.masters))
        if line.row.ports:
            self._open.append((line.row, self.y))
        self.y += ROW_STEP


def in_columns(
    rows: Sequence[Row],
    peers: dict[int, int],
    count: int,
    at: Place,
    gap: float,
) -> Columns:
    """
    Return where the devices of a box are.

    :param peers: The other end of each pair, both ways
    :param count: Columns, at most
    :param at: Where the columns begin; each has this width
    :param gap: Between two columns
    """
    lines = list(_lines(rows, peers))
    total = sum(ROW_STEP + line.before + line.after for line in lines)
    most = total / count
    cut = _cut(lines, most)
    while len(cut) > count:
        most += ROW_STEP
        cut = _cut(lines, most)
    devices: dict[int, Place] = {}
    frames: list[Place] = []
    continued: list[tuple[Place, str]] = []
    height = 0.0
    for i, lines in enumerate(cut):
        column = _Column(at.x + i * (at.width + gap), at.y, at.width)
        for line in lines:
            column.add(line)
        column.close(0)
        devices.update(column.devices)
        frames += column.frames
        continued += column.continued
        height = max(height, column.y - at.y)
    return Columns(len(cut), height, devices, tuple(frames), tuple(continued))
