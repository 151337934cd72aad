# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reading a report
----------------

A JSON document of ``veth_report.py``, checked as far as a comparison needs it. A file
may hold anything: what is not as in docs/drgn-veth-1.schema.json gives one line.

A record is a dict. What could not be read is an
:class:`~drgn_veth.core.unreadable.Unreadable` in it, and so is
what an older report does not have. Lists become tuples.
"""

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from ...core.unreadable import Unreadable

__all__ = ("DocumentError", "Record", "Report", "read_report")

#: An object of the document.
Record = dict[str, Any]
#: Takes a value and where it is, and returns it as a Report has it.
_Check = Callable[[object, str], Any]

_NOT_THERE = Unreadable("this report does not have it")


class DocumentError(ValueError):
    """A document is not a report."""


class Report(NamedTuple):
    """A report, as far as it is compared."""

    target: Record
    namespaces: tuple[Record, ...]
    devices: tuple[Record, ...]
    findings: tuple[Record, ...]
    unreadable: tuple[Record, ...]
    filtered: bool  #: it has only what a filter matched


def _wrong(where: str, expected: str) -> DocumentError:
    return DocumentError(f"{where} is not {expected}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "a string")
    return value


def _number(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(where, "a whole number")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false")
    return value


def _object(value: object, where: str) -> Record:
    if not isinstance(value, dict):
        raise _wrong(where, "an object")
    return value


def _maybe(check: _Check) -> _Check:
    def maybe(value: object, where: str) -> Any:
        if isinstance(value, dict) and list(value) == ["unreadable"]:
            return Unreadable(_text(value["unreadable"], where))
        return check(value, where)

    return maybe


def _or_null(check: _Check) -> _Check:
    def or_null(value: object, where: str) -> Any:
        return None if value is None else check(value, where)

    return or_null


def _list(check: _Check) -> _Check:
    def each(value: object, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong(where, "a list")
        return tuple(check(one, f"{where}[{i}]") for i, one in enumerate(value))

    return each


def _record(there: Mapping[str, _Check], some: Mapping[str, _Check] = {}) -> _Check:
    # *some*: only of some records, null otherwise.
    def record(value: object, where: str) -> Record:
        given = _object(value, where)
        made: Record = {}
        for key, check in there.items():
            if key in given:
                made[key] = check(given[key], f"{where}.{key}")
            else:
                made[key] = _NOT_THERE
        for key, check in some.items():
            made[key] = check(given[key], f"{where}.{key}") if key in given else None
        return made

    return record


_TEXT = _maybe(_text)
_NAME = _maybe(_or_null(_text))
_NUMBER = _maybe(_number)
_COUNT = _maybe(_or_null(_number))
_FLAG = _maybe(_flag)
_TEXTS = _maybe(_list(_text))
_NUMBERS = _maybe(_list(_number))

_REFERENCE = _record(
    {"netns": _NUMBER, "ifindex": _NUMBER, "name": _TEXT}, {"off_list": _text}
)
_MASTER = _maybe(_or_null(_REFERENCE))
_REFERENCES = _maybe(_list(_REFERENCE))
_PROGRAM = _maybe(
    _or_null(
        _record(
            {"name": _TEXT, "tag": _TEXT, "via": _TEXT, "jited": _FLAG, "frags": _FLAG}
        )
    )
)
_QUEUES = _maybe(_record({"real": _NUMBER, "allocated": _NUMBER}))


def _per_queue(**there: _Check) -> _Check:
    return _maybe(_list(_record({"queue": _number, **there})))


def _of_kind(**there: _Check) -> _Check:
    return _maybe(_record(there))


_DEVICE = _record(
    {
        "netns": _NUMBER,
        "netns_label": _text,
        "ifindex": _NUMBER,
        "name": _TEXT,
        "altnames": _TEXTS,
        "alias": _NAME,
        "net_device": _text,
        "kind": _NAME,
        "flags": _TEXTS,
        "operstate": _TEXT,
        "reg_state": _TEXT,
        "mtu": _NUMBER,
        "min_mtu": _NUMBER,
        "max_mtu": _NUMBER,
        "mac": _NAME,
        "qdisc": _NAME,
        "addresses": _TEXTS,
        "master": _MASTER,
        "lowers": _REFERENCES,
        "queues": _maybe(_record({"rx": _QUEUES, "tx": _QUEUES})),
        "peer": _MASTER,
        "xdp": _maybe(
            _record(
                dict.fromkeys(("generic", "driver", "offload"), _PROGRAM),
                {"queues": _per_queue(prog_id=_COUNT, napi=_FLAG)},
            )
        ),
        "rps": _per_queue(cpus=_NUMBERS, flow_entries=_NUMBER),
        "xps": _per_queue(cpus=_NUMBERS, rx_queues=_NUMBERS),
    },
    {
        "off_list": _text,
        "matched": _flag,
        "vlan": _of_kind(id=_NUMBER, protocol=_TEXT),
        "macvlan": _of_kind(mode=_TEXT),
        "ipvlan": _of_kind(mode=_TEXT, flags=_TEXTS),
        "bond": _of_kind(mode=_TEXT),
        "bridge_port": _of_kind(state=_TEXT),
        "netkit": _of_kind(mode=_TEXT, policy=_TEXT, primary=_FLAG),
        "tc": _maybe(_list(_record({"where": _text, "name": _TEXT}))),
    },
)

_NAMESPACE = _record(
    {
        "inum": _NUMBER,
        "init": _flag,
        "label": _text,
        "hostname": _NAME,
        "names": _TEXTS,
        "mounts": _TEXTS,
        "device_count": _number,
    },
    {
        "dying": _flag,
        "matched": _flag,
        "task_count": _COUNT,
        "containers": _maybe(_list(_record({"id": _TEXT}))),
        "holders": _maybe(_list(_record({"kind": _TEXT}))),
    },
)

_TARGET = _record(
    {
        "release": _TEXT,
        "kind": _text,
        "arch": _TEXT,
        "possible_cpus": _NUMBER,
        "online_cpus": _NUMBERS,
        "isolated_cpus": _NUMBERS,
        "rps_sock_flow_entries": _NUMBER,
        "time": _COUNT,
        "rtnl_owner": _maybe(_or_null(_record({"pid": _NUMBER, "comm": _TEXT}))),
    }
)

_FINDING = _record(
    {
        "rule": _text,
        "severity": _text,
        "device": _or_null(_REFERENCE),
        "summary": _text,
    },
    {"undecided": _text},
)

_SECTIONS: Mapping[str, _Check] = {
    "target": _TARGET,
    "namespaces": _list(_NAMESPACE),
    "devices": _list(_DEVICE),
    "findings": _list(_FINDING),
    "unreadable": _list(_record({"what": _text, "why": _text})),
}

#: What no report lacks: by these, records are found.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "target": ("kind",),
    "namespaces": ("label", "init"),
    "devices": ("netns_label", "name"),
    "findings": ("rule", "severity", "summary"),
    "unreadable": ("what", "why"),
}


def _check_needed(section: str, record: Record, where: str) -> None:
    for key in _NEEDED[section]:
        if record[key] is _NOT_THERE:
            raise DocumentError(f"{where} has no {key}")


def read_report(document: object) -> Report:
    """
    Return a report of a JSON document.

    :param document: What ``json.loads()`` returns
    :raises DocumentError: if it is not as the JSON Schema says
    """
    given = _object(document, "it")
    made: dict[str, Any] = {}
    for section, check in _SECTIONS.items():
        if section not in given:
            raise DocumentError(f"it has no {section}")
        made[section] = check(given[section], section)
        if isinstance(made[section], dict):
            _check_needed(section, made[section], section)
        else:
            for i, record in enumerate(made[section]):
                _check_needed(section, record, f"{section}[{i}]")
    records = (*made["namespaces"], *made["devices"])
    return Report(**made, filtered=any(record["matched"] for record in records))
