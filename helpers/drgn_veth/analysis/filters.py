# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Filters
-------

Makes a smaller Snapshot from a Snapshot. Pure functions.
"""

from collections.abc import Collection, Iterable, Sequence
import fnmatch
import posixpath
import re
from typing import Any, Optional

from ..core.unreadable import Unreadable
from ..model import Device, Namespace, Snapshot

__all__ = ("FilterError", "find_all_netns", "find_netns", "keep", "named")


class FilterError(ValueError):
    """A filter names something that does not exist."""


_HOST = "host"  # what the first namespace is called, which `ip netns` does not name
_NETNS_LINK = re.compile(r"net:\[(\d+)\]")  # readlink /proc/PID/ns/net
_LABEL = re.compile(r"(.+)@(\d+)", re.DOTALL)


def _names(device: Device) -> Sequence[str]:
    names = [] if isinstance(device.name, Unreadable) else [device.name]
    if not isinstance(device.altnames, Unreadable):
        names.extend(device.altnames)
    return names


def _some(values: set[str], most: int = 12) -> str:
    listed = sorted(values)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _expect(given: Iterable[object], there: set[Any], otherwise: str) -> None:
    for one in given:
        if one not in there:
            listed = _some(set(map(str, there))) or "none"
            raise FilterError(f"{otherwise} {one}; available: {listed}")


def keep(
    snapshot: Snapshot,
    netns: Optional[Collection[int]] = None,
    names: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> Snapshot:
    """
    Return a Snapshot with the devices that match all filters, the pairs with such a
    device at either end, and their namespaces.

    :param netns: Inode numbers of network namespaces; None: all of them
    :param names: Shell patterns of device names or altnames; one has to match
    :param kinds: rtnetlink kinds; one has to match
    :raises FilterError: if there is no such namespace, device or kind
    """
    if netns is None and not names and not kinds:
        return snapshot
    devices = list(snapshot.devices)
    if netns is not None:
        there = {n.inum for n in snapshot.namespaces if isinstance(n.inum, int)}
        _expect(netns, there, "no network namespace has the inode number")
        devices = [device for device in devices if device.netns in netns]
    if kinds:
        kinds_there = {d.kind for d in devices if isinstance(d.kind, str)}
        _expect(kinds, kinds_there, "no device is of kind")
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
        places.update(netns)
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


def _labels(namespace: Namespace) -> Sequence[str]:
    # What a namespace is called, best first.
    labels = [_HOST] if namespace.init else []
    for told in (namespace.names, namespace.mounts):
        if not isinstance(told, Unreadable):
            labels.extend(told)
    return labels


def _namespace_words(namespace: Namespace) -> str:
    inum = "?" if isinstance(namespace.inum, Unreadable) else str(namespace.inum)
    labels = [label for label in _labels(namespace) if not label.startswith("/")]
    labels = labels or list(_labels(namespace))
    return f"{inum} ({', '.join(labels)})" if labels else inum


def _path(text: str) -> str:
    # /var/run is a link to /run, on all but old systems.
    path = posixpath.normpath(text)
    return path[len("/var") :] if path.startswith("/var/run/") else path


def _as_in_snapshot(given: str) -> str:
    # Bytes that are not UTF-8 are \\xNN there.
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_called(namespace: Namespace, text: str) -> bool:
    labels = _labels(namespace)
    if text.startswith("/"):
        return _path(text) in {_path(label) for label in labels if label[:1] == "/"}
    if text in labels:
        return True
    number = _NETNS_LINK.fullmatch(text)
    try:
        return namespace.inum == int(number.group(1) if number else text, 0)
    except ValueError:
        pass
    label = _LABEL.fullmatch(text)
    return (
        label is not None
        and label.group(1) in labels
        and namespace.inum == int(label.group(2))
    )


def find_netns(snapshot: Snapshot, given: str) -> int:
    """
    Return the inode number of a network namespace.

    :param given: Its inode number, as it is or as ``readlink /proc/PID/ns/net`` prints
        it; its name in ``ip netns``; the absolute path of a file it is mounted on;
        ``host`` for the initial one; a name and ``@INODE`` where several have the name
    :raises FilterError: if there is no such namespace, or if there are several
    """
    text = _as_in_snapshot(given)
    # By number: one that is met twice on a broken list is one.
    found = {
        namespace.inum: namespace
        for namespace in snapshot.namespaces
        if isinstance(namespace.inum, int) and _is_called(namespace, text)
    }
    if len(found) == 1:
        return next(iter(found))
    if found:
        exact = {
            f"{text}@{inum}"
            if text in _labels(namespace) and text[:1] != "/"
            else f"net:[{inum}]"
            for inum, namespace in found.items()
        }
        raise FilterError(
            f"{len(found)} network namespaces are called {text}; choose one: "
            f"{_some(exact)}"
        )
    words = {_namespace_words(namespace) for namespace in snapshot.namespaces}
    unread = [namespace.names for namespace in snapshot.namespaces]
    why = next((n.reason for n in unread if isinstance(n, Unreadable)), None)
    raise FilterError(
        f"no network namespace has the name, path or inode number {text}; available: "
        f"{_some(words)}" + (f"; some names could not be read: {why}" if why else "")
    )


def find_all_netns(
    snapshot: Snapshot, given: Sequence[str]
) -> Optional[frozenset[int]]:
    """
    Return the inode numbers of network namespaces, None without a filter.

    :raises FilterError: see :func:`find_netns()`
    """
    if not given:
        return None
    return frozenset(find_netns(snapshot, one) for one in given)


def named(
    snapshot: Snapshot, names: Sequence[str], netns: Sequence[str] = ()
) -> Sequence[Device]:
    """
    Return the devices with these names, in the order of the names; all devices if there
    are no names.

    :param names: Names or altnames
    :param netns: The network namespaces they are in, as for :func:`find_netns()`. Each
        of them may have a device of that name.
    :raises FilterError: if there is no such namespace or device, or if several devices
        have a name
    """
    devices: Sequence[Device] = snapshot.devices
    where = "in any network namespace"
    inums = find_all_netns(snapshot, netns)
    if inums is not None:
        devices = [device for device in devices if device.netns in inums]
        where = f"in the network namespace {' or '.join(netns)}"
    if not names:
        return devices
    found: list[Device] = []
    for given in names:
        name = _as_in_snapshot(given)
        same = [device for device in devices if name in _names(device)]
        if not same:
            raise FilterError(f"no device named {name!r} {where}")
        missing = (inums or frozenset()) - {device.netns for device in same}
        if missing:
            raise FilterError(
                f"no device named {name!r} in the network namespace "
                f"{_some(set(map(str, missing)))}"
            )
        if len(same) > 1 and (inums is None or len(inums) == 1):
            places = {_place(snapshot, device) for device in same}
            raise FilterError(
                f"{len(same)} devices are named {name!r}, in the network "
                f"namespaces {_some(places)}; use --netns to choose"
            )
        found.extend(same)
    return found
