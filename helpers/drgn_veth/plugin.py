# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The plugin
----------

Once drgn-veth is installed, drgn imports this module at every start (entry point
``drgn.plugins``). So it does nothing until a kernel is opened.
"""

from drgn import Program, ProgramFlags

__all__ = ("drgn_prog_set",)


def drgn_prog_set(prog: Program) -> None:
    """Offer types from BTF for a kernel (a hook of drgn)."""
    if prog.flags & ProgramFlags.IS_LINUX_KERNEL:
        from .btf.plugin_finders import offer_btf

        offer_btf(prog)
