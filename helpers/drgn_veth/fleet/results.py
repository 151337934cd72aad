# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The results of a dump
---------------------

Its rows in the tables, or its lines of JSON.
"""

from collections.abc import Iterable, Mapping
import itertools
from typing import Any, BinaryIO

from ..core.text import as_in_snapshot
from ..render.jsonl import line
from .dumps import Dump
from .folder import Folder
from .told import Told, row_of_file
from .writing import JSONL, parquet, write_part

__all__ = ("write_file", "write_lines", "write_tables")


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


def write_lines(
    folder: Folder, dump: Dump, told: Told, lines: Iterable[str] = ()
) -> None:
    """
    Write the lines of a dump. The first says what came of it.

    :param lines: Those of its report
    :raises OSError: if they cannot be written
    """
    said = {"size": dump.size, "mtime": dump.mtime_ns / 1e9, **told._asdict()}
    first = line("dump", as_in_snapshot(dump.path), said)

    def write(f: BinaryIO) -> None:
        for one in itertools.chain((first,), lines):
            f.write(one.encode())

    write_part(folder.part(folder.tables[-1], dump.id), write)


def write_file(folder: Folder, dump: Dump, told: Told) -> None:
    """
    Write what is known of a file that was not read.

    :raises OSError: if it cannot be written
    """
    if folder.format == JSONL:
        write_lines(folder, dump, told)
        return
    # What it may have from a run that was broken off.
    for table in reversed(folder.tables):
        folder.forget(table, dump.id)
    write_tables(folder, dump, {"dumps": [row_of_file(dump, told)]})
