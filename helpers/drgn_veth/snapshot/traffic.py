# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Traffic
-------

What only those need who follow packets: read last, and not at all if nobody asks.
"""

from collections.abc import Mapping

from drgn import Program

from ..model import Snapshot
from .found import Found
from .in_flight import add_in_flight
from .layouts import Layouts

__all__ = ("add_traffic",)


def add_traffic(
    prog: Program, layouts: Layouts, snapshot: Snapshot, found: Mapping[int, Found]
) -> Snapshot:
    """
    Return a Snapshot with all that is known of its traffic.

    :param found: All devices, by address
    """
    return add_in_flight(prog, layouts, snapshot, found)
