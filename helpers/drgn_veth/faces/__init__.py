# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "damage",
    "opening",
    "options",
    "output",
    "slice",
    "status",
    "symbols",
    "veth_report",
    "vmcore_slice",
    "xdp_attach",
)
