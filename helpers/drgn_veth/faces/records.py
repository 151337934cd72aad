# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Formats that have all records
-----------------------------

One document, or a line for each record.
"""

from collections.abc import Iterable, Sequence

from ..analysis.rules.finding import Finding
from ..model import Snapshot
from ..render import json, jsonl

__all__ = ("RECORDS", "records")

#: The formats.
RECORDS = ("json", "jsonl")


def records(
    format: str, snapshot: Snapshot, findings: Sequence[Finding]
) -> Iterable[str]:
    """Return a report as text, in parts."""
    if format == "jsonl":
        return jsonl.lines(snapshot, findings, snapshot.target.path)
    return json.report(snapshot, findings)
