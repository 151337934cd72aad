# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The folder of the results
-------------------------

A folder for each table, in it a part for each dump, which is there in whole or not at
all. The part in ``dumps`` comes last: what has one is done.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import fcntl
import json
import os
import shutil
from typing import Any, BinaryIO, NamedTuple

from ..render.json import SCHEMA
from .dumps import Dump
from .writing import (
    FORMATS,
    JSONL,
    PARQUET,
    is_of_schema,
    no_rows,
    status_in,
    write_part,
)

__all__ = ("Folder", "FolderError", "OutputError")

_SCHEMA = "drgn-veth-fleet/1"
_MARK = "fleet.json"  # what tells the folder from others
_SCRATCH = ".dask"
_NO_ROWS = "schema"  # the part without rows of each table
_TEMPORARY = "."  # what unfinished parts begin with
_TABLES: Mapping[str, Sequence[str]] = {
    PARQUET: ("namespaces", "devices", "pairs", "findings", "dumps"),
    JSONL: ("reports",),
}


class FolderError(Exception):
    """The folder cannot be that of the results."""


class OutputError(Exception):
    """The results cannot be written."""


class Folder(NamedTuple):
    """The folder of the results."""

    path: str
    format: str

    @property
    def tables(self) -> Sequence[str]:
        """The tables, the one last that says that a dump is done."""
        return _TABLES[self.format]

    @property
    def scratch(self) -> str:
        """Where Dask keeps what nobody needs afterwards."""
        return os.path.join(self.path, _SCRATCH)

    def part(self, table: str, id: str) -> str:
        """Return the path of the part of a dump."""
        return os.path.join(self.path, table, f"{id}.{self.format}")

    def forget(self, table: str, id: str) -> None:
        """Remove the part of a dump, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.part(table, id))

    def _ids(self, table: str) -> Iterator[str]:
        ending = f".{self.format}"
        for name in os.listdir(os.path.join(self.path, table)):
            if name.endswith(ending) and not name.startswith(_TEMPORARY):
                yield name[: -len(ending)]

    def done(self) -> set[str]:
        """Return the dumps that are done, by their id."""
        return set(self._ids(self.tables[-1])) - {_NO_ROWS}

    def _mark(self) -> dict[str, Any]:
        return {"schema": _SCHEMA, "format": self.format, "records": SCHEMA}

    def _check_mark(self) -> bool:
        # Whether it is there.
        path = os.path.join(self.path, _MARK)
        try:
            with open(path, "rb") as f:
                mark = json.loads(f.read(1 << 16))
        except FileNotFoundError:
            if os.path.lexists(self.path) and self._has_others():
                raise FolderError(
                    f"{self.path} is not empty, and no results of fleet are in it: "
                    "name a new folder"
                ) from None
            return False
        except ValueError:
            mark = None
        if mark != self._mark():
            other = mark.get("format") if isinstance(mark, dict) else None
            what = "another version of drgn-veth"
            if other in FORMATS and other != self.format:
                what = f"--format {other}"
            raise FolderError(f"{self.path} has results of {what}: name a new folder")
        return True

    def _has_others(self) -> bool:
        # A run may have ended before the mark was whole.
        return not all(map(_is_unfinished_mark, os.listdir(self.path)))

    def check(self) -> None:
        """
        Check that the folder is new, empty, or has results of this kind.

        :raises FolderError: if it is not
        """
        try:
            if not self._check_mark() or self.format == JSONL:
                return
            for table in self.tables:
                path = self.part(table, _NO_ROWS)
                if os.path.exists(path) and not is_of_schema(path, table):
                    raise FolderError(
                        f"{self.path} has results of another version of drgn-veth "
                        f"({table} has other columns): name a new folder"
                    )
        except OSError as e:
            raise FolderError(f"{self.path}: {e.strerror}") from None

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """
        Make the folder, if it is not there, and keep others from writing to it.

        :raises FolderError: if another command does
        :raises OutputError: if it cannot be written
        """
        with contextlib.ExitStack() as stack:
            with self._writing():
                self._prepare(stack)
            try:
                yield
            finally:
                with self._writing():
                    self._clean()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise OutputError(f"{self.path}: {e.strerror}") from None

    def _prepare(self, stack: contextlib.ExitStack) -> None:
        # The mark comes first: a folder without it is not ours.
        os.makedirs(self.path, exist_ok=True)
        mark = os.path.join(self.path, _MARK)
        if not os.path.exists(mark):
            text = json.dumps(self._mark()) + "\n"
            write_part(mark, lambda f: _write(f, text.encode()))
        self._lock(stack.enter_context(open(mark, "rb")))
        for table in self.tables:
            os.makedirs(os.path.join(self.path, table), exist_ok=True)
        self._clean()
        if self.format == PARQUET:
            for table in self.tables:
                path = self.part(table, _NO_ROWS)
                if not os.path.exists(path):
                    write_part(path, no_rows(table))

    def _lock(self, f: BinaryIO) -> None:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(
                f"another drgn-veth fleet writes to {self.path}: wait for its end"
            ) from None
        except OSError:
            pass  # This file system has no locks.

    def _clean(self) -> None:
        # What processes that died have left, of this run or of one that was broken off.
        shutil.rmtree(self.scratch, ignore_errors=True)
        for name in filter(_is_unfinished_mark, os.listdir(self.path)):
            _remove(os.path.join(self.path, name))
        for table in self.tables:
            folder = os.path.join(self.path, table)
            for name in os.listdir(folder):
                if name.startswith(_TEMPORARY):
                    _remove(os.path.join(folder, name))

    def left(self, dumps: Sequence[Dump], again: Sequence[str] = ()) -> list[Dump]:
        """
        Return the dumps that are not done, and remove what is left of others: parts of
        files that have changed since, and parts without their row in dumps.

        :param again: The status of those which are not done, whatever their rows say
        :raises OutputError: if they cannot be listed or removed
        """
        with self._writing():
            return self._left(dumps, again)

    def _left(self, dumps: Sequence[Dump], again: Sequence[str]) -> list[Dump]:
        done = self.done()
        ids = {dump.place: dump.id for dump in dumps}
        for table in reversed(self.tables):
            for one in set(self._ids(table)) - {_NO_ROWS}:
                # Those of a dump that is read now will be replaced.
                now = ids.get(one.partition("-")[0])
                if now != one and (now is not None or one not in done):
                    self.forget(table, one)
        last = self.tables[-1]
        return [
            dump
            for dump in dumps
            if dump.id not in done
            or (again and status_in(self.part(last, dump.id)) in again)
        ]


def _is_unfinished_mark(name: str) -> bool:
    return name.startswith(f"{_TEMPORARY}{_MARK}-")


def _write(f: BinaryIO, data: bytes) -> None:
    f.write(data)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
