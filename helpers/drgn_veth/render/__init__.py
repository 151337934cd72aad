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
    "csv",
    "escape",
    "findings",
    "json",
    "netns",
    "picture",
    "plain",
    "style",
    "table",
    "words",
)
