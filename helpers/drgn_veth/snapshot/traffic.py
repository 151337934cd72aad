# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where packets go
----------------

What a Snapshot has of traffic, besides its devices: each part reads its own. Commands
that do not show it do not pay for it.
"""

from collections.abc import Mapping
from typing import Optional

from drgn import Program

from ..model import Snapshot
from .af_xdp import XdpSockets
from .counters import add_counters
from .found import Found
from .in_flight import add_in_flight
from .layouts import Layouts
from .maps import add_maps
from .tc_programs import add_tc_programs

__all__ = ("add_traffic",)


def add_traffic(
    prog: Program,
    layouts: Layouts,
    snapshot: Snapshot,
    found: Mapping[int, Found],
    sockets: Optional[XdpSockets] = None,
) -> Snapshot:
    """
    Return a Snapshot with what is known of traffic.

    :param found: What was read of each device, by address
    :param sockets: The AF_XDP sockets
    """
    if sockets is not None:
        snapshot = snapshot._replace(
            devices=sockets.add_to(snapshot.devices),
            incomplete=snapshot.incomplete + sockets.lost(snapshot.namespaces),
        )
    snapshot = snapshot._replace(
        devices=add_tc_programs(layouts, snapshot.devices, found)
    )
    snapshot = add_counters(layouts, add_maps(prog, snapshot, sockets), found)
    return add_in_flight(prog, layouts, snapshot, found)
