# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Limits of a device
------------------

What both a request and a printed command must keep to: the decisions of
:mod:`drgn_veth.analysis.ask` and the remedies ask here. Pure functions of a device.
"""

from typing import Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import Device

__all__ = ("af_xdp_between", "can_have_channels", "can_have_mtu", "mtu_limit")


def af_xdp_between(device: Device, first: int, end: int) -> Maybe[tuple[int, ...]]:
    """
    Return the queues from *first* to before *end* that AF_XDP sockets have.

    :return: Unreadable if they were not read
    """
    queues = device.xsk_queues
    if isinstance(queues, Unreadable):
        return queues
    return tuple(queue for queue in queues if first <= queue < end)


def can_have_channels(
    device: Device, rx: Optional[int] = None, tx: Optional[int] = None
) -> bool:
    """
    Return whether ethnl_set_channels() lets a veth have these numbers of queues. If a
    value is missing, it may.

    :param rx: None: as it is
    """
    asked = (rx, device.queues.rx), (tx, device.queues.tx)
    new: list[int] = []
    old: list[int] = []
    for wanted, count in asked:
        if wanted is not None and not isinstance(count.allocated, Unreadable):
            if not 0 < wanted <= count.allocated:
                return False
    for wanted, count in asked:
        if isinstance(count.real, Unreadable):
            return True
        new.append(count.real if wanted is None else wanted)
        old.append(count.real)
    # As the older kernels ask: newer ones do not refuse more than they.
    lost = af_xdp_between(device, min(new), max(old))
    return isinstance(lost, Unreadable) or not lost


def mtu_limit(device: Device, mtu: int) -> Maybe[Optional[str]]:
    """
    Return which limit of dev_validate_mtu() an MTU breaks: ``min_mtu``, ``max_mtu`` or
    none.

    :param mtu: As an unsigned number of 32 bits; the kernel takes it as an int
    """
    if isinstance(device.min_mtu, Unreadable):
        return device.min_mtu
    if mtu >= 1 << 31 or mtu < device.min_mtu:
        return "min_mtu"
    if isinstance(device.max_mtu, Unreadable):
        return device.max_mtu
    return "max_mtu" if device.max_mtu and mtu > device.max_mtu else None


def can_have_mtu(device: Device, mtu: int) -> bool:
    """
    Return whether dev_validate_mtu() accepts an MTU. If a value is missing, it may.
    """
    limit = mtu_limit(device, mtu)
    return limit is None or isinstance(limit, Unreadable)
