# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kdump file format, as far as its length
-------------------------------------------

libkdumpfile maps a kdump file into memory; if the file ends within its own
tables, because copying it was cut short, the process that opens it dies of
SIGBUS. So look first. Follows makedumpfile's diskdump_mod.h, for 64-bit kernels.
"""

import os
import struct
from typing import Optional

__all__ = ("missing_from_kdump",)

_SIGNATURE = b"KDUMP   "
# signature, header_version, utsname, timestamp, status; block_size, sub_hdr_size,
# bitmap_blocks
_HEADER = struct.Struct("<8s4x390x6x16x4xiiI")
_PAGE_DESC = 24  # off_t offset; u32 size, flags; u64 page_flags
_BLOCK_SIZES = (4096, 8192, 16384, 65536)
_MAX_BITMAP = 1 << 30


def missing_from_kdump(path: str) -> Optional[str]:
    """
    Return how a kdump file is too short for its own tables.

    :return: None if it is not, or is not a kdump file
    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(_HEADER.size)
        if not start.startswith(_SIGNATURE):
            return None
        size = os.fstat(f.fileno()).st_size
        if len(start) < _HEADER.size:
            return f"the file ends within its header, after {size} bytes"
        _, block, sub_header, bitmap = _HEADER.unpack(start)
        if block not in _BLOCK_SIZES or sub_header < 0 or bitmap * block > _MAX_BITMAP:
            return None  # Another machine's: leave it to libkdumpfile.
        # Two bitmaps; the second one tells which pages are in the file.
        dumped = (1 + sub_header + bitmap // 2) * block
        tables = (1 + sub_header + bitmap) * block
        if size >= tables:
            f.seek(dumped)
            pages = bin(int.from_bytes(f.read(tables - dumped), "little")).count("1")
            tables += pages * _PAGE_DESC
        if size < tables:
            return f"the file ends after {size} bytes, its tables alone take {tables}"
        return None
