# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Two reports compared
--------------------

What came, went and changed. Both are JSON documents of ``veth_report.py``: one that was
made of a dump just now, or one from a file. Pure functions.
"""

__all__ = (
    "both",
    "comparison",
    "document",
    "fields",
    "matching",
    "records",
    "values",
)
