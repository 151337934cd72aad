# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a file is
--------------

By its contents, whatever its name: a crash dump, a vmlinux, a module, or one of the
other files that people try to open, with what to do instead. Every read is bounded.
"""

from collections.abc import Sequence
import enum
import os
import shlex
import stat
import struct
from typing import BinaryIO, NamedTuple, Optional

from .elfcore import read_notes
from .kdump import how_to_unpack

__all__ = (
    "DUMP_GUEST",
    "FileKind",
    "Kind",
    "has_notes_of_a_kernel",
    "is_kdump",
    "kind_of",
)


class Kind(enum.Enum):
    """What can be done with a file."""

    DUMP = "dump"  # drgn may open it with -c
    VMLINUX = "vmlinux"  # -s
    MODULE = "module"  # -s
    OTHER = "other"


class FileKind(NamedTuple):
    """What a file is."""

    kind: Kind
    what: str  # "a vmlinux"
    instead: Optional[str] = None  # what to do, if drgn cannot open it


#: How to dump a guest in the form that drgn reads best.
DUMP_GUEST = (
    "dump the guest with virsh dump --memory-only --format=elf GUEST NEW, or with "
    "dump-guest-memory NEW (without -z, -l or -s) at QEMU's monitor"
)
_KDUMP = "let kdump or makedumpfile write a dump"

# Offset, bytes there, what the file is, and what to do instead. VMware's numbers are
# those of crash's vmware_vmss.h: old, new, partial and restored.
_KNOWN: Sequence[tuple[int, bytes, str, str]] = (
    (
        0,
        b"LibvirtQemud",  # LibvirtQemudSave; LibvirtQemudPart while it is written
        "a guest that libvirt has saved (virsh save)",
        f"run it again with virsh restore, then {DUMP_GUEST}",
    ),
    (
        0,
        b"QEVM",
        "a guest that QEMU has saved or migrated",
        f"run it again with qemu -incoming 'exec:cat FILE', then {DUMP_GUEST}",
    ),
    *(
        (
            0,
            struct.pack("<I", number),
            "a suspended VMware guest or its snapshot (vmss, vmsn)",
            "make an ELF dump of it and of its .vmem with VMware's vmss2core -N6",
        )
        for number in (0xBED0BED0, 0xBED2BED2, 0xBED3BED3, 0xBAD1BAD1)
    ),
    (
        0,
        b"\x7fVirtualBox SavedState",
        "a VirtualBox guest that is saved",
        "run it again, then VBoxManage debugvm GUEST dumpvmcore --filename NEW",
    ),
    (0, b"EMiL", "a memory image of LiME", f"{_KDUMP}; drgn cannot read LiME's"),
    (0, b"AVML", "a memory image of AVML", f"{_KDUMP}; drgn cannot read AVML's"),
    (
        0,
        b"PAGEDU64",
        "a crash dump of Windows",
        "for a Linux guest, dump-guest-memory without -w at QEMU's monitor",
    ),
    (0, b"PAGEDUMP", "a crash dump of Windows", "it is of no Linux kernel"),
    (
        0,
        b"\xa8\x19\x01\x73\x61\x8f\x23\xfd",
        "a stand-alone dump of s390",
        "convert it with zgetdump -f elf FILE >NEW",
    ),
    (0, b"QFI\xfb", "a disk image of QEMU (qcow2)", f"it has no memory: {DUMP_GUEST}"),
    (
        0x202,
        b"HdrS",
        "a kernel image (vmlinuz)",
        "the vmlinux with debug symbols is in another package of your distribution",
    ),
    (
        56,
        b"ARM\x64",
        "a kernel image (vmlinuz)",
        "the vmlinux with debug symbols is in another package of your distribution",
    ),
    (0, b"\x7fELF\x01", "a 32-bit ELF file", "drgn-veth reads 64-bit kernels"),
    (257, b"ustar", "a tar archive", "unpack it first: tar -xf FILE"),
    (0, b"!<arch>\n", "an archive or a Debian package", "unpack it first"),
    (0, b"\xed\xab\xee\xdb", "an RPM package", "unpack it first"),
)
_START = 1024  # bytes that are looked at
_MIN_RAW = 1 << 20
_PAGE = 4096

_DUMPS = (
    (b"KDUMP   ", "a kdump file"),
    (b"DISKDUMP", "a diskdump file"),
    (b"makedumpfile\0", "a flattened kdump file"),
)

_ELF64 = b"\x7fELF\x02"
_ORDERS = {1: "<", 2: ">"}  # by EI_DATA
_HEADER = "16sHHIQQQIHHHHHH"
_SECTION = "IIQQQQIIQQ"
_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_MAX_SECTIONS = 1 << 16
_MAX_NAMES = 1 << 22
_PROCESS_NOTES = (3, 6)  # NT_PRPSINFO, NT_AUXV: only the core of a process has them


def has_notes_of_a_kernel(path: str) -> bool:
    """
    Return whether an ELF core has notes, and none that only a process has.

    :raises OSError: if the file cannot be read
    """
    notes = list(read_notes(path))
    return bool(notes) and not any(
        note.name == b"CORE" and note.type in _PROCESS_NOTES for note in notes
    )


def is_kdump(path: str) -> bool:
    """
    Return whether a file begins as a kdump file, flattened or not.

    :raises OSError: if the file cannot be read
    """
    with open(path, "rb") as f:
        start = f.read(_START)
    return any(start.startswith(magic) for magic, _ in _DUMPS)


def _section_names(f: BinaryIO, start: bytes, order: str) -> set[bytes]:
    fields = struct.unpack(order + _HEADER, start[: struct.calcsize("<" + _HEADER)])
    table, entry, count, index = fields[6], fields[11], fields[12], fields[13]
    section = struct.Struct(order + _SECTION)
    size = f.seek(0, os.SEEK_END)
    if entry != section.size or not 0 <= index < count < _MAX_SECTIONS or table > size:
        return set()
    f.seek(table)
    data = f.read(count * entry)
    if len(data) < count * entry:
        return set()
    sections = list(section.iter_unpack(data))
    offset, length = sections[index][4], sections[index][5]
    if offset > size or length > _MAX_NAMES:
        return set()
    f.seek(offset)
    names = f.read(length)
    return {names[s[0] : names.find(b"\0", s[0])] for s in sections}


def _elf(path: str, f: BinaryIO, start: bytes) -> FileKind:
    order = _ORDERS.get(start[5]) if len(start) > 5 else None
    if order is None or len(start) < 64:
        return FileKind(Kind.DUMP, "an ELF file that ends within its header")
    (type,) = struct.unpack_from(order + "H", start, 16)
    if type == _ET_CORE:
        if has_notes_of_a_kernel(path):
            return FileKind(Kind.DUMP, "an ELF dump")
        return FileKind(Kind.DUMP, "an ELF core")
    names = _section_names(f, start, order)
    if type == _ET_REL and names & {b".modinfo", b".gnu.linkonce.this_module"}:
        return FileKind(Kind.MODULE, "a kernel module")
    if type in (_ET_EXEC, _ET_DYN) and names >= {b".init.text", b"__param"}:
        return FileKind(Kind.VMLINUX, "a vmlinux")
    return FileKind(Kind.OTHER, "an ELF file, but no dump, vmlinux or module")


def _is_text(start: bytes) -> bool:
    return not start.strip(bytes(range(32, 127)) + b"\t\r\n") and start.isascii()


def _of_content(path: str, f: BinaryIO) -> FileKind:
    start = f.read(_START)
    size = os.fstat(f.fileno()).st_size
    for magic, what in _DUMPS:
        if start.startswith(magic):
            return FileKind(Kind.DUMP, what)
    if start.startswith(_ELF64):
        return _elf(path, f, start)
    for offset, magic, what, instead in _KNOWN:
        if start.startswith(magic, offset):
            return FileKind(
                Kind.OTHER, what, instead.replace("FILE", shlex.quote(path))
            )
    packed = how_to_unpack(path)
    if packed is not None:
        return FileKind(Kind.OTHER, "a compressed file", packed)
    if not start:
        return FileKind(Kind.OTHER, "an empty file", "the disk may have been full")
    if start.lstrip()[:1] == b"{" and _is_text(start):
        compare = "drgn-veth compare reads JSON reports"
        return FileKind(Kind.OTHER, "a JSON file", compare)
    if _is_text(start):
        return FileKind(Kind.OTHER, "a text file")
    if size >= _MIN_RAW and size % _PAGE == 0:
        return FileKind(
            Kind.OTHER,
            "a file without a header, such as raw memory",
            f"drgn needs an ELF or kdump file: {DUMP_GUEST}",
        )
    return FileKind(Kind.OTHER, "a file of an unknown kind")


def kind_of(path: str) -> FileKind:
    """
    Return what a file is. A FIFO is not opened.

    :raises OSError: if it does not exist or cannot be read
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return FileKind(Kind.OTHER, "a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        return FileKind(Kind.OTHER, "not a file")
    with open(path, "rb") as f:
        return _of_content(path, f)
