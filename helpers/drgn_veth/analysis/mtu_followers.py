# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices whose MTU changes with that of another one."""

from collections.abc import Iterator
from typing import Callable, Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef

__all__ = ("MOST_OVERHEAD", "is_announced", "mtu_followers", "overhead")

#: The most that a device takes of the MTU below: the tag of macsec and the longest ICV.
MOST_OVERHEAD = 16 + 32

_SMALLEST = Unreadable("a bridge may take the smallest MTU of its ports")
_MACSEC = Unreadable("a macsec device takes less than that")


def overhead(upper: Device) -> int:
    """Return how many bytes a device may take of the MTU of the one below."""
    return MOST_OVERHEAD if upper.kind == "macsec" else 0


def _follows(upper: Device, now: Maybe[int]) -> Maybe[Optional[int]]:
    # The MTU that a device gets, None if it keeps its own.
    if upper.kind == "bridge":
        return _SMALLEST
    if upper.kind in ("ipvlan", "ipvtap"):
        return now
    if upper.kind not in ("vlan", "macvlan", "macvtap", "macsec"):
        return None
    if isinstance(now, int) and isinstance(upper.mtu, int):
        if upper.mtu <= now - overhead(upper):
            return None
    return _MACSEC if upper.kind == "macsec" else now


def is_announced(upper: Device) -> bool:
    """
    Return whether the kernel sends NETDEV_CHANGEMTU when the MTU of a device follows:
    ipvlan_adjust_mtu() does not.
    """
    return upper.kind not in ("ipvlan", "ipvtap")


def mtu_followers(
    device: Device, mtu: int, of: Callable[[DeviceRef], Optional[Device]]
) -> Iterator[tuple[Device, Maybe[int]]]:
    """
    Yield the devices above one whose MTU the kernel changes with it, and to what; if
    they may keep theirs, that is unreadable. Follows vlan_device_event()
    (net/8021q/vlan.c), macvlan_device_event() (drivers/net/macvlan.c),
    ipvlan_device_event() (drivers/net/ipvlan/ipvlan_main.c), macsec_notify()
    (drivers/net/macsec.c) and br_mtu_auto_adjust() (net/bridge/br_if.c).

    :param mtu: What the MTU of the device becomes
    :param of: Returns the record of a device, None if there is none
    """
    seen = {device.net_device}
    waiting: list[tuple[Device, Maybe[int]]] = [(device, mtu)]
    while waiting:
        lower, now = waiting.pop()
        for ref in () if isinstance(lower.uppers, Unreadable) else lower.uppers:
            upper = of(ref)
            if upper is None or upper.net_device in seen:
                continue
            new = _follows(upper, now)
            if new is None:
                continue
            seen.add(upper.net_device)
            yield upper, new
            if is_announced(upper):
                waiting.append((upper, new))
