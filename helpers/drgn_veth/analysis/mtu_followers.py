# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices whose MTU changes with that of another one."""

from collections.abc import Iterator
from typing import Callable, Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef

__all__ = ("mtu_followers",)

_SMALLEST = Unreadable("a bridge may take the smallest MTU of its ports")


def mtu_followers(
    device: Device, mtu: int, of: Callable[[DeviceRef], Optional[Device]]
) -> Iterator[tuple[Device, Maybe[int]]]:
    """
    Yield the devices above one whose MTU the kernel changes with it, and to what:
    vlan_device_event() (net/8021q/vlan.c), macvlan_device_event()
    (drivers/net/macvlan.c), ipvlan_device_event() (drivers/net/ipvlan/ipvlan_main.c)
    and br_mtu_auto_adjust() (net/bridge/br_if.c).

    :param mtu: What the MTU of the device becomes
    :param of: Returns the record of a device, None if there is none
    """
    seen = {device.net_device}
    waiting = [device]
    while waiting:
        uppers = waiting.pop().uppers
        for ref in () if isinstance(uppers, Unreadable) else uppers:
            upper = of(ref)
            if upper is None or upper.net_device in seen:
                continue
            seen.add(upper.net_device)
            if upper.kind == "bridge":
                yield (
                    upper,
                    Unreadable("a bridge may take the smallest MTU of its ports"),
                )
            elif upper.kind in ("ipvlan", "ipvtap") or (
                upper.kind in ("vlan", "macvlan", "macvtap")
                and isinstance(upper.mtu, int)
                and upper.mtu > mtu
            ):
                yield upper, mtu
                waiting.append(upper)
