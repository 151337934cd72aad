# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JSON lines
----------

The records of :mod:`.json`, one a line. Each line says first which record it is, and
second the dump that it is from, so that the lines of many dumps can stand in one file.
"""

from collections.abc import Iterator, Mapping, Sequence
import json
from typing import Any, Optional

from ..analysis.rules.finding import Finding
from ..model import Snapshot
from .json import sections
from .json_text import Texts

__all__ = ("line", "lines")

#: The name of a record, by its list in the document.
_RECORDS: Mapping[str, str] = {
    "target": "target",
    "namespaces": "namespace",
    "devices": "device",
    "pairs": "pair",
    "cpus": "cpu",
    "maps": "map",
    "in_flight": "queue",
    "findings": "finding",
    "unreadable": "unreadable",
}


def _start(record: str, source: Optional[str]) -> str:
    return f'{{"record": {json.dumps(record)}, "source": {json.dumps(source)}, '


def line(record: str, source: Optional[str], members: Mapping[str, Any]) -> str:
    """
    Return the line of a record that is in no document.

    :param record: The name of the record
    :param source: The dump, None for a running kernel
    """
    return f"{_start(record, source)}{json.dumps(members)[1:]}\n"


def lines(
    snapshot: Snapshot, findings: Sequence[Finding], source: Optional[str]
) -> Iterator[str]:
    """
    Yield a Snapshot as lines of JSON, in the order of the document.

    :param source: The dump, None for a running kernel
    """
    text = Texts().of
    for name, part in sections(snapshot, findings):
        if name not in _RECORDS:
            continue  # The schema, which each line has in its shape.
        start = _start(_RECORDS[name], source)
        for record in part if isinstance(part, Iterator) else (part,):
            yield f"{start}{text(record)[1:]}\n"
