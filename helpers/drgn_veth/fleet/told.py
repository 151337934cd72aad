# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is said of a file
----------------------

Whether it was read, and why not. That is also known of what is no dump, and of a dump
that nobody can read.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from ..core.text import as_in_snapshot
from ..core.version import VERSION
from .dumps import Dump

__all__ = (
    "CRASHED",
    "FAILED",
    "MEMORY",
    "NO_DUMP",
    "READ",
    "STATUSES",
    "TIMEOUT",
    "UNREADABLE",
    "Told",
    "row_of_file",
)

#: What a row in dumps says of its file.
READ = "read"  # the other tables have what is in it
NO_DUMP = "no-dump"  # it is another file
UNREADABLE = "unreadable"  # nothing in it could be read
CRASHED = "crashed"  # the process that read it died of it
TIMEOUT = "timeout"  # it took longer than it may
MEMORY = "memory"  # it needs more memory than it may have

STATUSES = (READ, NO_DUMP, UNREADABLE, CRASHED, TIMEOUT, MEMORY)
#: It may go better the next time, with other limits.
FAILED = (CRASHED, TIMEOUT, MEMORY)


class Told(NamedTuple):
    """What came of a file, besides what is in it."""

    status: str
    reason: Optional[str] = None  # None: it was read
    notes: Sequence[str] = ()  # what the report would warn of
    seconds: float = 0.0


def row_of_file(dump: Dump, told: Told) -> dict[str, Any]:
    """Return the row in dumps of a file of which nothing is known."""
    return {
        "source": as_in_snapshot(dump.path),
        "size": dump.size,
        "mtime": dump.mtime_ns // 1000,
        "drgn_veth": VERSION,
        **told._asdict(),
        "reason": None if told.reason is None else as_in_snapshot(told.reason),
        "notes": [as_in_snapshot(note) for note in told.notes],
    }
