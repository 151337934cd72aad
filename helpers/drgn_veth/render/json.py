# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JSON
----

The contract of ``--format json``: docs/drgn-veth-1.schema.json and
docs/drgn-veth-1-attempts.schema.json. There is one record per line, so that diff can
compare two reports. The text is ASCII, so that no name can harm a terminal.
"""

from collections.abc import Iterable, Iterator, Sequence
import json
from typing import Any, Optional

from ..analysis.rules.finding import Finding
from ..core.unreadable import Maybe
from ..model import Snapshot, Task, unreadable_in
from .attempts import Attempt
from .plain import plain

__all__ = ("SCHEMA", "attempts", "document", "render", "text_of")

SCHEMA = "drgn-veth/1"


def _sections(
    snapshot: Snapshot, findings: Sequence[Finding]
) -> Iterator[tuple[str, Any]]:
    # A list of records is an iterator.
    yield "schema", SCHEMA
    yield "target", plain(snapshot.target)
    yield "namespaces", map(plain, snapshot.namespaces)
    yield "devices", map(plain, snapshot.devices)
    yield "pairs", map(plain, snapshot.pairs)
    yield "findings", map(plain, findings)
    missing = unreadable_in(snapshot)
    yield "unreadable", ({"what": what, "why": why} for what, why in missing)


def document(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    """Return a Snapshot in the form of the contract, as plain dicts and lists."""
    return {
        name: list(part) if isinstance(part, Iterator) else part
        for name, part in _sections(snapshot, findings)
    }


def text_of(sections: Iterable[tuple[str, Any]]) -> str:
    """
    Return a document as text.

    :param sections: Its members; of a list of records an iterator
    """
    parts = []
    for name, part in sections:
        if isinstance(part, Iterator):
            lines = ",\n".join(map(json.dumps, part))
            text = f"[\n{lines}\n]" if lines else "[]"
        else:
            text = json.dumps(part)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{" + ",\n".join(parts) + "}\n"


def render(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> str:
    """
    Return a Snapshot as JSON text.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    """
    return text_of(_sections(snapshot, findings))


def attempts(asked: Iterable[Attempt], blocked_by: Maybe[Optional[Task]]) -> str:
    """Return the answers to XDP attaches as JSON text."""
    return text_of(
        (
            ("schema", SCHEMA),
            ("blocked_by", plain(blocked_by)),
            ("attempts", map(plain, asked)),
        )
    )
