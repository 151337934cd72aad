# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where packets go
----------------

The path of a packet in the kernel's order, each step with the function that decides and
the numbers that it compares. Pure functions of a Snapshot.
"""

from .records import Flow, Path, Step
from .topology import Topology
from .tracer import PAIRED, PathError, trace

__all__ = ("PAIRED", "Flow", "Path", "PathError", "Step", "Topology", "trace")
