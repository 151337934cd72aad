# SPDX-License-Identifier: LGPL-2.1-or-later
"""What devices are called in a sentence."""

from typing import Union

from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef

__all__ = ("name_from", "name_of", "names_of", "of_peer", "where")


def name_of(device: Union[Device, DeviceRef]) -> str:
    """Return the name of a device, or its address if the name could not be read."""
    if isinstance(device.name, Unreadable):
        return f"device {device.net_device:#x}"
    return device.name


def names_of(device: Device) -> list[str]:
    """Return the name and the altnames of a device, as far as they could be read."""
    names = [] if isinstance(device.name, Unreadable) else [device.name]
    if not isinstance(device.altnames, Unreadable):
        names.extend(device.altnames)
    return names


def _netns(device: Device) -> str:
    if device.netns_label:
        return device.netns_label
    return "?" if isinstance(device.netns, Unreadable) else str(device.netns)


def where(device: Device) -> str:
    """Return a device with what distinguishes it from others of the same name."""
    ifindex = "?" if isinstance(device.ifindex, Unreadable) else device.ifindex
    return f"{name_of(device)} (netns {_netns(device)}, ifindex {ifindex})"


def name_from(device: Device, seen_from: Device) -> str:
    """Return the name of a device, with its namespace if that is a different one."""
    if isinstance(device.netns, Unreadable) or device.netns == seen_from.netns:
        return name_of(device)
    return f"{name_of(device)} (netns {_netns(device)})"


def of_peer(what: str, peer: Device, seen_from: Device) -> str:
    """
    Return something of a peer: ``peer veth1's MTU``, or ``the MTU of peer eth0 (netns
    pod1)``.
    """
    name = name_from(peer, seen_from)
    if name == name_of(peer):
        return f"peer {name}'s {what}"
    return f"the {what} of peer {name}"
