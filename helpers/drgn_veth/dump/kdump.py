# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Incomplete dump files
---------------------

What the headers of a dump file say: whether the file is complete, and what is missing.

libkdumpfile maps a kdump file into memory. If the file ends within its own tables,
because a copy was cut short, SIGBUS kills the process that opens it: check first.
Follows makedumpfile's diskdump_mod.h, for 64-bit kernels.

drgn opens a truncated ELF dump, and a kdump file that lacks pages, as if nothing were
missing.
"""

from array import array
from collections.abc import Iterator
import os
import struct
import sys
from typing import BinaryIO, NamedTuple, Optional

__all__ = (
    "dumped_pages",
    "how_to_unpack",
    "lost_memory",
    "missing_from_elf",
    "missing_from_kdump",
    "what_is_wrong",
)

_SIGNATURE = b"KDUMP   "
# struct disk_dump_header: header_version; status, block_size, sub_hdr_size,
# bitmap_blocks, max_mapnr
_HEADER = "8xi390x6x16xIiiII"
_HEADER_SIZE = struct.calcsize("<" + _HEADER)
_INCOMPLETE = 8  # DUMP_DH_COMPRESSED_INCOMPLETE in status
# struct kdump_sub_header: split, start_pfn, end_pfn; offset and size of vmcoreinfo,
# note and eraseinfo; start_pfn_64, end_pfn_64, max_mapnr_64
_SUB_HEADER = "12xi" + 11 * "Q"
_HAS_SPLIT, _HAS_VMCOREINFO, _HAS_64 = 2, 3, 6  # since these values of header_version
_PARTS = 3  # vmcoreinfo, note and eraseinfo
_ORDER_HERE = "<" if sys.byteorder == "little" else ">"
_PAGE_DESC = 24
_PAGE = "QI12x"  # struct page_desc: offset, size
_BLOCK_SIZES = (4096, 8192, 16384, 65536)
_MAX_BITMAP = 1 << 30
_CHUNK = 1 << 20
_PAGES = 1 << 15  # descriptors that are looked at at a time
_MOST_CHUNKS = 64
_BITS_OF_BYTE = bytes(bin(byte).count("1") for byte in range(256))

_FLATTENED = b"makedumpfile\0"
_END_OF_FLATTENED = b"\xff" * 16  # struct makedumpfile_data_header: offset and size -1

_ELF64 = b"\x7fELF\x02"
_ORDERS = {1: "<", 2: ">"}  # by EI_DATA
_ELF_HEADER = "32xQ14xHH6x"  # e_phoff, e_phentsize, e_phnum
_PROGRAM_HEADER = "8xQ16xQ16x"  # p_offset, p_filesz

_AGAIN = "copy the whole dump again"

# How a file begins, and what to do about it.
_PACKED = (
    (b"\xfd7zXZ\0", "it is compressed: xz -d it first"),
    (b"\x1f\x8b", "it is compressed: gzip -d it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed: zstd -d it first"),
    (b"BZh", "it is compressed: bzip2 -d it first"),
    (b"\x04\x22\x4d\x18", "it is compressed: lz4 -d it first"),
    (b"\x89LZO\0\r\n\x1a\n", "it is compressed: lzop -d it first"),
    # drgn opens these, unless its libkdumpfile is too old or the file is damaged.
    (
        _FLATTENED,
        "it is flattened: copy the whole dump again, or run makedumpfile -R NEW <OLD",
    ),
)


def how_to_unpack(path: str) -> Optional[str]:
    """
    Return what to do about a dump in another format, such as a compressed one.

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
            return f"the file ends after {size} bytes, but its segments need {end}"
        return None


class _Kdump(NamedTuple):
    # What the headers of a kdump file say, and where its tables are.
    order: str
    block: int
    incomplete: bool
    first: int  # page frames that this file has descriptors of
    end: int
    all_pages: int
    split: bool
    bitmap: int  # where the second one begins: which pages were dumped
    descriptors: int
    tables: int  # where they end, without the descriptors


