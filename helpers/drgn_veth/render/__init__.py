# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renderers
---------

Pure functions from a Snapshot to text. This is the only place that escapes strings from
kernel memory, each for its destination.
"""

__all__ = (
    "attempts",
    "attempts_table",
    "columns",
    "commands",
    "csv",
    "device_facts",
    "escape",
    "findings",
    "grid",
    "head",
    "json",
    "native",
    "netns",
    "one_device",
    "pairs",
    "plain",
    "report",
    "style",
    "table",
    "tree",
    "width",
    "words",
)
