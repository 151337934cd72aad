# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The plugin
----------

drgn imports this at every start once drgn-veth is installed (entry point
``drgn.plugins``): nothing is done here before a kernel is looked at.
"""

from drgn import Program, ProgramFlags

__all__ = ("drgn_prog_set",)


def drgn_prog_set(prog: Program) -> None:
    """Offer types from BTF to a kernel (a hook of drgn)."""
    if prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        from .btf.plugin_finders import offer_btf

        offer_btf(prog)
