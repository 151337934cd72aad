# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for what the kernel does with a packet after it was sent.

A CPU that has too many softirqs leaves them to its thread ksoftirqd. Under emulation,
that may take a while.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
import time

__all__ = ("drained",)

PATIENCE = 30.0


@functools.cache
def _threads() -> dict[int, str]:
    """The stat file of the ksoftirqd of each CPU."""
    found = {}
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            name, _, cpu = comm.read_text().strip().partition("/")
        except OSError:
            continue
        if name == "ksoftirqd":
            found[int(cpu)] = str(comm.with_name("stat"))
    return found


def _is_running(stat: str) -> bool:
    with open(stat, encoding="ascii") as f:
        return f.read().rpartition(")")[2].split()[0] == "R"


def drained() -> None:
    """
    Wait until no CPU has softirqs left of packets that were sent before, but not for
    ever. A task that runs on a CPU runs after the interrupts sent to it.
    """
    before = os.sched_getaffinity(0)
    deadline = time.monotonic() + PATIENCE
    try:
        for cpu, stat in _threads().items():
            try:
                os.sched_setaffinity(0, {cpu})
            except OSError:
                continue  # It is offline.
            while _is_running(stat) and time.monotonic() < deadline:
                time.sleep(0.001)
    finally:
        os.sched_setaffinity(0, before)
