# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pure functions of a Snapshot."""

__all__ = (
    "attach",
    "commands",
    "diagnose",
    "filters",
    "modules",
    "names",
    "need",
    "remedies",
    "rules",
    "shell",
)
