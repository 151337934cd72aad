# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reading no more than is needed
------------------------------

Each read takes about the same time, however long it is. So where several values lie
near each other, one read takes all that is between them. A slice keeps what is read,
and what is between may belong to another object: there, each value is read by itself.
"""

from drgn import Program

__all__ = ("are_reads_exact", "read_exactly")

_KEY = "drgn_veth.exact_reads"


def read_exactly(prog: Program) -> None:
    """Read of a program no byte that is not needed, from now on."""
    prog.cache[_KEY] = True


def are_reads_exact(prog: Program) -> bool:
    """Return whether no byte is read that is not needed."""
    return _KEY in prog.cache
