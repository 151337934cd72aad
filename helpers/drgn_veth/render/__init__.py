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
    "compare_json",
    "compare_table",
    "compare_words",
    "csv",
    "escape",
    "findings",
    "json",
    "netns",
    "plain",
    "style",
    "table",
    "width",
    "words",
)
