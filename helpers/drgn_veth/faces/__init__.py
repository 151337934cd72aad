# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user interface: arguments, opening a target, output."""

__all__ = (
    "cli",
    "commands",
    "damage",
    "disclosed",
    "files",
    "filtering",
    "kcore",
    "netns_report",
    "opening",
    "options",
    "output",
    "progress",
    "slice",
    "status",
    "symbols",
    "terminal",
    "veth_report",
    "vmcore_slice",
    "xdp_attach",
)
