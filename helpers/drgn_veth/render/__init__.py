# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renderers
---------

Pure functions from a Snapshot to text. This is the only place that escapes strings from
kernel memory, each for its destination.
"""

__all__ = (
    "asked",
    "attempts",
    "attempts_device",
    "attempts_table",
    "columns",
    "commands",
    "counters",
    "compare_json",
    "compare_table",
    "compare_words",
    "csv",
    "device_facts",
    "drops",
    "escape",
    "explain",
    "explain_json",
    "findings",
    "grid",
    "head",
    "in_flight",
    "json",
    "json_text",
    "jsonl",
    "maps",
    "native",
    "netns",
    "one_device",
    "pairs",
    "path",
    "picture",
    "plain",
    "report",
    "rps",
    "style",
    "table",
    "tree",
    "whose",
    "width",
    "words",
    "xdp",
)
