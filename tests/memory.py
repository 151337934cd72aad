# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that sees the memory of a dump, with changes."""

from typing import Dict, Set

import drgn
from drgn import FaultError, Object, Program
from drgn.helpers.linux.mm import virt_to_phys

__all__ = ("Altered",)

_PAGE = 4096


class Altered:
    """
    A dump whose memory can be changed, in what is shown of it.

    Nothing is mocked: a second program reads the first one's memory through a
    segment that puts the changes in. drgn walks the page tables in it itself.
    """

    def __init__(self, core: object, symbols: "list[object]") -> None:
        self.original = Program()
        self.original.set_core_dump(str(core))
        self.original.load_debug_info([str(path) for path in symbols])
        self.changes: Dict[int, int] = {}  # physical address: byte
        self.missing: Set[int] = set()  # physical addresses of pages
        self.reads = 0
        prog = Program(self.original.platform)
        vmcoreinfo = self.original["VMCOREINFO"].string_()
        prog.set_linux_kernel_custom(vmcoreinfo, False)
        prog.add_memory_segment(0, 1 << 40, self._read, True)
        prog.load_debug_info([str(path) for path in symbols])
        self.prog = prog
        # Helpers that are given no program take this one.
        drgn.set_default_prog(prog)

    def _read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        self.reads += 1
        first = address // _PAGE * _PAGE
        for page in range(first, address + count, _PAGE):
            if page in self.missing:
                raise FaultError("Excluded page", page)
        data = self.original.read(address, count, True)
        touched = [a for a in self.changes if address <= a < address + count]
        if touched:
            changed = bytearray(data)
            for at in touched:
                changed[at - address] = self.changes[at]
            data = bytes(changed)
        return data

    def reset(self) -> None:
        """Show the dump as it is."""
        self.changes.clear()
        self.missing.clear()
        self.reads = 0

    def physical(self, address: int) -> int:
        """Return where a virtual address is."""
        return int(virt_to_phys(self.original, address))

    def write(self, address: int, data: bytes) -> None:
        """Show other bytes at a virtual address of the direct map."""
        at = self.physical(address)
        for i, byte in enumerate(data):
            self.changes[at + i] = byte

    def write_pointer(self, where: Object, value: int) -> None:
        """Show another pointer in a member."""
        address = where.address_
        assert address is not None
        self.write(address, (value & (1 << 64) - 1).to_bytes(8, "little"))

    def exclude(self, address: int) -> None:
        """Show a page as left out of the dump."""
        self.missing.add(self.physical(address) // _PAGE * _PAGE)
