# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which device each entry of a map leads to, and the programs that have the map."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, DeviceRef, Map, Snapshot, XdpProgram

__all__ = ("Route", "partly_known", "routes")

_DEVMAPS = ("devmap", "devmap_hash")


class Route(NamedTuple):
    """A program that redirects to a device by an entry of a map."""

    sender: Device
    program: XdpProgram
    native: bool
    map: Map
    key: Maybe[int]


def _programs(device: Device) -> Iterator[tuple[XdpProgram, bool]]:
    for program, native in ((device.xdp.driver, True), (device.xdp.generic, False)):
        if isinstance(program, XdpProgram):
            yield program, native


def partly_known(snapshot: Snapshot, senders: Sequence[Device]) -> Sequence[Device]:
    """
    Return the devices whose programs may redirect to more devices than
    :func:`routes()` tells: not every entry of a map was read.
    """
    parts = {
        one.id
        for one in snapshot.maps
        if one.type in _DEVMAPS
        and (isinstance(one.entries, Unreadable) or one.entry_count != len(one.entries))
    }
    return [
        sender
        for sender in senders
        for program, _ in _programs(sender)
        if isinstance(program.maps, Unreadable) or not parts.isdisjoint(program.maps)
    ]


def routes(
    snapshot: Snapshot, senders: Sequence[Device]
) -> Mapping[int, Sequence[Route]]:
    """
    Return what leads to a device, by the address of that device.

    :param senders: Devices that have programs
    """
    maps = {one.id: one for one in snapshot.maps if one.type in _DEVMAPS}
    found: dict[int, list[Route]] = {}
    for sender in senders if maps else ():
        for program, native in _programs(sender):
            for number in program.maps if isinstance(program.maps, tuple) else ():
                one = maps.get(number)
                entries = () if one is None else one.entries
                for entry in entries if isinstance(entries, tuple) else ():
                    if isinstance(entry.device, DeviceRef):
                        assert one is not None
                        route = Route(sender, program, native, one, entry.key)
                        found.setdefault(entry.device.net_device, []).append(route)
    return found
