# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One dump is one task
--------------------

What a worker of Dask does. Each of its threads has a process that reads.
"""

from collections.abc import Sequence
import os
import socket
import sys
import threading
from typing import NamedTuple, Optional

from .dumps import Dump
from .folder import Folder, OutputError
from .reader import Limits, Reader
from .results import write_file
from .told import Told

__all__ = ("Job", "read")


class Job(NamedTuple):
    """A dump, and where its results go."""

    dump: Dump
    folder: Folder
    limits: Limits
    module: str  # what the process that reads runs


class _Thread(threading.local):
    reader: Optional[Reader] = None


_thread = _Thread()


def _reader(module: str, limits: Limits) -> Reader:
    reader = _thread.reader
    if reader is None or reader.limits != limits:
        if reader is not None:
            reader.stop()
        argv: Sequence[str] = (sys.executable, "-m", module)
        reader = _thread.reader = Reader(argv, limits)
    return reader


def read(job: Job) -> Told:
    """
    Read a dump and write its results.

    :raises OutputError: if they cannot be written
    :raises ReaderError: if the process that reads cannot be started
    """
    dump, folder = job.dump, job.folder
    if not os.path.isdir(os.path.join(folder.path, folder.tables[-1])):
        raise OutputError(
            f"{folder.path}: not there on {socket.gethostname()}; workers need the "
            "same files as this machine"
        )
    answer = _reader(job.module, job.limits).ask([dump, folder])
    if "output" in answer:
        raise OutputError(f"{folder.path}: {answer['output']}")
    told = Told(*answer["told"])
    if not answer.get("written"):
        try:
            write_file(folder, dump, told)
        except OSError as e:
            raise OutputError(f"{folder.path}: {e.strerror}") from None
    return told
