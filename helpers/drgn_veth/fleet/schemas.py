# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The schemas of the tables
-------------------------

They are made of the records of :mod:`drgn_veth.model`: a column is a member, with the
name that it has in the JSON. :data:`OF_ANOTHER_FORM` has the types of the members that
the JSON writes in another form.
"""

from collections.abc import Mapping
import functools
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from ..analysis.rules.finding import Finding
from ..core.unreadable import Unreadable
from ..model import CpuStats, Device, Map, Namespace, Pair, Target
from ..model import counters as counted
from ..render.plain import members_of, plain

__all__ = ("OF_ANOTHER_FORM", "TABLES", "TIME", "UNREADABLE", "arrow_type")

#: In UTC. Parquet has no seconds.
TIME = pa.timestamp("ms")
#: Where in a row a value could not be read, and why.
UNREADABLE = pa.list_(pa.struct([("what", pa.string()), ("why", pa.string())]))

_END = pa.struct([("netns", pa.int64()), ("ifindex", pa.int64())])
#: By record and member.
OF_ANOTHER_FORM: Mapping[tuple[type, str], Any] = {
    (Device, "net_device"): pa.string(),
    (Pair, "a"): _END,
    (Pair, "b"): _END,
    (Finding, "evidence"): pa.map_(pa.string(), pa.string()),
}
_COUNTERS = {getattr(counted, name) for name in counted.__all__}


def arrow_type(hint: Any, of: type = object) -> Any:
    """
    Return the type of a column.

    :param hint: The type of a member; None and Unreadable become NULL
    :param of: The record that has it
    :raises TypeError: if there is none
    """
    if get_origin(hint) is Union:
        inner = [
            one for one in get_args(hint) if one not in (type(None), Unreadable, Any)
        ]
        if len(inner) == 1:
            return arrow_type(inner[0], of)
    elif get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return pa.list_(arrow_type(get_args(hint)[0], of))
    elif hint is bool:
        return pa.bool_()
    elif hint is int:
        # The kernel's counters have 64 bits and no sign.
        return pa.uint64() if of in _COUNTERS else pa.int64()
    elif hint is str:
        return pa.string()
    elif hasattr(hint, "_fields"):
        return pa.struct(_fields(hint))
    raise TypeError(f"no column can have {hint}")


@functools.cache
def _fields(record: type) -> tuple[Any, ...]:
    hints = get_type_hints(record)
    fields: list[Any] = []
    for member in members_of(record) or ():
        hint = hints[member.name]
        if (record, member.name) in OF_ANOTHER_FORM:
            fields.append(pa.field(member.name, OF_ANOTHER_FORM[record, member.name]))
        elif member.form is not plain:
            raise TypeError(f"{record.__name__}.{member.name} is of another form")
        elif member.spread:
            fields.extend(arrow_type(hint, record))
        else:
            fields.append(pa.field(member.name, arrow_type(hint, record)))
    return tuple(fields)


_SOURCE = (
    pa.field("source", pa.string()),
    pa.field("release", pa.string()),
    pa.field("crash_time", TIME),
)
_LAST = (pa.field("unreadable", UNREADABLE),)


def _table(record: type) -> Any:
    return pa.schema([*_SOURCE, *_fields(record), *_LAST])


def _dumps() -> Any:
    # The first of these are of the file, the others are NULL if it was not read.
    of_target = [f for f in _fields(Target) if f.name not in ("release", "time")]
    return pa.schema(
        [
            *_SOURCE,
            ("size", pa.int64()),
            ("mtime", pa.timestamp("us")),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("notes", pa.list_(pa.string())),
            ("seconds", pa.float64()),
            ("drgn_veth", pa.string()),
            *of_target,
            *((name, pa.int64()) for name in ("namespaces", "devices", "pairs")),
            *((name, pa.int64()) for name in ("errors", "warnings", "infos")),
            ("cpus", pa.list_(arrow_type(CpuStats))),
            ("maps", pa.list_(arrow_type(Map))),
            *_LAST,
        ]
    )


#: In the order in which they are written: a row in the last says that the others are
#: there.
TABLES: Mapping[str, Any] = {
    "namespaces": _table(Namespace),
    "devices": _table(Device),
    "pairs": _table(Pair),
    "findings": _table(Finding),
    "dumps": _dumps(),
}
