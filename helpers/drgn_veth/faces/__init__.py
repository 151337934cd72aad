# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "compare",
    "damage",
    "disclosed",
    "filtering",
    "netns_report",
    "opening",
    "options",
    "output",
    "sides",
    "slice",
    "status",
    "symbols",
    "terminal",
    "veth_report",
    "vmcore_slice",
    "xdp_attach",
)
