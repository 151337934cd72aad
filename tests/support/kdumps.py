# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Small kdump files
-----------------

Made of a recorded core, with its memory and its VMCOREINFO, in the form of
makedumpfile's diskdump_mod.h: whole, incomplete as after a full disk, or a part of a
split one. libkdumpfile opens them like any other.
"""

import functools
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple, Optional

from drgn_veth.dump.elfcore import EM, read_notes, write_core

__all__ = ("Kdump", "write_kdump", "write_whole_pages")

BLOCK = 4096
STATUS, SUB_HEADER, SPLIT = 424, BLOCK, BLOCK + 12
VMCOREINFO = BLOCK + 32  # offset and size, then those of the notes
INCOMPLETE = 8


class Kdump(NamedTuple):
    """Where the parts of a file begin."""

    path: Path
    vmcoreinfo: int
    bitmap: int
    descriptors: int
    pages: int
    size: int


@functools.lru_cache(maxsize=1)
def _pages_of(core: Path) -> dict[int, bytes]:
    # Recorded cores do not change.
    with open(core, "rb") as f:
        return _read_pages(f)


def _read_pages(f: BinaryIO) -> dict[int, bytes]:
    # A slice has runs of bytes: what is beside them is zero.
    header = struct.unpack("<16sHHIQQQIHHHHHH", f.read(64))
    table, count = header[5], header[10]
    pages: dict[int, bytearray] = {}
    for number in range(count):
        f.seek(table + number * 56)
        kind, _, offset, _, address, size, _, _ = struct.unpack("<IIQQQQQQ", f.read(56))
        if kind != 1:
            continue
        f.seek(offset)
        data = f.read(size)
        while data:
            frame, start = divmod(address, BLOCK)
            part = data[: BLOCK - start]
            page = pages.setdefault(frame, bytearray(BLOCK))
            page[start : start + len(part)] = part
            address += len(part)
            data = data[len(part) :]
    return {frame: bytes(page) for frame, page in pages.items()}


def write_whole_pages(core: Path, path: Path) -> None:
    """Write a core again, with zeros where pages of it are not there: as a kdump."""
    pages = _pages_of(core)
    segments = [(frame * BLOCK, page) for frame, page in sorted(pages.items())]
    with open(path, "wb") as out:
        write_core(out, EM["X86_64"], True, list(read_notes(core)), segments)


def write_kdump(
    core: Path,
    path: Path,
    part: Optional[tuple[float, float]] = None,
    lost: float = 0,
    order: str = "<",
) -> Kdump:
    """
    Write a kdump file.

    :param core: An ELF core of a little-endian machine
    :param part: Which part of a split dump: from and to, as shares of the pages
    :param lost: The share of the pages that was not written, as the disk was full
    :param order: Byte order of the headers; drgn opens those of its machine
    """
    (vmcoreinfo,) = (n.data for n in read_notes(core) if n.name == b"VMCOREINFO")
    pages = _pages_of(core)
    frames = sorted(pages)
    most = frames[-1] + 1
    first, end = 0, most
    if part is not None:
        bounds = [*frames, most]
        first, end = (bounds[int(share * len(frames))] for share in part)
    # Every part has all bits, and descriptors of its own pages.
    blocks = (most // 8 + BLOCK) // BLOCK
    bits = bytearray(blocks * BLOCK)
    for frame in frames:
        bits[frame // 8] |= 1 << frame % 8
    here = [frame for frame in frames if first <= frame < end]
    written = len(here) - int(lost * len(here))
    bitmap = BLOCK + 2 * BLOCK
    descriptors = bitmap + 2 * len(bits)
    place = descriptors + 24 * len(here)
    header = struct.pack(
        f"{order}8si65s65s65s65s65s65s6x16xIiiII",
        *(b"KDUMP   ", 6, b"Linux", b"lab", b"1", b"#1", b"x86_64", b"(none)"),
        *(INCOMPLETE if lost else 0, BLOCK, 2, 2 * blocks, most),
    )
    name = b"VMCOREINFO\0\0"
    notes = struct.pack(f"{order}III", len(name) - 1, len(vmcoreinfo), 0) + name
    at = SUB_HEADER + 104 + len(notes)
    notes += vmcoreinfo
    sub_header = struct.pack(
        f"{order}Qii11Q",
        *(0, 1, int(part is not None), first, end, at, len(vmcoreinfo)),
        *(SUB_HEADER + 104, len(notes), 0, 0, first, end, most),
    )
    with open(path, "wb") as out:
        out.write(header.ljust(BLOCK, b"\0"))
        out.write((sub_header + notes).ljust(2 * BLOCK, b"\0"))
        out.write(bits + bits)
        for number in range(len(here)):
            known = number < written
            where = place + number * BLOCK if known else 0
            out.write(struct.pack(f"{order}QIIQ", where, BLOCK * known, 0, 0))
        for frame in here[:written]:
            out.write(pages[frame])
        size = out.tell()
    return Kdump(path, at, bitmap, descriptors, place, size)
