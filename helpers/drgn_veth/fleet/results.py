# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The results of a dump
---------------------

Its rows in the tables, or its line of JSON.
"""

from collections.abc import Mapping
import json
from typing import Any, BinaryIO

from ..core.text import as_in_snapshot
from .dumps import Dump
from .folder import Folder
from .told import Told, row_of_file
from .writing import JSONL, parquet, write_part

__all__ = ("write_file", "write_line", "write_tables")


def write_tables(folder: Folder, dump: Dump, tables: Mapping[str, Any]) -> None:
    """
    Write the rows of a dump.

    :param tables: Rows by table; what is missing has none
    :raises OSError: if they cannot be written
    """
    # All are made before the first is there.
    parts = {
        name: parquet(name, tables[name]) for name in folder.tables if name in tables
    }
    # The row of an earlier run would claim that they are complete.
    folder.forget(folder.tables[-1], dump.id)
    for name, write in parts.items():
        write_part(folder.part(name, dump.id), write)


def _line_of(dump: Dump, told: Told, report: Any) -> str:
    head = {
        "source": as_in_snapshot(dump.path),
        "size": dump.size,
        "mtime": dump.mtime_ns / 1e9,
        **told._asdict(),
    }
    return json.dumps({**head, "report": report}) + "\n"


def write_line(folder: Folder, dump: Dump, told: Told, report: Any) -> None:
    """
    Write the line of a dump.

    :param report: What ``--format json`` prints, None if it was not read
    :raises OSError: if it cannot be written
    """
    data = _line_of(dump, told, report).encode()

    def write(f: BinaryIO) -> None:
        f.write(data)

    write_part(folder.part(folder.tables[-1], dump.id), write)


def write_file(folder: Folder, dump: Dump, told: Told) -> None:
    """
    Write what is known of a file that was not read.

    :raises OSError: if it cannot be written
    """
    if folder.format == JSONL:
        write_line(folder, dump, told, None)
        return
    # What it may have from a run that was broken off.
    for table in reversed(folder.tables):
        folder.forget(table, dump.id)
    write_tables(folder, dump, {"dumps": [row_of_file(dump, told)]})
