# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renderers
---------

Pure functions from a Snapshot to text. This is the only place that escapes strings from
kernel memory, each for its destination.
"""

__all__ = (
    "attempts",
    "attempts_device",
    "attempts_table",
    "columns",
    "csv",
    "escape",
    "explain",
    "findings",
    "json",
    "netns",
    "plain",
    "rps",
    "style",
    "table",
    "width",
    "words",
    "xdp",
)
