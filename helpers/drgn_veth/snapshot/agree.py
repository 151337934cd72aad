# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Rows that agree
---------------

Where rows refer to each other, they have to agree. A master lists its ports, whatever
is in the memory. Rows of a running kernel are made one after the other: there, peers
point to each other, and a device above lists those that say they are below it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..core.moving import CHANGING
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, MapEntry, QueueInFlight, Snapshot

__all__ = ("agreed", "leads_to", "with_true_masters", "without_traffic_of")


def leads_to(ref: object, device: Device) -> bool:
    """Return whether something refers to a device."""
    return isinstance(ref, DeviceRef) and ref.net_device == device.net_device


def _peer(device: Device, rows: Mapping[int, Device]) -> Maybe[object]:
    peer = device.peer
    if not isinstance(peer, DeviceRef):
        return peer
    other = rows.get(peer.net_device)
    if other is None or not leads_to(other.peer, device):
        return CHANGING
    return other.ref


def _is_below(device: Device, upper: Device) -> bool:
    uppers = device.uppers
    return isinstance(uppers, tuple) and any(leads_to(ref, upper) for ref in uppers)


def _uppers(device: Device, rows: Mapping[int, Device]) -> dict[str, Any]:
    # What a device says of those above it is right; their names are in their rows.
    refs = [] if isinstance(device.uppers, Unreadable) else device.uppers
    master = device.master
    if isinstance(master, DeviceRef):
        refs = (*refs, master)
    if not refs:
        return {}
    if any(ref.net_device not in rows for ref in refs):
        return {"uppers": CHANGING, "master": CHANGING}
    changes: dict[str, Any] = {}
    if not isinstance(device.uppers, Unreadable):
        changes["uppers"] = tuple(rows[ref.net_device].ref for ref in device.uppers)
    if isinstance(master, DeviceRef):
        changes["master"] = rows[master.net_device].ref
    return changes


def agreed(devices: Iterable[Device]) -> list[Device]:
    """
    Return rows of a running kernel that do not contradict each other. What one says and
    the other denies is *changing*.
    """
    rows = {device.net_device: device for device in devices}
    for at, device in rows.items():
        changes = {"peer": _peer(device, rows), **_uppers(device, rows)}
        rows[at] = device._replace(**changes)
    below: dict[int, list[Device]] = {}
    for device in rows.values():
        if isinstance(device.uppers, tuple):
            for ref in device.uppers:
                below.setdefault(ref.net_device, []).append(device)
    for at, device in rows.items():
        lowers = device.lowers
        if isinstance(lowers, Unreadable) or not (lowers or at in below):
            continue
        known = [rows[ref.net_device] for ref in lowers if ref.net_device in rows]
        # First those that it lists, in its order.
        kept = [one for one in known if _is_below(one, device)]
        listed = {one.net_device for one in kept}
        kept += [one for one in below.get(at, ()) if one.net_device not in listed]
        refs = tuple(one.ref for one in kept)
        bond = device.bond
        if bond is not None:
            bond = bond._replace(slaves=refs)
        rows[at] = device._replace(lowers=refs, bond=bond)
    return list(rows.values())


def with_true_masters(devices: Sequence[Device]) -> list[Device]:
    """Return rows without the masters that do not list them as ports."""
    ports = {
        device.net_device: {port.net_device for port in device.lowers}
        for device in devices
        if isinstance(device.lowers, tuple)
    }
    told = []
    for device in devices:
        master = device.master
        if isinstance(master, DeviceRef) and device.net_device not in ports.get(
            master.net_device, (device.net_device,)
        ):
            why = f"what is at {master.net_device:#x} does not list it as a port"
            device = device._replace(master=Unreadable(why))
        told.append(device)
    return told


def _entry(entry: MapEntry, gone: Collection[int]) -> MapEntry:
    device = entry.device
    if isinstance(device, DeviceRef) and device.net_device in gone:
        return entry._replace(device=CHANGING, ifindex=CHANGING)
    return entry


def _queue(queue: QueueInFlight, gone: Collection[int]) -> QueueInFlight:
    if queue.device is None or queue.device.net_device not in gone:
        return queue
    return queue._replace(
        length=CHANGING, skbs=CHANGING, xdp_frames=CHANGING, oldest=CHANGING
    )


#: What is read of a device after its row.
_TRAFFIC: dict[str, Any] = dict.fromkeys(
    ("stats", "queue_stats", "qdisc_stats", "af_xdp", "tc"), CHANGING
)


def _without_traffic(device: Device) -> Device:
    veth = device.veth
    if veth is not None:
        veth = veth._replace(stopped=CHANGING)
    return device._replace(veth=veth, **_TRAFFIC)


def without_traffic_of(gone: Collection[int], snapshot: Snapshot) -> Snapshot:
    """
    Return a Snapshot in which what was read of some devices after their rows is
    *changing*.

    :param gone: Addresses of ``struct net_device``
    """
    if not gone:
        return snapshot
    devices = tuple(
        _without_traffic(device) if device.net_device in gone else device
        for device in snapshot.devices
    )
    maps = []
    for map in snapshot.maps:
        if isinstance(map.entries, tuple):
            entries = tuple(_entry(entry, gone) for entry in map.entries)
            map = map._replace(entries=entries)
        maps.append(map)
    flight = snapshot.in_flight
    if isinstance(flight, tuple):
        flight = tuple(_queue(queue, gone) for queue in flight)
    return snapshot._replace(devices=devices, maps=tuple(maps), in_flight=flight)
