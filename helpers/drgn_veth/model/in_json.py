# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The records in JSON
-------------------

What the JSON leaves out, and where in it a value is or is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import compress
from operator import is_not

from ..core.driver_counters import is_driver_counter
from ..core.unreadable import NOT_IN_SLICE, Maybe, Unreadable
from .device import Device
from .in_flight import QueueInFlight
from .kinds import Bond
from .namespace import Namespace
from .processes import NetTask
from .snapshot import Snapshot
from .xdp import XdpProgram, XdpQueue

__all__ = ("NOT_IN_JSON", "device_place", "unreadable_in")

#: Members that the JSON leaves out: a finding that needs one says if it is missing.
NOT_IN_JSON: Mapping[type, frozenset[str]] = {
    Namespace: frozenset({"net"}),
    NetTask: frozenset({"thread"}),
    XdpProgram: frozenset({"expected_attach_type", "redirects"}),
    XdpQueue: frozenset(
        {"registered", "tx_errors", "waiting", "rxq_index", "threaded"}
    ),
    Bond: frozenset({"xmit_policy", "slaves"}),
    Device: frozenset(
        {
            "driver",
            "features",
            "hard_header_len",
            "memory_provider",
            "tcp_data_split",
            "traits",
            "veth",
            "virtio_net",
            "xsk_queues",
        }
    ),
}


def _are_whole(values: Iterable[object], known: set[int]) -> bool:
    # Whether no value is or contains an Unreadable. Devices share many of their
    # records: *known* has the identities of those that are whole.
    for value in values:
        if isinstance(value, Unreadable):
            return False
        if isinstance(value, tuple) and id(value) not in known:
            # Most records have nothing but numbers and text.
            if not set(map(type, value)) <= _SCALARS and not _are_whole(value, known):
                return False
            known.add(id(value))
    return True


_SCALARS = frozenset((int, str, bool, type(None)))


def _below(value: object, where: str, known: set[int]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Unreadable):
        # Of what only a driver knows, nothing is lost.
        if not is_driver_counter(value.reason):
            yield where, value.reason
    elif isinstance(value, tuple) and not _are_whole(value, known):
        names = getattr(value, "_fields", None)
        untold = NOT_IN_JSON.get(type(value), frozenset())
        for i, member in enumerate(value):
            if names is None:
                yield from _below(member, f"{where}[{i}]", known)
            elif names[i] not in untold:
                yield from _below(member, f"{where}.{names[i]}", known)


def _in_queue(
    queue: QueueInFlight, where: str, known: set[int]
) -> Iterator[tuple[str, str]]:
    if isinstance(queue.length, Unreadable):
        yield f"{where}.length", queue.length.reason  # Nor is anything else known.
        return
    for place, why in _below(queue, where, known):
        if why != NOT_IN_SLICE:  # That was meant.
            yield place, why


def _number(value: Maybe[int]) -> str:
    return "?" if isinstance(value, Unreadable) else str(value)


def device_place(device: Device) -> str:
    """Return where a device is, in the terms of the JSON."""
    return f"devices[({_number(device.netns)}, {_number(device.ifindex)})]"


def unreadable_in(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """
    Yield where a value is missing, in the terms of the JSON, and why. Counters that
    only a driver knows are not missing.
    """
    known: set[int] = set()
    yield from snapshot.incomplete
    yield from _below(snapshot.target, "target", known)
    for i, namespace in enumerate(snapshot.namespaces):
        yield from _below(namespace, f"namespaces[{i}]", known)
    last: tuple[object, ...] = ()
    for device in snapshot.devices:
        # What it shares with the last one has been looked at.
        if last and _are_whole(compress(device, map(is_not, device, last)), known):
            last = device
            continue
        last = device if _are_whole(device, known) else ()
        if not last:
            yield from _below(device, device_place(device), known)
    yield from _below(snapshot.cpus, "cpus", known)
    for i, one in enumerate(snapshot.maps):
        yield from _below(one, f"maps[{i}]", known)
    if isinstance(snapshot.in_flight, Unreadable):
        yield "in_flight", snapshot.in_flight.reason
    else:
        for i, queue in enumerate(snapshot.in_flight or ()):
            yield from _in_queue(queue, f"in_flight[{i}]", known)