def _read_kdump(f: BinaryIO, start: bytes) -> Optional[_Kdump]:
    # None: of a machine that is not known here. Leave it to libkdumpfile.
    for order in "<>":
        version, status, block, sub_header, bitmap, pages = struct.unpack(
            order + _HEADER, start
        )
        if block in _BLOCK_SIZES and sub_header >= 0:
            break
    else:
        return None
    descriptors = tables = (1 + sub_header + bitmap) * block
    sub = struct.Struct(order + _SUB_HEADER)
    f.seek(block)
    split, *fields = sub.unpack(f.read(sub.size).ljust(sub.size, b"\0"))
    first, end = fields[0], fields[1]
    if version >= _HAS_64:
        first, end, pages = fields[8:]
    # Version 3 has vmcoreinfo, each of the next two one part more.
    parts = min(max(version - _HAS_VMCOREINFO + 1, 0), _PARTS)
    for offset, length in zip(fields[2::2], fields[3 : 3 + 2 * parts : 2]):
        if length:
            tables = max(tables, offset + length)
    is_split = version >= _HAS_SPLIT and split != 0
    return _Kdump(
        order=order,
        block=block,
        incomplete=bool(status & _INCOMPLETE),
        first=first if is_split else 0,
        end=end if is_split else bitmap // 2 * block * 8,
        all_pages=pages,
        split=is_split,
        bitmap=(1 + sub_header + bitmap // 2) * block,
        descriptors=descriptors,
        tables=tables,
    )


def _dumped(f: BinaryIO, kdump: _Kdump) -> int:
    # How many pages have descriptors: the bits of the second bitmap.
    at = kdump.first // 8
    end = min((kdump.end + 7) // 8, kdump.descriptors - kdump.bitmap)
    if not 0 < end - at <= _MAX_BITMAP:
        return 0
    count = 0
    f.seek(kdump.bitmap + at)
    for left in range(end - at, 0, -_CHUNK):
        chunk = bytearray(f.read(min(left, _CHUNK)))
        if left == end - at and chunk:
            chunk[0] &= 0xFF << kdump.first % 8 & 0xFF
        if left <= _CHUNK and chunk and kdump.end % 8:
            chunk[-1] &= (1 << kdump.end % 8) - 1
        count += sum(chunk.translate(_BITS_OF_BYTE, b"\0"))
    return count


def _end_of_pages(f: BinaryIO, kdump: _Kdump, count: int) -> int:
    # Where the last page ends. Pages stand in the order of their descriptors, but for
    # those that are all zero: they share one, the first. Look for another from the end.
    page = struct.Struct(kdump.order + _PAGE)
    end = 0
    for _ in range(_MOST_CHUNKS):
        if count <= 0:
            break
        before = max(count - _PAGES, 0)
        f.seek(kdump.descriptors + before * page.size)
        data = f.read((count - before) * page.size)
        pages = set(page.iter_unpack(data[: len(data) // page.size * page.size]))
        end = max([end, *(offset + size for offset, size in pages)])
        if len(pages - {(0, 0)}) > 1:
            break
        count = before
    return end


def _first_beyond(f: BinaryIO, kdump: _Kdump, count: int, size: int) -> Optional[int]:
    # Index of the first descriptor of a page that the file does not have in whole.
    # Pages stand in the order of their descriptors, but for those of zeros.
    page = struct.Struct(kdump.order + _PAGE)
    f.seek(kdump.descriptors)
    for before in range(0, count, _PAGES):
        data = f.read(min(_PAGES, count - before) * page.size)
        data = data[: len(data) // page.size * page.size]
        words = array("Q", data)
        if kdump.order != _ORDER_HERE:
            words.byteswap()
        if max(words[:: page.size // words.itemsize], default=0) + kdump.block > size:
            for index, (offset, length) in enumerate(page.iter_unpack(data), before):
                if offset + length > size:
                    return index
    return None


def _page_at(f: BinaryIO, kdump: _Kdump, index: int) -> int:
    # The number of the page frame that a descriptor is of.
    at = kdump.first // 8
    mask = 0xFF << kdump.first % 8 & 0xFF
    f.seek(kdump.bitmap + at)
    while chunk := bytearray(f.read(_CHUNK)):
        chunk[0] &= mask
        mask = 0xFF
        for byte, bits in enumerate(chunk.translate(_BITS_OF_BYTE, b"")):
            if index >= bits:
                index -= bits
                continue
            for bit in range(8):
                if chunk[byte] >> bit & 1:
                    if not index:
                        return (at + byte) * 8 + bit
                    index -= 1
        at += len(chunk)
    return kdump.end


def dumped_pages(path: str) -> Iterator[range]:
    """
    Iterate over the physical addresses of the pages in a kdump file, the last one
    first. QEMU's pages of an arm64 guest have 64K, whatever the guest's have.

    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(_HEADER_SIZE)
        if not start.startswith(_SIGNATURE) or len(start) < _HEADER_SIZE:
            return
        kdump = _read_kdump(f, start)
        if kdump is None:
            return
        first = kdump.first // 8
        end = min((kdump.end + 7) // 8, kdump.descriptors - kdump.bitmap, _MAX_BITMAP)
        while end > first:
            begin = max(end - _CHUNK, first)
            f.seek(kdump.bitmap + begin)
            chunk = f.read(end - begin)
            for byte in range(len(chunk) - 1, -1, -1):
                if chunk[byte]:
                    for bit in range(7, -1, -1):
                        page = (begin + byte) * 8 + bit
                        if chunk[byte] >> bit & 1 and kdump.first <= page < kdump.end:
                            at = page * kdump.block
                            yield range(at, at + kdump.block)
            end = begin


def lost_memory(path: str) -> Optional[int]:
    """
    Return the first physical address that a truncated kdump file lacks. It has the
    tables of the pages from there on, but not the pages; SIGBUS may kill the process
    when libkdumpfile reads one.

    :return: None if it lacks none, or is not a kdump file
    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(_HEADER_SIZE)
        if not start.startswith(_SIGNATURE) or len(start) < _HEADER_SIZE:
            return None
        kdump = _read_kdump(f, start)
        if kdump is None:
            return None
        size = f.seek(0, os.SEEK_END)
        count = _dumped(f, kdump)
        if _end_of_pages(f, kdump, count) <= size:
            return None
        index = _first_beyond(f, kdump, count, size)
        return None if index is None else _page_at(f, kdump, index) * kdump.block


def missing_from_kdump(path: str) -> Optional[str]:
    """
    Return how a kdump file is too short for its own tables.

    :return: None if it is not, or is not a kdump file
    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(_HEADER_SIZE)
        if not start.startswith(_SIGNATURE):
            return None
        size = f.seek(0, os.SEEK_END)
        if len(start) < _HEADER_SIZE:
            return f"the file ends within its header, after {size} bytes"
        kdump = _read_kdump(f, start)
        if kdump is None:
            return None
        tables = kdump.tables
        if size >= kdump.descriptors:
            descriptors = kdump.descriptors + _dumped(f, kdump) * _PAGE_DESC
            tables = max(tables, descriptors)
        if size < tables:
            return (
                f"the file ends after {size} bytes, but its tables alone need at least "
                f"{tables}"
            )
        return None


def _wrong_with_kdump(f: BinaryIO, start: bytes) -> Optional[str]:
    kdump = _read_kdump(f, start)
    if kdump is None:
        return None
    said = []
    if kdump.split:
        said.append(
            f"one part of a split dump, with pages {kdump.first} to {kdump.end - 1} of "
            f"{kdump.all_pages}; reassemble it first: makedumpfile --reassemble "
            "PART1 PART2... DUMP"
        )
    if kdump.incomplete:
        said.append(
            "an incomplete dump: the disk was full before makedumpfile had written all "
            "pages; free some space and dump again"
        )
    size = f.seek(0, os.SEEK_END)
    end = _end_of_pages(f, kdump, _dumped(f, kdump))
    if size < end:
        said.append(
            f"the file ends after {size} bytes, but its pages need {end}; {_AGAIN}"
        )
    return "; ".join(said) or None


def what_is_wrong(path: str) -> Optional[str]:
    """
    Return in one line why a dump is incomplete, and what to do.

    :return: None if its headers show nothing wrong
    :raises OSError: if the file cannot be read
    """
    missing = missing_from_kdump(path) or missing_from_elf(path)
    if missing is not None:
        return f"{missing}; {_AGAIN}"
    with open(path, "rb") as f:
        start = f.read(_HEADER_SIZE)
        if start.startswith(_SIGNATURE):
            return _wrong_with_kdump(f, start)
        if start.startswith(_FLATTENED):
            size = f.seek(0, os.SEEK_END)
            f.seek(max(size - len(_END_OF_FLATTENED), 0))
            if f.read() != _END_OF_FLATTENED:
                return (
                    f"the file ends after {size} bytes, without the end of a flattened "
                    f"dump; {_AGAIN}"
                )
        return None
