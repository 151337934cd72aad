# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes that stay behind when a program of a scene ends, and what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

from libc import checked, libc
from places import WHOSE_RECORDS

__all__ = ("record", "set_comm", "sleep_forever", "stay_behind")

PR_SET_NAME = 15
STDERR = 2


def set_comm(comm: bytes) -> None:
    """Name the calling thread."""
    checked(libc.prctl(PR_SET_NAME, comm, 0, 0, 0))


def sleep_forever() -> NoReturn:
    """Do nothing any more."""
    while True:
        signal.pause()


def _close_all_but(keep: Sequence[int]) -> None:
    # A descriptor of a namespace would hold it.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(STDERR + 1):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > STDERR and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                pass  # It was that of the folder.


def stay_behind(comm: bytes, prepare: Callable[[], Sequence[int]]) -> int:
    """Start a process that sleeps forever, and return its id once it is prepared.

    :param prepare: called in it; returns the descriptors that it keeps
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            keep = prepare()
            set_comm(comm)
            os.write(write_end, b"x")
            _close_all_but(keep)
            sleep_forever()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(1)
    os.close(write_end)
    ready = os.read(read_end, 1)
    os.close(read_end)
    if not ready:
        raise RuntimeError(f"the process {comm!r} could not prepare itself")
    return child


def record(*made: Mapping[str, Any]) -> None:
    """Append what a scene knows to WHOSE_RECORDS."""
    with open(WHOSE_RECORDS, "a", encoding="ascii") as f:
        for one in made:
            f.write(json.dumps(one) + "\n")
