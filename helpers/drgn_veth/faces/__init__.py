# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "cli",
    "commands",
    "damage",
    "disclosed",
    "explain",
    "files",
    "filtering",
    "kcore",
    "kept",
    "netns_report",
    "opening",
    "options",
    "output",
    "progress",
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
