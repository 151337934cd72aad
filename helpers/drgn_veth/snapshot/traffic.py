# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where packets go
----------------

What only some commands show, and what others do not read: see ``traffic`` of
:func:`~drgn_veth.snapshot.take_snapshot()`.
"""

from collections.abc import Mapping

from drgn import Program

from ..model import Snapshot
from .counters import add_counters
from .found import Found
from .layouts import Layouts

__all__ = ("add_traffic",)


def add_traffic(
    prog: Program, layouts: Layouts, snapshot: Snapshot, found: Mapping[int, Found]
) -> Snapshot:
    """
    Return a Snapshot with what was counted.

    :param found: All devices, by address
    """
    return add_counters(layouts, snapshot, found)
