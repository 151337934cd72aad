# SPDX-License-Identifier: LGPL-2.1-or-later
"""What devices are called in a sentence."""

from typing import Union

from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef, Snapshot

__all__ = ("Names", "name_of", "where")


def name_of(device: Union[Device, DeviceRef]) -> str:
    """Return the name of a device, or its address if the name could not be read."""
    if isinstance(device.name, Unreadable):
        return f"device {device.net_device:#x}"
    return device.name


def where(device: Device) -> str:
    """Return a device with what distinguishes it from others of the same name."""
    netns, ifindex = (
        "?" if isinstance(number, Unreadable) else number
        for number in (device.netns, device.ifindex)
    )
    return f"{name_of(device)} (netns {netns}, ifindex {ifindex})"


class Names:
    """Names the devices of a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._netns: dict[int, str] = {
            namespace.inum: namespace.names[0]
            for namespace in snapshot.namespaces
            if isinstance(namespace.inum, int)
            and isinstance(namespace.names, tuple)
            and namespace.names
        }

    def name(self, device: Device, seen_from: Device) -> str:
        """
        Return the name of a device, with its namespace if that is a different one.
        """
        netns = device.netns
        if isinstance(netns, Unreadable) or netns == seen_from.netns:
            return name_of(device)
        return f"{name_of(device)} (netns {self._netns.get(netns, netns)})"

    def of_peer(self, what: str, peer: Device, seen_from: Device) -> str:
        """
        Return something of a peer: ``peer veth1's MTU``, or ``the MTU of peer eth0
        (netns pod1)``.
        """
        name = self.name(peer, seen_from)
        if name == name_of(peer):
            return f"peer {name}'s {what}"
        return f"the {what} of peer {name}"
