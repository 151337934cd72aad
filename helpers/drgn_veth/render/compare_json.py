# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A comparison as JSON
--------------------

The contract is docs/drgn-veth-1-compare.schema.json. There is one record per line.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ..analysis.compare.document import Record
from ..analysis.compare.records import Change, Comparison
from ..analysis.compare.values import Label, PerQueue, Program, Reference
from ..core.unreadable import Unreadable
from .compare_table import Source
from .json import SCHEMA, parts_of

__all__ = ("render",)

_Json = dict[str, Any]


def _plain(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return {"unreadable": value.reason}
    if isinstance(value, Label):
        return value.text
    if isinstance(value, Reference):
        return {"netns_label": value.netns, "name": _plain(value.name)}
    if isinstance(value, Program):
        known = value._asdict()
        if value.tag is None:
            del known["tag"]
        return {key: _plain(one) for key, one in known.items()}
    if isinstance(value, PerQueue):
        return [
            {"queue": queue, "value": _plain(one)}
            for queue, one in enumerate(value.values)
        ]
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _changes(changes: Iterable[Change]) -> list[_Json]:
    return [
        {"key": one.key, "old": _plain(one.old), "new": _plain(one.new)}
        for one in changes
    ]


def _side(source: Source, target: Record) -> _Json:
    keys = ("release", "kind", "arch", "time")
    return {
        "source": source.name,
        "read": source.read,
        **{key: _plain(target[key]) for key in keys},
    }


def _record(change: str, changes: Iterable[Change], **members: Any) -> _Json:
    plain = {key: _plain(value) for key, value in members.items()}
    listed = _changes(changes)
    return {"change": change, **plain, **({"changes": listed} if listed else {})}


def _values(values: Mapping[str, Any]) -> _Json:
    # Of a device that came or went: what it has.
    plain = {key: _plain(value) for key, value in values.items()}
    return {
        key: value
        for key, value in plain.items()
        if value is not None and value != [] and key not in ("netns_label", "name")
    }


def _place(reference: Optional[Reference]) -> Any:
    return None if reference is None else _plain(reference)


def render(comparison: Comparison, sources: tuple[Source, Source]) -> str:
    """
    Return a comparison as JSON text.

    :param sources: Of the older and of the newer report
    """
    return "".join(
        parts_of(
            (
                ("schema", SCHEMA),
                ("a", _side(sources[0], comparison.a)),
                ("b", _side(sources[1], comparison.b)),
                ("same_boot", comparison.same_boot),
                ("differ", comparison.differ),
                ("target", iter(_changes(comparison.target))),
                (
                    "namespaces",
                    (
                        {
                            **_record(one.change, one.changes, netns_label=one.netns),
                            **(
                                {"devices": _plain(one.devices)}
                                if not one.changes
                                else {}
                            ),
                        }
                        for one in comparison.namespaces
                    ),
                ),
                (
                    "devices",
                    (
                        {
                            **_record(
                                *(one.change, one.changes),
                                netns_label=one.netns,
                                name=one.name,
                                kind=one.kind,
                            ),
                            **({"values": _values(one.values)} if one.values else {}),
                        }
                        for one in comparison.devices
                    ),
                ),
                (
                    "pairs",
                    (
                        _record(one.change, (), kind=one.kind, a=one.a, b=one.b)
                        for one in comparison.pairs
                    ),
                ),
                (
                    "findings",
                    (
                        _record(
                            *(one.change, one.changes),
                            rule=one.rule,
                            severity=one.severity,
                            device=_place(one.device),
                            summary=one.summary,
                        )
                        for one in comparison.findings
                    ),
                ),
                ("unchanged_findings", dict(comparison.unchanged)),
                (
                    "unknown",
                    (
                        {
                            "netns_label": one.netns,
                            "name": _plain(one.name),
                            "key": one.key,
                            "side": one.side,
                            "why": one.why,
                        }
                        for one in comparison.unknown
                    ),
                ),
            )
        )
    )
