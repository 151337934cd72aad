# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JSON
----

The contract of ``--format json``: docs/drgn-veth-1.schema.json,
docs/drgn-veth-1-attempts.schema.json and docs/drgn-veth-1-path.schema.json. There is
one record per line, so that diff can compare two reports. The text is ASCII, so that no
name can harm a terminal.
"""

from collections.abc import Iterable, Iterator, Sequence
import itertools
import json
from typing import Any, Optional

from ..analysis.path.records import Path
from ..analysis.rules.finding import Finding
from ..core.unreadable import Maybe
from ..model import Snapshot, Task, unreadable_in
from .attempts import Attempt
from .plain import plain

__all__ = ("SCHEMA", "attempts", "document", "parts_of", "path", "render")

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
    if snapshot.maps:
        yield "maps", map(plain, snapshot.maps)
    yield "findings", map(plain, findings)
    missing = unreadable_in(snapshot)
    yield "unreadable", ({"what": what, "why": why} for what, why in missing)


def document(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    """Return a Snapshot in the form of the contract, as plain dicts and lists."""
    return {
        name: list(part) if isinstance(part, Iterator) else part
        for name, part in _sections(snapshot, findings)
    }


#: Records that are made into text at once.
_MANY = 256


def parts_of(sections: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """
    Yield a document as text, in parts: of 10,000 pairs, all of it would take more
    memory than they do.

    :param sections: Its members; of a list of records an iterator
    """
    start = "{"
    for name, part in sections:
        yield f"{start}{json.dumps(name)}: "
        start = ",\n"
        if not isinstance(part, Iterator):
            yield json.dumps(part)
            continue
        before = "[\n"
        for records in iter(lambda: list(itertools.islice(part, _MANY)), []):  # noqa: B023
            yield before + ",\n".join(map(json.dumps, records))
            before = ",\n"
        yield "[]" if before == "[\n" else "\n]"
    yield "}\n"


def render(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> str:
    """
    Return a Snapshot as JSON text.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    """
    return "".join(parts_of(_sections(snapshot, findings)))


def attempts(
    asked: Iterable[Attempt], blocked_by: Maybe[Optional[Task]]
) -> Iterator[str]:
    """Yield the answers to XDP attaches as JSON text, in parts."""
    yield from parts_of(
        (
            ("schema", SCHEMA),
            ("blocked_by", plain(blocked_by)),
            ("attempts", map(plain, asked)),
        )
    )


def path(found: Path) -> Iterator[str]:
    """Yield the path of packets as JSON text, in parts."""
    yield from parts_of((("schema", SCHEMA), ("path", plain(found))))
