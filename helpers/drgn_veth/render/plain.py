# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Records in JSON form
--------------------

A record becomes an object with its members, in their order. :data:`SHAPES` and
:data:`~drgn_veth.model.in_json.NOT_IN_JSON` list the exceptions: any other member of a
record is in the JSON.
"""

from collections.abc import Mapping
import functools
from typing import Any, Callable, NamedTuple, Optional

from ..analysis.ask import in_a_row
from ..analysis.attach.below import Below
from ..analysis.attach.question import Answer, errno_name
from ..analysis.path.records import Flow, Path, Step
from ..analysis.rules.finding import Finding, Then
from ..core.unreadable import Unreadable
from ..model import (
    NOT_IN_JSON,
    CpuStats,
    Device,
    DeviceRef,
    LinkStats,
    MapEntry,
    Namespace,
    PacketInFlight,
    Pair,
    QueueInFlight,
    Target,
    VethQueueStats,
    Xdp,
    XdpProgram,
)
from .attempts import Attempt

__all__ = ("SHAPES", "Member", "Shape", "members_of", "plain")

_Json = dict[str, Any]


class Shape(NamedTuple):
    """How the JSON of a record differs from the record."""

    left_out: tuple[str, ...] = ()
    #: Members that are absent if they have the given value.
    absent: Mapping[str, object] = {}
    #: Members that come last.
    last: tuple[str, ...] = ()
    #: Members that come right after another one.
    after: Mapping[str, str] = {}
    #: Members that are converted in another way.
    forms: Mapping[str, Callable[[Any], Any]] = {}
    #: Members that are replaced by their own members.
    spread: tuple[str, ...] = ()


def _end(ref: DeviceRef) -> _Json:
    return {"netns": plain(ref.netns), "ifindex": plain(ref.ifindex)}


def _which(device: Device) -> _Json:
    return {**_end(device.ref), "name": plain(device.name)}


def _errno(errno: object) -> _Json:
    name = errno_name(errno) if isinstance(errno, int) and errno else None
    return {"errno": plain(errno), "error": name}


def _evidence(evidence: tuple[tuple[str, object], ...]) -> _Json:
    return {name: plain(value) for name, value in evidence}


def _numbers(numbers: Mapping[str, object]) -> _Json:
    return {name: plain(value) for name, value in numbers.items()}


SHAPES: Mapping[type, Shape] = {
    Target: Shape(after={"path": "kind", "isolated_cpus": "online_cpus"}),
    Namespace: Shape(
        absent={
            "dying": False,
            "worker": None,
            "matched": False,
            "other_mounts": (),
            "rps_default_mask": None,
            **dict.fromkeys(("task_count", "tasks", "containers")),
            **dict.fromkeys(("holders", "holder_count")),
        },
        last=(
            *("device_count", "dying", "worker", "task_count", "tasks", "containers"),
            *("holders", "holder_count"),
        ),
        after={"label": "init", "hostname": "label", "nsid": "other_mounts"},
    ),
    DeviceRef: Shape(left_out=("net_device", "label"), absent={"off_list": None}),
    Pair: Shape(forms={"a": _end, "b": _end}),
    XdpProgram: Shape(absent=dict.fromkeys(("maps", "extensions"), ())),
    MapEntry: Shape(
        absent=dict.fromkeys(
            ("device", "ifindex", "prog_id", "cpu", "qsize", "socket")
        ),
    ),
    Xdp: Shape(absent={"queues": None}),  # not a veth
    Device: Shape(
        absent={
            "matched": False,
            # Of devices of other kinds.
            **dict.fromkeys(
                ("vlan", "macvlan", "ipvlan", "bond", "bridge_port", "netkit")
            ),
            **dict.fromkeys(("off_list", "refcount", "ref_tasks")),
            "ref_trackers": None,
            **dict.fromkeys(("stats", "queue_stats", "qdisc_stats")),
            **dict.fromkeys(("af_xdp", "tc"), ()),
        },
        forms={"net_device": hex},
        after={"netns_label": "netns", "type": "kind"},
    ),
    LinkStats: Shape(absent=dict.fromkeys(("rx_nohandler", "rx_otherhost_dropped"))),
    VethQueueStats: Shape(absent={"ring": None}),
    CpuStats: Shape(absent=dict.fromkeys(("received_rps", "flow_limit_count"))),
    QueueInFlight: Shape(
        absent=dict.fromkeys(
            (
                *("oldest", "device", "queue", "cpu", "map_id", "qdisc", "handle"),
                *("part", "size"),
            )
        ),
        last=("length", "size", "skbs", "xdp_frames", "oldest"),
    ),
    PacketInFlight: Shape(absent={"device": None, "protocol": None}),
    Finding: Shape(
        absent=dict.fromkeys(("fix_effect", "undo", "then", "undecided")),
        last=("undecided",),
        forms={"evidence": _evidence},
    ),
    Then: Shape(spread=("answer",)),
    Answer: Shape(
        left_out=("decision", "detaches"),
        absent={"either": (), "then": None, "fix_effect": None},
        forms={"errno": _errno},
        spread=("errno",),
    ),
    Path: Shape(absent={"following": ()}, last=("flows", "following")),
    Flow: Shape(
        absent={"rx_queues": ()}, last=("steps",), after={"rx_queues": "tx_queues"}
    ),
    Step: Shape(forms={"numbers": _numbers}),
    Below: Shape(forms={"device": _which}, spread=("device", "answer")),
    Attempt: Shape(
        absent={"op": "attach", "below": ()},
        last=("op", "below"),
        forms={"device": _which},
        spread=("device", "answer"),
    ),
    in_a_row.Step: Shape(forms={"device": _which}, spread=("device", "answer")),
}
_AS_IT_STANDS = Shape()


class Member(NamedTuple):
    """A member of a record, as it is in the JSON."""

    name: str
    place: int
    absent: tuple[object, ...]  # the values with which it is absent
    form: Callable[[Any], Any]
    spread: bool


@functools.cache
def members_of(kind: type) -> Optional[list[Member]]:
    """
    Return what the JSON of a kind of record has, in its order.

    :return: None for a tuple that is no record
    """
    fields: Optional[tuple[str, ...]] = getattr(kind, "_fields", None)
    if fields is None:
        return None
    shape = SHAPES.get(kind, _AS_IT_STANDS)
    left_out = NOT_IN_JSON.get(kind, frozenset()).union(shape.left_out)
    order = [name for name in fields if name not in (*shape.last, *shape.after)]
    order.extend(shape.last)
    for name, before in shape.after.items():
        order.insert(order.index(before) + 1, name)
    return [
        Member(
            name,
            fields.index(name),
            (shape.absent[name],) if name in shape.absent else (),
            shape.forms.get(name, plain),
            name in shape.spread,
        )
        for name in order
        if name not in left_out
    ]


def plain(value: Any) -> Any:
    """
    Return a value in plain dicts, lists, numbers and strings.

    :param value: A record of a Snapshot, a finding, an attempt, or what is in one

    >>> from drgn_veth.model import QueueCount, Queues
    >>> plain(Queues(QueueCount(14, 14), QueueCount(Unreadable("gone"), 48)))["tx"]
    {'real': {'unreadable': 'gone'}, 'allocated': 48}
    """
    if isinstance(value, Unreadable):
        return {"unreadable": value.reason}
    if not isinstance(value, tuple):
        return value
    members = members_of(type(value))
    if members is None:
        return [plain(one) for one in value]
    record: _Json = {}
    for name, place, absent, form, spread in members:
        member = value[place]
        if absent and member == absent[0]:
            continue
        if spread:
            record.update(form(member))
        else:
            record[name] = form(member)
    return record
