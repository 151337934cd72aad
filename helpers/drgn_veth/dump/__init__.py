# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that dumps are: ELF cores and kdump."""

__all__ = (
    "elfcore",
    "file_kind",
    "kdump",
    "low_memory",
    "partial",
    "slice_note",
    "vmcoreinfo",
)
