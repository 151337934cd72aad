# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's files that several programs and scenes share."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from typing import TextIO

__all__ = (
    "BPFFS",
    "COUNTERS",
    "DYING",
    "KEEP",
    "MAPS_RECORDS",
    "RUN",
    "SCENE_LOG",
    "TRUTH_DONE",
    "WHOSE_RECORDS",
    "XDP_RECORDS",
    "lines",
    "whole_file",
)

RUN = "/run/lab"
#: The log of the scene.
SCENE_LOG = RUN + "/scene.log"
#: What xdp.py made, one JSON object a line.
XDP_RECORDS = RUN + "/xdp.jsonl"
#: What a scene knows of namespaces that /proc does not tell, one JSON object a line.
WHOSE_RECORDS = RUN + "/whose.jsonl"
#: What maps.py made, one JSON object a line.
MAPS_RECORDS = RUN + "/maps.jsonl"
#: Devices whose programs the prober does not replace: ``INUM IFINDEX`` a line.
KEEP = RUN + "/keep"
#: The number of a network namespace that the scene will end.
DYING = RUN + "/dying"
#: If it exists, the truth is recorded, and asking again would hang.
TRUTH_DONE = RUN + "/truth-done"
#: If it exists, nothing sends packets any more, and counters can be compared.
COUNTERS = RUN + "/counters"
#: Not below /sys: ``ip -n`` puts another sysfs over it, which has no bpffs.
BPFFS = RUN + "/bpf"


def lines(path: str) -> list[str]:
    """Return the lines of a file that are not empty; none if there is no file."""
    try:
        with open(path, "rb") as f:
            found = f.read().split(b"\n")
    except FileNotFoundError:
        return []
    return [line.decode("utf-8", "surrogateescape") for line in found if line]


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[TextIO]:
    """Write a file that gets its name only once it is complete and on the disk."""
    temporary = path + ".part"
    with open(temporary, "w", encoding="ascii") as f:
        yield f
        f.flush()
        os.fsync(f.fileno())
    os.rename(temporary, path)
