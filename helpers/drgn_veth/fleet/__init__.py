# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Many dumps
----------

One dump is one task of Dask, read by a process that may die of it. The results are
Parquet, or a line of JSON for each dump.
"""

__all__ = (
    "dumps",
    "folder",
    "reader",
    "results",
    "rows",
    "run",
    "schemas",
    "task",
    "told",
    "writing",
)
