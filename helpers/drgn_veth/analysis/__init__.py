# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure functions of a Snapshot."""

__all__ = (
    "attach",
    "chains",
    "commands",
    "compare",
    "diagnose",
    "filters",
    "missing",
    "modules",
    "names",
    "need",
    "netns_names",
    "remedies",
    "rules",
    "shell",
)
