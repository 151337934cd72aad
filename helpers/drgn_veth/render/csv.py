# SPDX-License-Identifier: LGPL-2.1-or-later
"""
CSV
---

One row per device or pair.

Device names are untrusted. A spreadsheet runs a cell that begins like a formula, so
such a cell gets a single quote in front, as OWASP recommends against CSV injection.
"""

from collections.abc import Iterable, Sequence
import csv
import io

from ..model import Device, DeviceRef, Snapshot
from . import words
from .columns import COLUMNS, of_ref, rows_of_pairs

__all__ = ("devices", "pairs")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HEADER = [column.name for column in COLUMNS]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _text(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def _row(device: Device) -> list[str]:
    return [column.text(device) for column in COLUMNS]


def _unknown(ref: DeviceRef) -> list[str]:
    known = of_ref(ref)
    return [known.get(name, words.UNKNOWN) for name in _HEADER]


def devices(snapshot: Snapshot) -> str:
    """Return a row for each device."""
    return _text([_HEADER, *map(_row, snapshot.devices)])


def pairs(snapshot: Snapshot, all_devices: Sequence[Device]) -> str:
    """
    Return a row for each pair: the columns of a device for each end.

    :param all_devices: All devices, to look up an end that a filter has removed
    """
    header = ["kind"] + [f"{side}_{name}" for side in "ab" for name in _HEADER]
    ends = rows_of_pairs(snapshot.pairs, all_devices, _row, _unknown)
    rows = ([words.cell(p.kind), *row] for p, row in zip(snapshot.pairs, ends))
    return _text([header, *rows])
