# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "damage",
    "disclosed",
    "explain",
    "filtering",
    "kept",
    "netns_report",
    "opening",
    "options",
    "output",
    "prompt",
    "shown",
    "slice",
    "status",
    "symbols",
    "terminal",
    "veth_report",
    "vmcore_slice",
    "xdp_attach",
)
