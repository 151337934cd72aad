# SPDX-License-Identifier: LGPL-2.1-or-later
"""
CSV
---

One row per device or pair.

Device names are untrusted. A spreadsheet runs a cell that begins like a formula, so
such a cell gets a single quote in front, as OWASP recommends against CSV injection. A
negative number is no formula.
"""

from collections.abc import Iterable, Sequence
import csv
import functools
import io
import re
from typing import Optional

from ..model import Device, DeviceRef, Snapshot
from . import words
from .columns import HEADER, Column, columns_with, of_ref, rows_of_pairs

__all__ = ("devices", "pairs", "rows")

# Some spreadsheets take the wide forms, too.
_RUN = "=+@\\-\uff1d\uff0b\uff0d\uff20"
#: What a spreadsheet would run: also behind what it may separate cells by, a semicolon
#: or a tab, even in quotes.
_FORMULA = re.compile(rf"(^|[;\t\r\n])(?=\s*[{_RUN}])|^(?=[\t\r\n])")
_NUMBER = re.compile(r"-[0-9]+")


def _harmless(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else _FORMULA.sub(r"\1'", cell)


def rows(cells: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as a CSV file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_harmless(cell) for cell in row] for row in cells)
    return out.getvalue()


def _row(columns: Sequence[Column], device: Device) -> list[str]:
    return [column.text(device) for column in columns]


def _unknown(ref: DeviceRef) -> list[str]:
    known = of_ref(ref)
    return [known.get(name, words.UNKNOWN) for name in HEADER]


def devices(snapshot: Snapshot, all_devices: Optional[Sequence[Device]] = None) -> str:
    """
    Return a row for each device.

    :param all_devices: All devices, if a filter has removed some
    """
    columns = columns_with(snapshot.devices if all_devices is None else all_devices)
    return rows([HEADER, *(_row(columns, device) for device in snapshot.devices)])


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return a row for each pair: the columns of a device for each end.

    :param all_devices: All devices, to look up an end that a filter has removed
    """
    header = ["kind"] + [f"{side}_{name}" for side in "ab" for name in HEADER]
    row_of = functools.partial(_row, columns_with(all_devices))
    ends = rows_of_pairs(snapshot.pairs, all_devices, row_of, _unknown)
    body = ([words.cell(p.kind), *row] for p, row in zip(snapshot.pairs, ends))
    return rows([header, *body])
