# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Traits of devices
-----------------

What decides requests that are no XDP attach: to give a device a master, or to move it
to another network namespace.
"""

from typing import NamedTuple

from ..core.unreadable import Maybe

__all__ = ("Traits",)


class Traits(NamedTuple):
    """What a ``struct net_device`` says about its place among others."""

    type: Maybe[int] = 1  # ARPHRD_*; 1: Ethernet
    addr_len: Maybe[int] = 6  # bytes
    netns_immutable: Maybe[bool] = False  # it stays in its network namespace
    rx_handler: Maybe[bool] = False  # a master, a macvlan or the like takes its packets
    no_rx_handler: Maybe[bool] = False  # IFF_NO_RX_HANDLER: it can be no port
    dont_bridge: Maybe[bool] = False  # IFF_DONT_BRIDGE
    # The user set the indirection table of RSS; unreadable in kernels that note it
    # elsewhere.
    rxfh_configured: Maybe[bool] = False
