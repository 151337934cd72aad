# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Filters
-------

A smaller Snapshot out of a Snapshot. Pure functions.
"""

import contextlib
import fnmatch
from typing import List, Optional, Sequence, Set

from .model import Device, Namespace, Snapshot, Unreadable

__all__ = ("FilterError", "find_netns", "keep", "named")


class FilterError(ValueError):
    """A filter names something that is not there."""


def _names(device: Device) -> Sequence[str]:
    names = [] if isinstance(device.name, Unreadable) else [device.name]
    if not isinstance(device.altnames, Unreadable):
        names.extend(device.altnames)
    return names


def _some(values: Set[str], most: int = 12) -> str:
    listed = sorted(values)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def keep(
    snapshot: Snapshot,
    netns: Optional[int] = None,
    names: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> Snapshot:
    """
    Return a Snapshot of the devices that pass all filters, the pairs that have
    such a device at either end, and the namespaces that these are in.

    :param netns: Inode number of a network namespace
    :param names: Shell patterns of device names or altnames; one has to match
    :param kinds: rtnetlink kinds; one has to match
    :raises FilterError: if there is no such namespace, device or kind
    """
    if netns is None and not names and not kinds:
        return snapshot
    devices = list(snapshot.devices)
    if netns is not None:
        if not any(namespace.inum == netns for namespace in snapshot.namespaces):
            there = {
                str(n.inum) for n in snapshot.namespaces if isinstance(n.inum, int)
            }
            raise FilterError(
                f"no network namespace has the inode number {netns}; "
                f"there are {_some(there)}"
            )
        devices = [device for device in devices if device.netns == netns]
    if kinds:
        there = {d.kind for d in devices if isinstance(d.kind, str)}
        for kind in kinds:
            if kind not in there:
                raise FilterError(
                    f"no device is of kind {kind}; there are {_some(there) or 'none'}"
                )
        devices = [device for device in devices if device.kind in kinds]
    for name in names:
        if not any(fnmatch.fnmatchcase(n, name) for d in devices for n in _names(d)):
            raise FilterError(
                f"no device matches {name!r}; --all lists the names of all devices"
            )
    if names:
        devices = [
            device
            for device in devices
            if any(fnmatch.fnmatchcase(n, p) for n in _names(device) for p in names)
        ]
    kept = {device.net_device for device in devices}
    pairs = tuple(
        pair
        for pair in snapshot.pairs
        if pair.a.net_device in kept or pair.b.net_device in kept
    )
    places = {device.netns for device in devices}
    if netns is not None:
        places.add(netns)
    return snapshot._replace(
        namespaces=tuple(n for n in snapshot.namespaces if n.inum in places),
        devices=tuple(devices),
        pairs=pairs,
    )


def _place(snapshot: Snapshot, device: Device) -> str:
    # A namespace as it is given to --netns.
    for namespace in snapshot.namespaces:
        if namespace.inum == device.netns:
            return _namespace_words(namespace)
    return "one that could not be read"


def _namespace_words(namespace: Namespace) -> str:
    inum = "?" if isinstance(namespace.inum, Unreadable) else str(namespace.inum)
    if namespace.init:
        return f"{inum} (the first one)"
    if isinstance(namespace.names, Unreadable) or not namespace.names:
        return inum
    return f"{inum} ({', '.join(namespace.names)})"


def find_netns(snapshot: Snapshot, netns: Optional[str]) -> Optional[int]:
    """
    Return the inode number of a network namespace.

    :param netns: Its inode number, as it is or as ``readlink /proc/PID/ns/net`` prints
        it, or its name; None: no namespace in particular
    :raises FilterError: if there is no such namespace
    """
    if netns is None:
        return None
    inums = [
        namespace.inum
        for namespace in snapshot.namespaces
        if not isinstance(namespace.names, Unreadable) and netns in namespace.names
    ]
    text = netns
    if text.startswith("net:[") and text.endswith("]"):
        text = text[len("net:[") : -1]
    with contextlib.suppress(ValueError):
        inums.append(int(text, 0))
    there = {namespace.inum for namespace in snapshot.namespaces}
    for inum in inums:
        if isinstance(inum, int) and inum in there:
            return inum
    words = {_namespace_words(namespace) for namespace in snapshot.namespaces}
    raise FilterError(
        f"no network namespace has the name or inode number {netns}; "
        f"there are {_some(words)}"
    )


def named(
    snapshot: Snapshot, names: Sequence[str], netns: Optional[str] = None
) -> Sequence[Device]:
    """
    Return the devices with these names, in their order; all if there is no name.

    :param names: Names or altnames
    :param netns: Where they are: the inode number of a network namespace, or its name
    :raises FilterError: if there is no such namespace or device, or if several devices
        have a name
    """
    devices: Sequence[Device] = snapshot.devices
    where = "in any network namespace"
    inum = find_netns(snapshot, netns)
    if inum is not None:
        devices = [device for device in devices if device.netns == inum]
        where = f"in the network namespace {netns}"
    if not names:
        return devices
    found: List[Device] = []
    for given in names:
        # As the names in a Snapshot: bytes that are not UTF-8 as \\xNN.
        data = given.encode("utf-8", "surrogateescape")
        name = data.decode("utf-8", "backslashreplace")
        same = [device for device in devices if name in _names(device)]
        if not same:
            raise FilterError(f"no device {where} has the name {name!r}")
        if len(same) > 1:
            places = sorted(_place(snapshot, device) for device in same)
            raise FilterError(
                f"{len(same)} devices have the name {name!r}, in the network "
                f"namespaces {', '.join(places)}; --netns says which one"
            )
        found.extend(same)
    return found
