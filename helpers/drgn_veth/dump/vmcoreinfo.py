# SPDX-License-Identifier: LGPL-2.1-or-later
"""
VMCOREINFO that a dump lacks
----------------------------

drgn identifies a kernel by the note VMCOREINFO. The dump of a guest may lack it. But
the kernel has its text in its memory, at the beginning of a page: vmcoreinfo_data of
kernel/vmcore_info.c (before v6.9: kernel/crash_core.c).
"""

from collections.abc import Iterator
from typing import Callable, NamedTuple, Optional

from drgn import FaultError, Program

from .elfcore import physical_segments
from .kdump import dumped_pages

__all__ = ("Found", "find_vmcoreinfo", "vmcoreinfo_in")

_START = b"OSRELEASE="
_WANTED = (b"\nPAGESIZE=", b"\nSYMBOL(swapper_pg_dir)=", b"\nSYMBOL(_stext)=")
_PAGE = 4096
_CHUNK = 1 << 20
_TEXT = _PAGE  # it is one page

# drgn opens a dump if it is told who the kernel is; physical memory needs none of it.
_ANYBODY = (
    b"OSRELEASE=6.0.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff81000000\n"
    b"SYMBOL(_stext)=ffffffff81000000\nKERNELOFFSET=0\nNUMBER(phys_base)=0\n"
)


class Found(NamedTuple):
    """VMCOREINFO in memory."""

    address: int  # physical
    text: bytes


def vmcoreinfo_in(data: bytes) -> Optional[bytes]:
    """
    Return the text of VMCOREINFO in some bytes: a page, a note, or a file.

    :return: None if it is not there, or not whole
    """
    at = data.find(_START)
    if at < 0:
        return None
    text = data[at:].partition(b"\0")[0]
    if not text.isascii() or not all(word in text for word in _WANTED):
        return None
    return text if text.endswith(b"\n") else text + b"\n"


def _in_elf(path: str) -> Iterator[Found]:
    # Memory is in the file as it is: search whole pieces of it.
    with open(path, "rb") as f:
        for address, offset, size in physical_segments(f):
            for start in range(0, size, _CHUNK):
                f.seek(offset + start)
                data = f.read(min(_CHUNK, size - start))
                at = data.find(_START)
                while at >= 0:
                    if (address + start + at) % _PAGE == 0:
                        f.seek(offset + start + at)
                        text = vmcoreinfo_in(f.read(min(_TEXT, size - start - at)))
                        if text is not None:
                            yield Found(address + start + at, text)
                    at = data.find(_START, at + 1)


def _in_kdump(path: str, step: Callable[[], None]) -> Iterator[Found]:
    # Pages are compressed: libkdumpfile reads them.
    prog = Program(vmcoreinfo=_ANYBODY)
    prog.set_core_dump(path)
    for block in dumped_pages(path):
        step()
        for address in range(block.start, block.stop, _PAGE):
            try:
                data = prog.read(address, _PAGE, True)
            except FaultError:
                continue
            if data.startswith(_START):
                text = vmcoreinfo_in(data)
                if text is not None:
                    yield Found(address, text)


def _is_of(path: str, found: Found) -> Optional[bool]:
    # A file in the page cache may have the text of another kernel. This kernel's own
    # name is where its VMCOREINFO says. None: that is not in the dump.
    prog = Program(vmcoreinfo=found.text)
    prog.set_core_dump(path)
    lines = dict(
        line.split(b"=", 1) for line in found.text.splitlines() if b"=" in line
    )
    try:
        uts = int(lines[b"SYMBOL(init_uts_ns)"], 16)
        uts += int(lines[b"OFFSET(uts_namespace.name)"])
        # struct new_utsname: sysname, nodename, release of 65 bytes each
        release = prog.read(uts + 2 * 65, 65).partition(b"\0")[0]
    except (FaultError, LookupError, ValueError):
        return None
    return release == lines[b"OSRELEASE"]


def find_vmcoreinfo(
    path: str, step: Callable[[], None] = lambda: None
) -> Optional[Found]:
    """
    Search the memory in a dump for the VMCOREINFO of its kernel.

    :param path: An ELF core or a kdump file
    :param step: Called at each page of a kdump file, as that may take long
    :return: None if it is not there
    :raises OSError: if the file cannot be read
    """
    undecided: Optional[Found] = None
    tried: set[bytes] = set()
    for found in _candidates(path, step):
        if found.text not in tried:
            is_of = _is_of(path, found)
            if is_of:
                return found
            if is_of is None:
                undecided = undecided or found
            tried.add(found.text)
    return undecided


def _candidates(path: str, step: Callable[[], None]) -> Iterator[Found]:
    with open(path, "rb") as f:
        is_elf = f.read(4) == b"\x7fELF"
    return _in_elf(path) if is_elf else _in_kdump(path, step)
