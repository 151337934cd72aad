# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The Snapshot
------------
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .counters import CpuStats
from .device import Device, Pair
from .in_flight import QueueInFlight
from .maps import Map
from .namespace import Namespace
from .target import Kernel, Target
from .xdp import LoadedProgram, XdpLink

__all__ = ("Snapshot",)


class Snapshot(NamedTuple):
    """All that one pass over the kernel found."""

    target: Target
    namespaces: tuple[Namespace, ...]
    devices: tuple[Device, ...]
    pairs: tuple[Pair, ...]
    # Walks that could not be finished, which no single value stands for.
    incomplete: tuple[tuple[str, str], ...] = ()
    kernel: Optional[Kernel] = None
    links: tuple[XdpLink, ...] = ()
    programs: Maybe[tuple[LoadedProgram, ...]] = ()
    cpus: Maybe[Optional[tuple[CpuStats, ...]]] = None  # None: not read
    # Maps that the attached XDP programs can redirect to.
    maps: tuple[Map, ...] = ()
    # None: nobody has looked.
    in_flight: Maybe[Optional[tuple[QueueInFlight, ...]]] = None
