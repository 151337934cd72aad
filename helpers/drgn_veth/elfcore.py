# SPDX-License-Identifier: LGPL-2.1-or-later
"""
ELF core files
--------------

As much of them as is needed to write a core that drgn opens, and to find notes in
one. 64-bit only, as the kernels that this is about.
"""

import os
import struct
from typing import BinaryIO, Iterator, Mapping, NamedTuple, Sequence, Tuple

__all__ = ("EM", "Note", "read_notes", "write_core")

_ELF_MAGIC = b"\x7fELF"
_CLASS64 = 2
_ET_CORE = 4
_PT_LOAD = 1
_PT_NOTE = 4
_PN_XNUM = 0xFFFF
_SHT_NULL = 0

_HEADER = "16sHHIQQQIHHHHHH"
_PROGRAM = "IIQQQQQQ"
_SECTION = "IIQQQQIIQQ"
_NOTE = "III"

_MAX_NOTES = 64 << 20
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
    segments: Sequence[Tuple[int, bytes]],
) -> None:
    """
    Write an ELF core with physical memory, as QEMU's dumps have it: p_paddr is set,
    p_vaddr is 0.

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
        f.write(program.pack(_PT_LOAD, 4, offset, 0, address, size, size, 1))
        offset += size
    f.write(content)
    for _, data in segments:
        f.write(data)


def _note_segments(f: BinaryIO) -> Iterator[Tuple[str, bytes]]:
    # Byte order and content of each PT_NOTE.
    ident = f.read(16)
    if len(ident) < 16 or ident[:4] != _ELF_MAGIC or ident[4] != _CLASS64:
        return
    order = "<" if ident[5] == 1 else ">"
    header = struct.Struct(order + _HEADER)
    program = struct.Struct(order + _PROGRAM)
    rest = f.read(header.size - 16)
    if len(rest) < header.size - 16:
        return
    fields = header.unpack(ident + rest)
    table, sections, entry, count = fields[5], fields[6], fields[9], fields[10]
    if count == _PN_XNUM and sections:
        f.seek(sections)
        data = f.read(struct.calcsize(order + _SECTION))
        count = struct.unpack(order + _SECTION, data)[7]
    if entry != program.size or count > _MAX_SEGMENTS:
        return
    f.seek(table)
    entries = f.read(count * entry)
    for fields in program.iter_unpack(entries[: len(entries) // entry * entry]):
        if fields[0] == _PT_NOTE and fields[5] <= _MAX_NOTES:
            f.seek(fields[2])
            yield order, f.read(fields[5])


def read_notes(path: "os.PathLike[str] | str") -> Iterator[Note]:
    """
    Iterate over the notes of an ELF file; over none if it is no ELF file.

    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        for order, content in _note_segments(f):
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
