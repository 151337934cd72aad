# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Filters
-------

Makes a smaller Snapshot from a Snapshot. Pure functions.
"""

from collections.abc import Collection, Iterable, Sequence
import fnmatch
import ipaddress
import re
from typing import Any, NamedTuple, Optional

from ..core.english import count
from ..core.nearest import MOST, listed, nearest, offer
from ..core.text import as_in_snapshot
from ..core.unreadable import Maybe
from ..model import XDP_MODES, Device, QueueInFlight, Snapshot, XdpProgram
from .in_flight import queues_of
from .names import names_of
from .netns_names import FilterError, is_pattern, netns_words

__all__ = (
    "NoDeviceError",
    "Wanted",
    "ip_address",
    "keep",
    "matched_only",
    "matching",
    "named",
)


class NoDeviceError(FilterError):
    """
    No device has a name.

    :param said: What to say of it
    :param name: The name
    :param devices: Those that there are
    """

    def __init__(self, said: str, name: str, devices: Sequence[Device]) -> None:
        self.said = said
        self.name = name
        names = dict.fromkeys(d.name for d in devices if isinstance(d.name, str))
        others = {a: d.name for d in devices for a in names_of(d) if a not in names}
        # Devices, with altnames where these are meant.
        self.near = [
            one if one in names else f"{one} (altname of {others[one]})"
            for one in nearest(name, [*names, *others])
        ]
        #: Whether there are too many to name them all
        self.many = not self.near and len(names) > MOST
        if self.near:
            there = f"nearest: {', '.join(self.near)}"
        elif self.many:
            there = f"none of {count(len(devices), 'device')} has a similar name"
        else:
            there = f"available: {listed(names) or 'none'}"
        super().__init__(f"{said}; {there}")


class Wanted(NamedTuple):
    """Which devices are wanted: those that match all filters."""

    #: Inode numbers of network namespaces; None: all of them.
    netns: Optional[Collection[int]] = None
    #: Shell patterns of device names or altnames; one has to match.
    names: Sequence[str] = ()
    #: rtnetlink kinds, or shell patterns of them; one has to match.
    kinds: Sequence[str] = ()
    #: IP addresses; a prefix length does not matter. The device has one of them.
    addresses: Sequence[str] = ()
    #: How the user called the namespaces, for errors.
    netns_given: Sequence[str] = ()

    @property
    def everything(self) -> bool:
        """Whether no filter is given."""
        return self.netns is None and not (self.names or self.kinds or self.addresses)


_ALL = Wanted()
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)


def _expect(given: Iterable[object], there: set[Any], otherwise: str) -> None:
    for one in given:
        if one not in there:
            some = listed(map(str, there)) or "none"
            raise FilterError(f"{otherwise} {one}; available: {some}")


def _of_kinds(devices: Sequence[Device], kinds: Sequence[str]) -> list[Device]:
    there = {d.kind for d in devices if isinstance(d.kind, str)}
    wanted: set[str] = set()
    for kind in kinds:
        found = fnmatch.filter(there, kind)
        if not found:
            raise FilterError(f"no device is of kind {kind}; {offer(kind, there)}")
        wanted.update(found)
    return [device for device in devices if device.kind in wanted]


def _like(devices: Sequence[Device], patterns: Sequence[str]) -> list[Device]:
    return [
        device
        for device in devices
        if any(fnmatch.fnmatchcase(n, p) for n in names_of(device) for p in patterns)
    ]


def _named_like(devices: Sequence[Device], patterns: Sequence[str]) -> list[Device]:
    found = []
    for given in patterns:
        pattern = _as_ip_prints(devices, given)
        if not _like(devices, [pattern]):
            raise NoDeviceError(f"no device matches {given!r}", given, devices)
        found.append(pattern)
    return _like(devices, found)


def _as_ip_prints(devices: Sequence[Device], name: str) -> str:
    # "ip link" prints eth0@if5: what is behind the @ is no part of the name, unless a
    # device is really called so.
    if "@" not in name or _like(devices, [name]):
        return name
    return name.partition("@")[0]


def _addresses(device: Device) -> set[str]:
    addresses = device.addresses
    if not isinstance(addresses, tuple):
        return set()
    return {address.partition("/")[0] for address in addresses}


def ip_address(text: str) -> str:
    """
    Return an IP address as the kernel prints it, without a prefix length.

    :raises FilterError: if it is none
    """
    try:
        return str(ipaddress.ip_interface(text).ip)
    except ValueError:
        if _MAC.fullmatch(text):
            raise FilterError(
                "a MAC address is no IP address; --address takes IPv4 and IPv6"
            ) from None
        raise FilterError(f"{text!r} is not an IP address") from None


def _with_addresses(devices: Sequence[Device], given: Sequence[str]) -> list[Device]:
    wanted = set()
    for address in map(ip_address, given):
        if not any(address in _addresses(device) for device in devices):
            there = {a for device in devices for a in _addresses(device)}
            some = listed(there) or "none"
            raise FilterError(f"no device has the address {address}; available: {some}")
        wanted.add(address)
    return [device for device in devices if wanted & _addresses(device)]


def matching(snapshot: Snapshot, wanted: Wanted) -> Sequence[Device]:
    """
    Return the devices that match all filters.

    :raises FilterError: if the kernel has no namespace, device, kind or address that a
        filter names
    """
    devices: Sequence[Device] = snapshot.devices
    if wanted.netns is not None:
        there = {n.inum for n in snapshot.namespaces if isinstance(n.inum, int)}
        _expect(wanted.netns, there, "no network namespace has the inode number")
        devices = [device for device in devices if device.netns in wanted.netns]
    if wanted.kinds:
        devices = _of_kinds(devices, wanted.kinds)
    if wanted.addresses:
        devices = _with_addresses(devices, wanted.addresses)
    if wanted.names:
        devices = _named_like(devices, wanted.names)
    return devices


def _maps_of(devices: Iterable[Device]) -> set[object]:
    # Identifiers of the maps that their programs reach.
    ids: set[object] = set()
    for device in devices:
        for program in (getattr(device.xdp, mode) for mode in XDP_MODES):
            if isinstance(program, XdpProgram) and isinstance(program.maps, tuple):
                ids.update(program.maps)
    return ids


def keep(snapshot: Snapshot, wanted: Wanted) -> Snapshot:
    """
    Return a Snapshot that is whole in itself: the devices that match all filters, the
    pairs with such a device at either end, both ends of these, all their namespaces,
    and the maps that their programs reach. What matched is marked.

    :raises FilterError: see :func:`matching()`
    """
    if wanted.everything:
        return snapshot
    matched = {device.net_device for device in matching(snapshot, wanted)}
    pairs = tuple(
        pair
        for pair in snapshot.pairs
        if pair.a.net_device in matched or pair.b.net_device in matched
    )
    kept = matched | {end.net_device for pair in pairs for end in (pair.a, pair.b)}
    devices = tuple(
        device._replace(matched=True) if device.net_device in matched else device
        for device in snapshot.devices
        if device.net_device in kept
    )
    given = frozenset(wanted.netns or ())
    places = given.union(device.netns for device in devices)
    maps = _maps_of(devices)
    return snapshot._replace(
        namespaces=tuple(
            n._replace(matched=True) if n.inum in given else n
            for n in snapshot.namespaces
            if n.inum in places
        ),
        devices=devices,
        pairs=pairs,
        in_flight=_in_flight(snapshot, devices),
        maps=tuple(map for map in snapshot.maps if map.id in maps),
    )


def _in_flight(
    snapshot: Snapshot, devices: Sequence[Device]
) -> Maybe[Optional[tuple[QueueInFlight, ...]]]:
    return None if snapshot.in_flight is None else queues_of(snapshot, devices)


def matched_only(kept: Snapshot) -> Snapshot:
    """
    Return what a filter matches, without the other ends of pairs and their namespaces,
    for a list of devices or of namespaces.
    """
    devices = tuple(device for device in kept.devices if device.matched)
    places = {device.netns for device in devices}
    namespaces = tuple(n for n in kept.namespaces if n.matched or n.inum in places)
    return kept._replace(devices=devices, namespaces=namespaces)


def _place(snapshot: Snapshot, device: Device) -> str:
    # A namespace as it is given to --netns.
    for namespace in snapshot.namespaces:
        if namespace.inum == device.netns:
            return netns_words(namespace)
    return "one that could not be read"


def _nowhere(devices: Sequence[Device], name: str, wanted: Wanted) -> NoDeviceError:
    where = "in any network namespace"
    if wanted.netns is not None:
        where = f"in the network namespace {' or '.join(wanted.netns_given)}"
    return NoDeviceError(f"no device named {name!r} {where}", name, devices)


def named(
    snapshot: Snapshot, names: Sequence[str], wanted: Wanted = _ALL
) -> Sequence[Device]:
    """
    Return the devices with these names, in the order of the names, each one once; all
    that match the filters if there are no names.

    :param names: Names or altnames, or shell patterns of them, which all devices match
        that are wanted
    :param wanted: Filters, which the devices match, too. Each namespace of the filter
        may have a device of that name.
    :raises FilterError: if nothing has a name that is given, or if several devices have
        one that is no pattern
    """
    devices = matching(snapshot, wanted)
    if not names:
        return devices
    inums = wanted.netns
    found: list[Device] = []
    for given in names:
        name = _as_ip_prints(devices, as_in_snapshot(given))
        same = [device for device in devices if name in names_of(device)]
        pattern = not same and is_pattern(name)
        if pattern:
            same = _like(devices, [name])
        if not same:
            raise _nowhere(devices, as_in_snapshot(given), wanted)
        missing = frozenset(inums or ()) - {device.netns for device in same}
        if missing and not pattern:
            raise FilterError(
                f"no device named {name!r} in the network namespace "
                f"{listed(map(str, missing))}"
            )
        if len(same) > 1 and not pattern and (inums is None or len(inums) == 1):
            places = {_place(snapshot, device) for device in same}
            raise FilterError(
                f"{len(same)} devices are named {name!r}, in the network "
                f"namespaces {listed(places)}; use --netns to choose"
            )
        found.extend(same)
    # By identity: those of a damaged list may be equal.
    return list({id(device): device for device in found}.values())
