# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Dump files, as far as their length
----------------------------------

libkdumpfile maps a kdump file into memory; if the file ends within its own
tables, because copying it was cut short, the process that opens it dies of
SIGBUS. So look first. Follows makedumpfile's diskdump_mod.h, for 64-bit kernels.

An ELF dump that was cut short is opened as if nothing was missing.
"""

import os
import struct
from typing import Optional

__all__ = ("how_to_unpack", "missing_from_elf", "missing_from_kdump")

_SIGNATURE = b"KDUMP   "
# signature, header_version, utsname, timestamp, status; block_size, sub_hdr_size,
# bitmap_blocks
_HEADER = struct.Struct("<8s4x390x6x16x4xiiI")
_PAGE_DESC = 24  # off_t offset; u32 size, flags; u64 page_flags
_BLOCK_SIZES = (4096, 8192, 16384, 65536)
_MAX_BITMAP = 1 << 30
_CHUNK = 1 << 20
_BITS_OF_BYTE = bytes(bin(byte).count("1") for byte in range(256))

_ELF64 = b"\x7fELF\x02"
_ORDERS = {1: "<", 2: ">"}  # by EI_DATA
_ELF_HEADER = "32xQ14xHH6x"  # e_phoff, e_phentsize, e_phnum
_PROGRAM_HEADER = "8xQ16xQ16x"  # p_offset, p_filesz

# How a file begins, and what to do about it.
_PACKED = (
    (b"\xfd7zXZ\0", "it is compressed: xz -d it first"),
    (b"\x1f\x8b", "it is compressed: gzip -d it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed: zstd -d it first"),
    (b"BZh", "it is compressed: bzip2 -d it first"),
    # drgn opens these, unless its libkdumpfile is too old or the file is damaged.
    (
        b"makedumpfile\0",
        "it is flattened: copy it again, in whole, or makedumpfile -R NEW <OLD first",
    ),
)


def how_to_unpack(path: str) -> Optional[str]:
    """
    Return what to do about a dump that is packed in another format.

    :return: None if it is not
    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(16)
    return next((what for magic, what in _PACKED if start.startswith(magic)), None)


def missing_from_elf(path: str) -> Optional[str]:
    """
    Return how an ELF core is too short for its own segments.

    :return: None if it is not, or is not a 64-bit ELF file
    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(64)
        if not start.startswith(_ELF64):
            return None
        size = f.seek(0, os.SEEK_END)
        if len(start) < 64:
            return f"the file ends within its header, after {size} bytes"
        order = _ORDERS.get(start[5])
        if order is None:
            return None
        # If they are more than e_phnum can tell, it tells 65,535: look at those.
        table, entry, count = struct.unpack(order + _ELF_HEADER, start)
        program = struct.Struct(order + _PROGRAM_HEADER)
        if entry != program.size:
            return None
        end = table + count * entry
        if end <= size:
            f.seek(table)
            for offset, length in program.iter_unpack(f.read(count * entry)):
                end = max(end, offset + length)
        if size < end:
            return f"the file ends after {size} bytes, its segments take {end}"
        return None


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
            for left in range(tables - dumped, 0, -_CHUNK):
                # Too short already, or long enough even for all other pages.
                if not tables <= size < tables + left * 8 * _PAGE_DESC:
                    break
                chunk = f.read(min(left, _CHUNK))
                tables += sum(chunk.translate(_BITS_OF_BYTE, b"\0")) * _PAGE_DESC
        if size < tables:
            return (
                f"the file ends after {size} bytes, its tables alone take at least "
                f"{tables}"
            )
        return None
