# SPDX-License-Identifier: LGPL-2.1-or-later
"""
ELF core files
--------------

Just enough to write a core that drgn opens, and to find notes in one. 64-bit only, like
the kernels that drgn-veth supports.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import itertools
import os
import struct
from typing import BinaryIO, NamedTuple, Optional

__all__ = (
    "EM",
    "Note",
    "physical_segments",
    "read_notes",
    "segment_from_zero",
    "still_open",
    "write_core",
)

_ELF_MAGIC = b"\x7fELF"
_CLASS64 = 2
_ET_CORE = 4
_PT_LOAD = 1
_PT_NOTE = 4
_PN_XNUM = 0xFFFF
_SHT_NULL = 0

# drgn looks at p_vaddr before it looks at page tables. With 0, as in QEMU's dumps, all
# segments lie over each other where a null pointer points. What begins here is in the
# hole between user and kernel addresses of the machines in EM.
_NO_VIRTUAL = 1 << 62

_HEADER = "16sHHIQQQIHHHHHH"
_PROGRAM = "IIQQQQQQ"
_SECTION = "IIQQQQIIQQ"
_NOTE = "III"

_DESCRIPTORS = "/proc/self/fd"

_MAX_NOTES = 1 << 16  # a kdump has one for each CPU
_MAX_NOTE_BYTES = 16 << 20  # of all of them
_MAX_SEGMENTS = 1 << 22

#: e_machine by the name of drgn's Architecture.
EM: Mapping[str, int] = {"X86_64": 62, "AARCH64": 183, "PPC64": 21, "S390X": 22}


class Note(NamedTuple):
    """An ELF note."""

    name: bytes
    type: int
    data: bytes


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def write_core(
    f: BinaryIO,
    machine: int,
    little: bool,
    notes: Sequence[Note],
    segments: Sequence[tuple[int, bytes]],
) -> None:
    """
    Write an ELF core with physical memory: p_paddr is its address, p_vaddr an address
    that no machine has.

    :param machine: ``EM_*``
    :param little: Little-endian
    :param segments: Physical address and content, ascending
    """
    order = "<" if little else ">"
    header = struct.Struct(order + _HEADER)
    program = struct.Struct(order + _PROGRAM)
    section = struct.Struct(order + _SECTION)
    content = b"".join(
        struct.pack(order + _NOTE, len(note.name) + 1, len(note.data), note.type)
        + _padded(note.name + b"\0")
        + _padded(note.data)
        for note in notes
    )
    count = len(segments) + 1
    # More than fit into e_phnum: then section 0 has the number.
    extended = count >= _PN_XNUM
    sections = header.size if extended else 0
    table = header.size + (section.size if extended else 0)
    offset = table + count * program.size
    ident = _ELF_MAGIC + bytes((_CLASS64, 1 if little else 2, 1)) + bytes(9)
    phnum = _PN_XNUM if extended else count
    sizes = (header.size, program.size, phnum, section.size, int(extended), 0)
    f.write(header.pack(ident, _ET_CORE, machine, 1, 0, table, sections, 0, *sizes))
    if extended:
        f.write(section.pack(0, _SHT_NULL, 0, 0, 0, 0, 0, count, 0, 0))
    f.write(program.pack(_PT_NOTE, 0, offset, 0, 0, len(content), 0, 4))
    offset += len(content)
    for address, data in segments:
        size = len(data)
        place = (_PT_LOAD, 4, offset, _NO_VIRTUAL + address, address, size, size, 1)
        f.write(program.pack(*place))
        offset += size
    f.write(content)
    for _, data in segments:
        f.write(data)


def _read_at(f: BinaryIO, size: int, offset: int, count: int) -> bytes:
    # No more than there is: Python makes room for all that is asked for.
    if offset >= size:
        return b""
    f.seek(offset)
    return f.read(min(count, size - offset))


def _program_headers(f: BinaryIO) -> Iterator[tuple[str, tuple[int, ...]]]:
    # Byte order and fields of each.
    size = f.seek(0, os.SEEK_END)
    ident = _read_at(f, size, 0, 16)
    if len(ident) < 16 or ident[:4] != _ELF_MAGIC or ident[4] != _CLASS64:
        return
    order = "<" if ident[5] == 1 else ">"
    header = struct.Struct(order + _HEADER)
    program = struct.Struct(order + _PROGRAM)
    section = struct.Struct(order + _SECTION)
    data = _read_at(f, size, 0, header.size)
    if len(data) < header.size:
        return
    fields = header.unpack(data)
    table, sections, entry, count = fields[5], fields[6], fields[9], fields[10]
    if count == _PN_XNUM and sections:
        data = _read_at(f, size, sections, section.size)
        if len(data) < section.size:
            return
        count = section.unpack(data)[7]
    if entry != program.size or count > _MAX_SEGMENTS:
        return
    entries = _read_at(f, size, table, count * entry)
    for fields in program.iter_unpack(entries[: len(entries) // entry * entry]):
        yield order, fields


def physical_segments(f: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """
    Iterate over the memory in an ELF core.

    :return: Physical address, offset in the file, and number of bytes that are there
    """
    size = f.seek(0, os.SEEK_END)
    for _, fields in list(_program_headers(f)):
        offset, address, length = fields[2], fields[4], fields[5]
        if fields[0] == _PT_LOAD and offset < size:
            yield address, offset, min(length, size - offset)


def segment_from_zero(f: BinaryIO) -> Optional[tuple[int, int]]:
    """
    Return where the memory is in an ELF core with one segment, if its virtual and
    physical addresses begin at 0.

    :return: Offset in the file, and number of bytes that are there
    """
    size = f.seek(0, os.SEEK_END)
    loads = [fields for _, fields in _program_headers(f) if fields[0] == _PT_LOAD]
    if len(loads) != 1:
        return None
    offset, virtual, physical, length = loads[0][2:6]
    if virtual or physical or offset >= size:
        return None
    return offset, min(length, size - offset)


def _note_segments(f: BinaryIO) -> Iterator[tuple[str, bytes]]:
    # Byte order and content of each PT_NOTE.
    size = f.seek(0, os.SEEK_END)
    left = _MAX_NOTE_BYTES
    for order, fields in _program_headers(f):
        offset, length = fields[2], fields[5]
        if fields[0] == _PT_NOTE and 0 < length <= left:
            left -= length
            yield order, _read_at(f, size, offset, length)


def _notes_in(order: str, content: bytes) -> Iterator[Note]:
    note = struct.Struct(order + _NOTE)
    at = 0
    while at + note.size <= len(content):
        name_size, size, type = note.unpack_from(content, at)
        name_at = at + note.size
        data_at = name_at + name_size + -name_size % 4
        if data_at + size > len(content):
            return
        name = content[name_at : name_at + name_size].rstrip(b"\0")
        yield Note(name, type, content[data_at : data_at + size])
        at = data_at + size + -size % 4


def read_notes(path: "os.PathLike[str] | str") -> Iterator[Note]:
    """
    Iterate over the notes of an ELF file, up to the first broken one; over none if it
    is not an ELF file. The walk is bounded, whatever the file says.

    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        notes = (
            note
            for order, content in _note_segments(f)
            for note in _notes_in(order, content)
        )
        yield from itertools.islice(notes, _MAX_NOTES)


def still_open(path: str) -> str:
    """
    Return a path to a file that this process has open, even if the file no longer has a
    name.

    :param path: Its name, as the kernel reports it
    """
    if os.path.exists(path):
        return path
    with contextlib.suppress(OSError):
        for number in os.listdir(_DESCRIPTORS):
            link = os.path.join(_DESCRIPTORS, number)
            with contextlib.suppress(OSError):
                if os.readlink(link) in (path, f"{path} (deleted)"):
                    return link
    return path
