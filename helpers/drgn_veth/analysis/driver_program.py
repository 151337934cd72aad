# SPDX-License-Identifier: LGPL-2.1-or-later
"""The native program that a driver runs."""

from collections.abc import Mapping
from typing import Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, XdpProgram

__all__ = ("driver_program",)


def driver_program(
    device: Device, by_address: Mapping[int, Device]
) -> Maybe[Optional[XdpProgram]]:
    """
    Return the native program of a device, its own or that of its bond: bond_xdp_set()
    (drivers/net/bonding/bond_main.c) gives it to the drivers of the slaves, whose
    ``xdp_state`` stays empty.

    :param by_address: All devices
    """
    own, master = device.xdp.driver, device.master
    if own is not None or master is None:
        return own
    if isinstance(master, Unreadable):
        return master
    bond = by_address.get(master.net_device)
    return bond.xdp.driver if bond is not None and bond.kind == "bond" else None
