# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The mark of a slice
-------------------

An ELF note in each slice, by which a report knows that what is missing was left out.
"""

from .elfcore import Note, read_notes, still_open

__all__ = ("SLICE_NOTE", "is_slice")

SLICE_NOTE = Note(b"drgn-veth", 3, b"slice")


def is_slice(path: str) -> bool:
    """Return whether a file is a slice; those of version 0.1 do not say so."""
    try:
        return SLICE_NOTE in read_notes(still_open(path))
    except OSError:
        return False
