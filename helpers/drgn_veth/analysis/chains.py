# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Chains of devices
-----------------

What a device carries, over all levels: the bond that it is a slave of, the VLANs on
that bond, the bridge that one of them is a port of. A device may carry several others,
so there may be several chains.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef

__all__ = ("MOST_LEVELS", "Chain", "chains_above")

#: The kernel allows 8 (MAX_NEST_DEV, include/linux/netdevice.h), older ones any number.
MOST_LEVELS = 16


class Chain(NamedTuple):
    """Devices, each directly above the one before."""

    devices: tuple[DeviceRef, ...]
    #: Why it does not lead up to the top.
    cut: Optional[str] = None


def chains_above(device: Device, devices: Mapping[int, Device]) -> Iterator[Chain]:
    """
    Yield the chains from a device up to the top, without the device.

    There can be many: take as many as you need. In a damaged dump, devices may be above
    each other: a chain ends where it would come back.

    :param devices: All devices, by ``net_device``
    """
    return _above((device.ref,), device, devices)


def _above(
    path: tuple[DeviceRef, ...], device: Device, devices: Mapping[int, Device]
) -> Iterator[Chain]:
    above = path[1:]
    uppers = device.uppers
    if isinstance(uppers, Unreadable):
        yield Chain(above, uppers.reason)
        return
    if not uppers:
        if above:
            yield Chain(above)
        return
    if len(above) >= MOST_LEVELS:
        yield Chain(above, f"more than {MOST_LEVELS} levels")
        return
    met = {ref.net_device for ref in path}
    for upper in uppers:
        following = devices.get(upper.net_device)
        if upper.net_device in met:
            yield Chain((*above, upper), "the devices are above each other")
        elif following is None:
            yield Chain((*above, upper), "it is not among the devices")
        else:
            yield from _above((*path, upper), following, devices)
