# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "damage",
    "disclosed",
    "filtering",
    "netns_report",
    "opening",
    "options",
    "output",
    "picture",
    "slice",
    "status",
    "symbols",
    "terminal",
    "veth_report",
    "vmcore_slice",
    "xdp_attach",
)
