# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel's core answers to an XDP attach
-----------------------------------------------

The core's own decisions, in the kernel's order, as lists with one entry per decision.
Pure functions of a Snapshot; all numbers that they compare come from the target.

Follows do_setlink() (net/core/rtnetlink.c), bpf_xdp_link_attach(),
bpf_xdp_link_update(), dev_xdp_attach(), dev_xdp_install() and generic_xdp_install()
(net/core/dev.c). The drivers' own decisions are in
:mod:`drgn_veth.analysis.attach.drivers`;
:mod:`drgn_veth.analysis.attach.predictor` asks them all.
"""

from .attach import CORE, NO_OPERATION
from .checks import CHECKS
from .install import GENERIC, INSTALL
from .netlink import NETLINK
from .update import UPDATE

__all__ = (
    "CHECKS",
    "CORE",
    "GENERIC",
    "INSTALL",
    "NETLINK",
    "NO_OPERATION",
    "UPDATE",
)
