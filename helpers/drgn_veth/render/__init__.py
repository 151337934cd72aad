# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renderers
---------

Pure functions of a Snapshot into text. Whatever came from kernel memory is
escaped here, for where it goes, and nowhere else.
"""

__all__ = (
    "attempts",
    "attempts_table",
    "columns",
    "csv",
    "escape",
    "findings",
    "json",
    "plain",
    "table",
    "words",
)
