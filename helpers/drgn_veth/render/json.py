# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JSON
----

The contract of ``--format json``; docs/drgn-veth-1.schema.json says it in JSON
Schema.
"""

import json
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

from ..analysis.rules.finding import Finding
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    Device,
    DeviceRef,
    Namespace,
    Pair,
    RpsQueue,
    Snapshot,
    Target,
    Xdp,
    XdpProgram,
    XdpQueue,
    XpsQueue,
    unreadable_in,
)

__all__ = ("SCHEMA", "document", "render")

SCHEMA = "drgn-veth/1"

_Json = Dict[str, Any]
T = TypeVar("T")


def _value(value: object) -> Any:
    # A number, a string, None, or a tuple of these; or not to be had.
    if value.__class__ is Unreadable:
        return {"unreadable": value.reason}
    return value


def _list(values: Maybe[Tuple[T, ...]], one: Callable[[T], _Json]) -> Any:
    if isinstance(values, Unreadable):
        return _value(values)
    return [one(value) for value in values]


def _optional(value: Maybe[Optional[T]], one: Callable[[T], _Json]) -> Any:
    if value is None or isinstance(value, Unreadable):
        return _value(value)
    return one(value)


def _off_list(record: _Json, why: Optional[str]) -> _Json:
    if why is not None:
        record["off_list"] = why
    return record


def _target(target: Target) -> _Json:
    return {name: _value(value) for name, value in target._asdict().items()}


def _namespace(namespace: Namespace) -> _Json:
    record = {
        "inum": _value(namespace.inum),
        "init": namespace.init,
        "names": _value(namespace.names),
        "mounts": _value(namespace.mounts),
        "tasks": [],
        "task_count": None,
        "containers": [],
        "device_count": namespace.device_count,
    }
    if namespace.dying:
        record["dying"] = True
    return record


def _reference(ref: DeviceRef) -> _Json:
    return _off_list(
        {
            "netns": _value(ref.netns),
            "ifindex": _value(ref.ifindex),
            "name": _value(ref.name),
        },
        ref.off_list,
    )


def _end(ref: DeviceRef) -> _Json:
    return {"netns": _value(ref.netns), "ifindex": _value(ref.ifindex)}


def _pair(pair: Pair) -> _Json:
    return {"kind": pair.kind, "a": _end(pair.a), "b": _end(pair.b)}


def _program(program: XdpProgram) -> _Json:
    return {
        "id": _value(program.id),
        "name": _value(program.name),
        "tag": _value(program.tag),
        "via": program.via,
        "link_id": _value(program.link_id),
        "jited": _value(program.jited),
        "frags": _value(program.frags),
        "load_time": _value(program.load_time),
        "uid": _value(program.uid),
    }


def _xdp_queue(queue: XdpQueue) -> _Json:
    return {
        "queue": queue.queue,
        "prog_id": _value(queue.prog_id),
        "napi": _value(queue.napi),
    }


def _xdp(xdp: Xdp) -> _Json:
    record = {
        "generic": _optional(xdp.generic, _program),
        "driver": _optional(xdp.driver, _program),
        "offload": _optional(xdp.offload, _program),
    }
    if xdp.queues is not None:
        record["queues"] = _list(xdp.queues, _xdp_queue)
    return record


def _rps_queue(queue: RpsQueue) -> _Json:
    return {
        "queue": queue.queue,
        "cpus": _value(queue.cpus),
        "flow_entries": _value(queue.flow_entries),
    }


def _xps_queue(queue: XpsQueue) -> _Json:
    return {
        "queue": queue.queue,
        "cpus": _value(queue.cpus),
        "rx_queues": _value(queue.rx_queues),
    }


def _device(device: Device) -> _Json:
    rx, tx = device.queues
    record = {
        "netns": _value(device.netns),
        "ifindex": _value(device.ifindex),
        "name": _value(device.name),
        "altnames": _value(device.altnames),
        "alias": _value(device.alias),
        "net_device": f"{device.net_device:#x}",
        "kind": _value(device.kind),
        "flags": _value(device.flags),
        "operstate": _value(device.operstate),
        "mtu": _value(device.mtu),
        "min_mtu": _value(device.min_mtu),
        "max_mtu": _value(device.max_mtu),
        "mac": _value(device.mac),
        "master": _optional(device.master, _reference),
        "queues": {
            "rx": {"real": _value(rx.real), "allocated": _value(rx.allocated)},
            "tx": {"real": _value(tx.real), "allocated": _value(tx.allocated)},
        },
        "peer": _optional(device.peer, _reference),
        "xdp": _xdp(device.xdp),
        "rps": _list(device.rps, _rps_queue),
        "xps": _list(device.xps, _xps_queue),
    }
    return _off_list(record, device.off_list)


def _finding(finding: Finding) -> _Json:
    device, kernel = finding.device, finding.kernel
    record: _Json = {
        "rule": finding.rule,
        "severity": finding.severity,
        "device": None if device is None else _reference(device),
        "summary": finding.summary,
        "evidence": {name: _value(value) for name, value in finding.evidence},
        "kernel": None if kernel is None else kernel._asdict(),
        "fix": finding.fix,
    }
    if finding.fix_effect is not None:
        record["fix_effect"] = finding.fix_effect
    if finding.undo is not None:
        record["undo"] = finding.undo._asdict()
    if finding.then is not None:
        record["then"] = {
            **finding.then.answer._asdict(),
            "because": finding.then.because,
        }
    if finding.undecided is not None:
        record["undecided"] = finding.undecided
    return record


def _sections(snapshot: Snapshot, findings: Sequence[Finding]) -> Iterator[Any]:
    yield "schema", SCHEMA
    yield "target", _target(snapshot.target)
    yield "namespaces", map(_namespace, snapshot.namespaces)
    yield "devices", map(_device, snapshot.devices)
    yield "pairs", map(_pair, snapshot.pairs)
    yield "findings", map(_finding, findings)
    yield (
        "unreadable",
        ({"what": what, "why": why} for what, why in unreadable_in(snapshot)),
    )


def document(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> _Json:
    """Return a Snapshot as the contract has it, in plain dicts and lists."""
    return {
        name: list(part) if isinstance(part, Iterator) else part
        for name, part in _sections(snapshot, findings)
    }


def _lines(items: Iterable[_Json]) -> str:
    lines: List[str] = [json.dumps(item) for item in items]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def render(snapshot: Snapshot, findings: Sequence[Finding] = ()) -> str:
    """
    Return a Snapshot as JSON text: a record a line, so that two reports can be
    compared with diff. ASCII only, so that no name can do harm to a terminal.

    :param findings: What :func:`~drgn_veth.analysis.diagnose.diagnose()` found
    """
    parts = [
        f"{json.dumps(name)}: "
        + (_lines(part) if isinstance(part, Iterator) else json.dumps(part))
        for name, part in _sections(snapshot, findings)
    ]
    return "{" + ",\n".join(parts) + "}\n"
