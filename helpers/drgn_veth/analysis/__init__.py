# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure functions of a Snapshot."""

__all__ = (
    "ask",
    "attach",
    "chains",
    "commands",
    "compare",
    "diagnose",
    "explain",
    "filters",
    "held",
    "in_flight",
    "limits",
    "missing",
    "modules",
    "names",
    "native",
    "need",
    "netns_names",
    "path",
    "remedies",
    "rules",
    "shell",
    "shell_loop",
    "shown",
)
