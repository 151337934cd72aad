# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Names that may be left out
--------------------------

Names that may tell of people, customers and places: of tasks, cgroups and hosts,
aliases and addresses. Where they are left out, nothing reads them.
"""

from drgn import Program

from .errors import WalkError

__all__ = ("LEFT_OUT", "are_names_left_out", "check_names", "leave_names_out")

#: Why such a name is missing.
LEFT_OUT = "names are left out"

_KEY = "drgn_veth.without_names"


def leave_names_out(prog: Program) -> None:
    """
    Leave out such names in all that is read of a program from now on. Structs are then
    read member by member, since some have names between those that are needed.
    """
    prog.cache[_KEY] = True


def are_names_left_out(prog: Program) -> bool:
    """Return whether such names are left out."""
    return _KEY in prog.cache


def check_names(prog: Program) -> None:
    """
    Be asked before such a name is read.

    :raises WalkError: if it is to be left out
    """
    if are_names_left_out(prog):
        raise WalkError(LEFT_OUT)
