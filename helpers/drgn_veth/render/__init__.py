# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renderers
---------

Pure functions from a Snapshot to text. Strings from kernel memory are escaped here, for
their destination, and nowhere else.
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
