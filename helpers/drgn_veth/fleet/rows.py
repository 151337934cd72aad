# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Rows of the tables
------------------

What was read of a dump, in the columns of :mod:`drgn_veth.fleet.schemas`. A value that
could not be read, or that its column cannot hold, is NULL, and ``unreadable`` of its
row says why.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import json
from typing import Any, Optional

import pyarrow as pa

from ..analysis.rules.finding import ERROR, INFO, WARNING, Finding
from ..core.text import as_in_snapshot
from ..model import Snapshot, unreadable_in
from ..render.plain import plain
from .dumps import Dump
from .schemas import TABLES, TIME
from .told import Told, row_of_file

__all__ = ("fit", "tables_of")

_LAST_SECOND = 253402300799  # of the year 9999: what comes after it is no time


_Missing = list[dict[str, str]]


def _is_unreadable(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"unreadable"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: int, type: Any, where: str, missing: _Missing) -> Optional[int]:
    if type == TIME:
        low, high = 0, _LAST_SECOND
    elif type == pa.uint64():
        low, high = 0, (1 << 64) - 1
    else:
        low, high = -1 << 63, (1 << 63) - 1
    if low <= value <= high:
        return value * 1000 if type == TIME else value
    missing.append({"what": where, "why": f"{value} is out of range"})
    return None


def fit(value: Any, type: Any, where: str, missing: _Missing) -> Any:
    """
    Return a value in plain dicts and lists as its column takes it.

    :param type: The column's type in Arrow
    :param where: What the value is
    :param missing: Takes what is unreadable
    """
    if value is None:
        return None
    if pa.types.is_map(type):
        return [(name, _text(one)) for name, one in value.items()]
    if _is_unreadable(value):
        missing.append({"what": where, "why": value["unreadable"]})
        return None
    if pa.types.is_struct(type):
        start = f"{where}." if where else ""
        return {
            field.name: fit(
                value.get(field.name), field.type, f"{start}{field.name}", missing
            )
            for field in type
        }
    if pa.types.is_list(type):
        inner = type.value_type
        return [
            fit(one, inner, f"{where}[{i}]", missing) for i, one in enumerate(value)
        ]
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(value, type, where, missing)
    return value


def _fitted(table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    missing: _Missing = []
    row: dict[str, Any] = {}
    for field in TABLES[table]:
        if field.name != "unreadable":
            value = values.get(field.name)
            row[field.name] = fit(value, field.type, field.name, missing)
    given = values.get("unreadable", ())
    known = {one["what"] for one in given}
    others = [one for one in missing if one["what"] not in known]
    return {**row, "unreadable": [*given, *others]}


def _counted(findings: Iterable[Finding]) -> dict[str, int]:
    names = {ERROR: "errors", WARNING: "warnings", INFO: "infos"}
    counts = dict.fromkeys(names.values(), 0)
    for one in findings:
        if one.undecided is None:
            counts[names[one.severity]] += 1
    return counts


def _lists(
    snapshot: Snapshot, findings: Sequence[Finding]
) -> Iterator[tuple[str, Sequence[Any]]]:
    yield "namespaces", snapshot.namespaces
    yield "devices", snapshot.devices
    yield "pairs", snapshot.pairs
    yield "findings", findings


def tables_of(
    dump: Dump, told: Told, snapshot: Snapshot, findings: Sequence[Finding]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a dump that was read, by table."""
    target = plain(snapshot.target)
    cpus = snapshot.cpus
    source = {
        "source": as_in_snapshot(dump.path),
        "release": target["release"],
        "crash_time": target["time"],
    }
    missing = unreadable_in(snapshot)
    of_dump = {
        **row_of_file(dump, told),
        **target,
        **source,
        **{name: len(records) for name, records in _lists(snapshot, findings)},
        **_counted(findings),
        "cpus": None if cpus is None else plain(cpus),
        "maps": plain(snapshot.maps),
        "unreadable": [{"what": what, "why": why} for what, why in missing],
    }
    row = _fitted("dumps", of_dump)
    # What names the dump in the other tables: its row has the reasons.
    source = {name: row[name] for name in source}
    tables = {
        name: [{**_fitted(name, plain(record)), **source} for record in records]
        for name, records in _lists(snapshot, findings)
    }
    return {**tables, "dumps": [row]}
