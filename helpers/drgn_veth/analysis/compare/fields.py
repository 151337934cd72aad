# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What is compared
----------------

The keys of docs/drgn-veth-1.schema.json that make a change, and those that never do. A
key of the comparison is the path to the value in the report. ``state`` is not in the
report: it is what ``ip link`` shows, of the flags UP and RUNNING.
"""

from collections.abc import Mapping, Sequence
import re
from typing import Any, Callable, NamedTuple

from ...core.unreadable import Unreadable
from .document import Record
from .matching import Side, stem_of
from .values import Label, PerQueue, Program

__all__ = ("DEVICE", "NAMESPACE", "NEVER", "TARGET", "Field", "Given")


class Given(NamedTuple):
    """What a value is read from."""

    record: Record
    side: Side
    same_boot: bool
    tags: bool  #: the two kernels compute the tags of programs in the same way


class Field(NamedTuple):
    """A value that is compared."""

    key: str
    of: Callable[[Given], Any]


#: What is never a change, and why.
NEVER: Mapping[str, Mapping[str, str]] = {
    "device": {
        "net_device": "an address",
        "netns": "another boot numbers namespaces otherwise; labels are compared",
        "ifindex": "another boot numbers devices otherwise; names are compared",
        "refcount": "it changes all the time",
        "ref_tasks": "processes come and go",
        "ref_trackers": "references come and go",
        "af_xdp": "sockets come and go",
        "uppers": "the lowers of another device",
        "type": "the kind is compared",
        "matched": "a filter of the report",
        "stats": "it changes all the time",
        "queue_stats": "it changes all the time",
        "qdisc_stats": "it changes all the time",
    },
    "namespace": {
        "inum": "another boot numbers namespaces otherwise; labels are compared",
        "nsid": "another boot numbers namespaces otherwise",
        "init": "there is one",
        "device_count": "the devices are compared",
        "tasks": "processes come and go; whether there are any is compared",
        "holder_count": "what kinds there are is compared",
        "worker": "a task of the kernel",
        "rps_default_mask": "what it gives to devices is compared",
        "other_mounts": "other mount namespaces come and go",
        "matched": "a filter of the report",
    },
    "target": {
        "kind": "how it was read",
        "path": "how it was read",
        "types": "how it was read",
        "time": "when it was read",
    },
}

_NOT_LOOKED = Unreadable("processes were not read")
_LINK_LOCAL = re.compile(r"fe[89ab][0-9a-f]:", re.IGNORECASE)
_IN_STATE = frozenset({"UP", "RUNNING", "LOWER_UP"})
_RUN_NETNS = re.compile(r"(?:/var)?/run/netns/(.*)", re.DOTALL)


def _at(record: Any, path: str) -> Any:
    # What could not be read, or is not there, has no members either.
    for key in path.split("."):
        if not isinstance(record, dict):
            return record
        record = record[key]
    return record


def _plain(key: str) -> Field:
    return Field(key, lambda given: _at(given.record, key))


def _reference(key: str) -> Field:
    def of(given: Given) -> Any:
        value = given.record[key]
        return given.side.refer(value) if isinstance(value, dict) else value

    return Field(key, of)


def _program(mode: str) -> Field:
    key = f"xdp.{mode}"

    def of(given: Given) -> Any:
        value = _at(given.record, key)
        if not isinstance(value, dict):
            return value
        tag = value["tag"] if given.tags else None
        return Program(value["name"], tag, value["via"], value["frags"], value["jited"])

    return Field(key, of)


def _queues(
    key: str, member: str, path: str, form: Callable[[Any], Any] = lambda value: value
) -> Field:
    def of(given: Given) -> Any:
        queues = _at(given.record, path)
        if not isinstance(queues, tuple):
            return queues
        return PerQueue(
            tuple(
                one if isinstance(one, Unreadable) else form(one)
                for one in (queue[member] for queue in queues)
            )
        )

    return Field(key, of)


def _sorted(values: Any) -> Any:
    return tuple(sorted(values)) if isinstance(values, tuple) else values


def _label(given: Given) -> Label:
    label = given.record["label"]
    return Label(stem_of(label) or label, label)


def _place(given: Given) -> Label:
    label = given.record["netns_label"]
    return Label(given.side.label_now.get(label, label), label)


def _state(given: Given) -> Any:
    flags = given.record["flags"]
    if isinstance(flags, Unreadable):
        return flags
    if "UP" not in flags:
        return "DOWN"
    return "UP" if "RUNNING" in flags else "NO-CARRIER"


def _flags(given: Given) -> Any:
    flags = given.record["flags"]
    if isinstance(flags, Unreadable):
        return flags
    return tuple(sorted(set(flags) - _IN_STATE))


def _mac(given: Given) -> Any:
    # The kernel makes them up for most virtual devices.
    return given.record["mac"] if given.same_boot else None


def _addresses(given: Given) -> Any:
    # Link-local ones are made of the MAC address.
    addresses = given.record["addresses"]
    if given.same_boot or isinstance(addresses, Unreadable):
        return addresses
    return tuple(one for one in addresses if not _LINK_LOCAL.match(one))


def _lowers(given: Given) -> Any:
    # Without its ports, which have another master otherwise.
    lowers = given.record["lowers"]
    if isinstance(lowers, Unreadable):
        return lowers
    kept = []
    own = given.side.index_of(given.record)
    for lower in lowers:
        index = given.side.index_of(lower)
        master = None if index is None else given.side.devices[index]["master"]
        if own is not None and isinstance(master, dict):
            if given.side.index_of(master) == own:
                continue
        kept.append(given.side.refer(lower))
    return tuple(sorted(kept, key=repr))


def _tc(given: Given) -> Any:
    # In the order in which they run.
    programs = given.record["tc"]
    if not isinstance(programs, tuple):
        return programs or ()
    lost = [one["name"] for one in programs if isinstance(one["name"], Unreadable)]
    if lost:
        return lost[0]
    return tuple(f"{one['where']} {one['name']}" for one in programs)


DEVICE: Sequence[Field] = (
    Field("netns_label", _place),
    *map(_plain, ("name", "altnames", "alias", "kind")),
    Field("state", _state),
    Field("flags", _flags),
    *map(_plain, ("operstate", "reg_state", "off_list", "mtu", "min_mtu", "max_mtu")),
    Field("mac", _mac),
    _plain("qdisc"),
    Field("addresses", _addresses),
    _reference("master"),
    *map(_plain, ("bridge_port.state", "bond.mode")),
    *map(_plain, ("vlan.id", "vlan.protocol", "macvlan.mode")),
    *map(_plain, ("ipvlan.mode", "ipvlan.flags")),
    *map(_plain, ("netkit.mode", "netkit.policy", "netkit.primary")),
    Field("lowers", _lowers),
    _reference("peer"),
    *map(_plain, ("queues.rx.real", "queues.rx.allocated")),
    *map(_plain, ("queues.tx.real", "queues.tx.allocated")),
    *map(_program, ("generic", "driver", "offload")),
    _queues("xdp.queues.napi", "napi", "xdp.queues"),
    _queues(
        *("xdp.queues.prog_id", "prog_id", "xdp.queues"),
        lambda prog_id: prog_id is not None,
    ),
    Field("tc", _tc),
    _queues("rps.cpus", "cpus", "rps"),
    _queues("rps.flow_entries", "flow_entries", "rps"),
    _queues("xps.cpus", "cpus", "xps"),
    _queues("xps.rx_queues", "rx_queues", "xps"),
)


def _mounts(given: Given) -> Any:
    # Without those that its names are of.
    mounts, names = given.record["mounts"], given.record["names"]
    if isinstance(mounts, Unreadable) or isinstance(names, Unreadable):
        return mounts
    named = [_RUN_NETNS.fullmatch(path) for path in mounts]
    return tuple(
        sorted(
            path
            for path, match in zip(mounts, named)
            if match is None or match[1] not in names
        )
    )


def _has_tasks(given: Given) -> Any:
    count = given.record["task_count"]
    if count is None:
        return _NOT_LOOKED
    return count if isinstance(count, Unreadable) else count > 0


def _ids(key: str, member: str, absent: Any) -> Callable[[Given], Any]:
    def of(given: Given) -> Any:
        records = given.record[key]
        if not isinstance(records, tuple):
            return absent if records is None else records
        ids = {one[member] for one in records}
        lost = [one for one in ids if isinstance(one, Unreadable)]
        return lost[0] if lost else tuple(sorted(ids))

    return of


NAMESPACE: Sequence[Field] = (
    Field("label", _label),
    Field("names", lambda given: _sorted(given.record["names"])),
    Field("mounts", _mounts),
    _plain("hostname"),
    Field("dying", lambda given: bool(given.record["dying"])),
    Field("task_count", _has_tasks),
    Field("containers", _ids("containers", "id", _NOT_LOOKED)),
    Field("holders", _ids("holders", "kind", ())),
)

TARGET: Sequence[Field] = (
    *map(_plain, ("release", "arch", "possible_cpus", "online_cpus")),
    *map(_plain, ("isolated_cpus", "rps_sock_flow_entries", "rtnl_owner.comm")),
)
