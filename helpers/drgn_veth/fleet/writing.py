# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Parts of the results
--------------------

A part has its name once it is complete and on the disk: whatever ends the process, no
half of one is there.
"""

from collections.abc import Mapping, Sequence
import contextlib
import json
import os
import secrets
from typing import Any, BinaryIO, Callable, Optional

__all__ = (
    "FORMATS",
    "JSONL",
    "PARQUET",
    "is_of_schema",
    "no_rows",
    "parquet",
    "status_in",
    "write_part",
)

PARQUET = "parquet"
JSONL = "jsonl"
FORMATS = (PARQUET, JSONL)


_Write = Callable[[BinaryIO], None]


def write_part(path: str, write: _Write) -> None:
    """
    Write a file, in whole or not at all.

    :param write: Writes its contents
    :raises OSError: if it cannot be written
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def parquet(table: str, rows: Sequence[Mapping[str, Any]]) -> _Write:
    """Return what writes rows as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .schemas import TABLES

    made = pa.Table.from_pylist(rows, schema=TABLES[table])
    # Its own file system would be another way for errors.
    return lambda f: pq.write_table(made, f, compression="zstd")


def no_rows(table: str) -> _Write:
    """Return what writes a table without rows."""
    return parquet(table, [])


def is_of_schema(path: str, table: str) -> bool:
    """Return whether a file has the columns of a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .schemas import TABLES

    try:
        return bool(pq.read_schema(path).equals(TABLES[table]))
    except pa.ArrowException:
        return False


def status_in(path: str) -> Optional[str]:
    """Return what the part of a dump says of its file."""
    if path.endswith(JSONL):
        with open(path, "rb") as f:
            status = json.loads(f.readline())["status"]
    else:
        import pyarrow.parquet as pq

        (status,) = pq.read_table(path, columns=["status"])["status"].to_pylist()
    return status if isinstance(status, str) else None
