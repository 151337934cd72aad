# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Packets that are left out
-------------------------

A slice leaves its owner's hands, and packets are their users' data. Whoever makes a
slice has nothing read of them, and a slice says so of itself.
"""

from drgn import Program

__all__ = ("are_packets_left_out", "leave_packets_out")

_KEY = "drgn_veth.without_packets"


def leave_packets_out(prog: Program) -> None:
    """Read no packet of a program from now on, but how many there are."""
    prog.cache[_KEY] = True


def are_packets_left_out(prog: Program) -> bool:
    """Return whether packets are left out."""
    return _KEY in prog.cache
