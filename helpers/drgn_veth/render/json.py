# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JSON
----

The contract of ``--format json``: docs/drgn-veth-1.schema.json, and beside it those of
xdp_attach.py, drgn-veth-1-attempts.schema.json and drgn-veth-1-questions.schema.json,
and of veth_path.py, drgn-veth-1-path.schema.json. There is one record per line, so that
diff can compare two reports. The text is ASCII, so that no name can harm a terminal.
"""

from collections.abc import Iterable, Iterator, Sequence
import itertools
import json
from typing import Any, Callable, Optional

from ..analysis.ask import in_a_row
from ..analysis.path.records import Path
from ..analysis.rules.finding import Finding
from ..core.unreadable import Maybe, Unreadable
from ..model import Snapshot, Task, unreadable_in
from .attempts import Attempt
from .json_text import Texts
from .plain import plain

__all__ = (
    "SCHEMA",
    "attempts",
    "document",
    "parts_of",
    "path",
    "questions",
    "render",
    "report",
    "sections",
)

SCHEMA = "drgn-veth/1"


def sections(
    snapshot: Snapshot, findings: Sequence[Finding]
) -> Iterator[tuple[str, Any]]:
    """Yield the members of the document. A list of records is an iterator."""
    yield "schema", SCHEMA
    yield "target", snapshot.target
    yield "namespaces", iter(snapshot.namespaces)
    yield "devices", iter(snapshot.devices)
    yield "pairs", iter(snapshot.pairs)
    cpus = snapshot.cpus
    if cpus is not None:
        yield "cpus", iter(cpus) if isinstance(cpus, tuple) else cpus
    if snapshot.maps:
        yield "maps", iter(snapshot.maps)
    if isinstance(snapshot.in_flight, Unreadable):
        yield "in_flight", snapshot.in_flight
    elif snapshot.in_flight is not None:
        yield "in_flight", iter(snapshot.in_flight)
    yield "findings", iter(findings)
    missing = unreadable_in(snapshot)
    yield "unreadable", ({"what": what, "why": why} for what, why in missing)


def document(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    """Return a Snapshot in the form of the contract, as plain dicts and lists."""
    return {
        name: list(map(plain, part)) if isinstance(part, Iterator) else plain(part)
        for name, part in sections(snapshot, findings)
    }


#: Records that are made into text at once.
_MANY = 256


def parts_of(
    sections: Iterable[tuple[str, Any]], text: Callable[[Any], str] = json.dumps
) -> Iterator[str]:
    """
    Yield a document as text, in parts: of 10,000 pairs, all of it would take more
    memory than they do.

    :param sections: Its members; of a list of records an iterator
    :param text: Returns the text of a member or a record
    """
    start = "{"
    for name, part in sections:
        yield f"{start}{json.dumps(name)}: "
        start = ",\n"
        if not isinstance(part, Iterator):
            yield text(part)
            continue
        before = "[\n"
        for records in iter(lambda: list(itertools.islice(part, _MANY)), []):  # noqa: B023
            yield before + ",\n".join(map(text, records))
            before = ",\n"
        yield "[]" if before == "[\n" else "\n]"
    yield "}\n"


def report(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> Iterator[str]:
    """
    Yield a Snapshot as JSON text, in parts.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    """
    return parts_of(sections(snapshot, findings), Texts().of)


def render(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> str:
    """
    Return a Snapshot as JSON text.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    """
    return "".join(report(snapshot, findings))


def attempts(
    asked: Iterable[Attempt], blocked_by: Maybe[Optional[Task]]
) -> Iterator[str]:
    """Yield the answers to XDP attaches as JSON text, in parts."""
    return parts_of(
        (("schema", SCHEMA), ("blocked_by", blocked_by), ("attempts", iter(asked))),
        Texts().of,
    )


def path(found: Optional[Path], queues: Any = None) -> Iterator[str]:
    """
    Yield the path of packets as JSON text, in parts.

    :param found: None: only the queues
    :param queues: What is in flight, in plain lists; None if nobody has asked
    """
    sections: list[tuple[str, Any]] = [("schema", SCHEMA)]
    if found is not None:
        sections.append(("path", plain(found)))
    if queues is not None:
        is_list = isinstance(queues, list)
        sections.append(("in_flight", iter(queues) if is_list else queues))
    yield from parts_of(sections)


def questions(
    asked: Iterable[in_a_row.Step], blocked_by: Maybe[Optional[Task]]
) -> Iterator[str]:
    """Yield the answers to questions in a row as JSON text, in parts."""
    return parts_of(
        (("schema", SCHEMA), ("blocked_by", blocked_by), ("questions", iter(asked))),
        Texts().of,
    )
