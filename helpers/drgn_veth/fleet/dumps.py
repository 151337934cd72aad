# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The files to read
-----------------

A file is identified by its real path, its size and the time of its last change.
Once it has changed, it is another dump, and takes the place of the old one.
"""

from collections.abc import Iterable, Iterator
import hashlib
import os
from typing import Callable, NamedTuple

__all__ = ("Dump", "PathError", "dumps_in")


class PathError(Exception):
    """A path cannot be searched."""


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Dump(NamedTuple):
    """A file that is, or should be, a dump."""

    path: str
    size: int
    mtime_ns: int
    real: str = ""  # the path without links; empty: the same

    @property
    def place(self) -> str:
        """What the parts of all versions of this file begin with."""
        return _digest(os.fsencode(self.real or self.path))

    @property
    def id(self) -> str:
        """The name of its parts."""
        return f"{self.place}-{_digest(f'{self.size} {self.mtime_ns}'.encode())}"


def _below(
    folder: str, barred: str, refused: Callable[[OSError], None]
) -> Iterator[str]:
    def fail(error: OSError) -> None:
        if error.filename == folder:
            raise error
        refused(error)

    for path, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            name
            for name in folders
            if os.path.realpath(os.path.join(path, name)) != barred
        )
        for name in sorted(names):
            yield os.path.join(path, name)


def dumps_in(
    paths: Iterable[str], output: str, refused: Callable[[OSError], None]
) -> list[Dump]:
    """
    Return the files of some paths, each once, however many names it has.

    :param paths: Files, and folders that are searched recursively
    :param output: The folder of the results, which is no input
    :param refused: Called with the error of each file or folder below them that cannot
        be read
    :raises PathError: if one of the paths is not there or cannot be searched
    """
    barred = os.path.realpath(output)
    known: set[tuple[int, int]] = set()
    found = []
    for given in paths:
        path = os.path.abspath(given)
        real = os.path.realpath(path)
        if os.path.commonpath([real, barred]) == barred:
            raise PathError(f"{given} is in the output folder {output}: choose another")
        try:
            is_folder = os.path.isdir(path)
            for file in _below(path, barred, refused) if is_folder else iter([path]):
                try:
                    status = os.stat(file)
                except OSError as e:
                    if not is_folder:
                        raise
                    if not isinstance(e, FileNotFoundError):
                        refused(e)
                    continue  # A link to nowhere, or it went away.
                if (status.st_dev, status.st_ino) not in known:
                    known.add((status.st_dev, status.st_ino))
                    size, mtime = status.st_size, status.st_mtime_ns
                    found.append(Dump(file, size, mtime, os.path.realpath(file)))
        except OSError as e:
            raise PathError(f"{e.filename or given}: {e.strerror}") from None
    return found
