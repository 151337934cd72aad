# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that sees the memory of a dump, with changes."""

from collections.abc import Iterator
import contextlib
from typing import Optional

import drgn
from drgn import FaultError, Object, Program
from drgn_veth.btf import BtfUse, use_btf
from drgn_veth.btf.carried import Carried, carried_by

from tests.support.recorded import Recorded

__all__ = ("Altered", "altered_core")

_PAGE = 4096
_MOST_KNOWN = 1 << 16


class Altered:
    """
    A dump whose memory can be changed, in what is shown of it.

    Nothing is mocked: a second program reads the first one's memory through a
    segment that puts the changes in. drgn walks the page tables in it itself.

    :param symbols: Debug symbols; without any, the dump's BTF is used, with all changes
        that were made before :attr:`prog` is asked for
    :param original: The core, if it is open already, with its types
    """

    def __init__(
        self,
        core: object,
        symbols: "list[object]",
        original: Optional[Program] = None,
    ) -> None:
        self._symbols = [str(path) for path in symbols]
        if original is None:
            original = Program()
            original.set_core_dump(str(core))
            self._load(original, None)
        self.original = original
        #: What the core carries, to be changed like its memory.
        self.given: Carried = carried_by(self.original)
        self._changes: dict[int, dict[int, int]] = {}  # page, address: byte
        self._missing: dict[int, list[tuple[int, int]]] = {}  # page: first, end
        self._added: dict[int, int] = {}  # address: byte
        self._known: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        self._last_read = 0
        self._probe = self.unread()
        self._prog: Optional[Program] = None
        # Helpers that are given no program take this one.
        if symbols:
            drgn.set_default_prog(self.prog)

    def _load(self, prog: Program, given: Optional[Carried]) -> BtfUse:
        if self._symbols:
            prog.load_debug_info(self._symbols)
        return use_btf(prog, given=given)

    @property
    def prog(self) -> Program:
        """The program that sees the changes."""
        if self._prog is None:
            self._prog = prog = self.unread()
            use = self._load(prog, self.given)
            assert use.types and use.missing is None, use.missing
        return self._prog

    def unread(self) -> Program:
        """Return a new program that sees the changes, without types."""
        prog = Program(self.original.platform)
        prog.set_linux_kernel_custom(self.original["VMCOREINFO"].string_(), False)
        prog.add_memory_segment(0, 1 << 40, self._read, True)
        return prog

    def _read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        self.reads += 1
        self._last_read = address
        end = address + count
        page, last_page = address // _PAGE, (end - 1) // _PAGE
        if page == last_page and not (page in self._changes or page in self._missing):
            return self._as_it_is(address, count)
        pages = range(page, last_page + 1)
        for page in pages:
            for first, last in self._missing.get(page, ()):
                if first < end and address < last:
                    raise FaultError("Excluded page", max(first, address))
        data = self._as_it_is(address, count)
        changed: Optional[bytearray] = None
        for page in pages:
            for at, byte in self._changes.get(page, {}).items():
                if address <= at < end:
                    changed = changed or bytearray(data)
                    changed[at - address] = byte
        return data if changed is None else bytes(changed)

    def _as_it_is(self, address: int, count: int) -> bytes:
        # Most reads are of page tables, again and again.
        known = self._known.get((address, count))
        if known is None:
            try:
                known = self.original.read(address, count, True)
            except FaultError:
                added = [self._added.get(at) for at in range(address, address + count)]
                if None in added:
                    raise
                return bytes(byte for byte in added if byte is not None)
            if len(self._known) < _MOST_KNOWN:
                self._known[address, count] = known
        return known

    def reset(self) -> None:
        """Show the dump as it is."""
        self._changes.clear()
        self._missing.clear()
        self._added.clear()
        self.reads = 0

    def physical(self, address: int) -> int:
        """Return where a virtual address is."""
        # What comes last is what was asked for, and no page table.
        try:
            self._probe.read(address, 1)
        except FaultError:
            if not self._missing:
                raise
        return self._last_read

    def _physical_ranges(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        # Where a range of virtual addresses is: page for page.
        end = address + size
        while address < end:
            stop = min(end, address // _PAGE * _PAGE + _PAGE)
            yield self.physical(address), stop - address
            address = stop

    def write(self, address: int, data: bytes) -> None:
        """Show other bytes at a virtual address."""
        content = iter(data)
        for at, size in self._physical_ranges(address, len(data)):
            page = self._changes.setdefault(at // _PAGE, {})
            page.update(zip(range(at, at + size), content))

    def write_pointer(self, where: Object, value: int) -> None:
        """Show another pointer in a member."""
        address = where.address_
        assert address is not None
        self.write(address, (value & (1 << 64) - 1).to_bytes(8, "little"))

    def add(self, address: int, data: bytes) -> None:
        """Show bytes that the core, a slice, lacks on a page of which it has some."""
        with contextlib.suppress(FaultError):
            self._probe.read(address, 1)
        self._added.update(enumerate(data, self._last_read))

    def lose(self, address: int, size: int) -> None:
        """Show some bytes as left out of the dump."""
        for first, count in self._physical_ranges(address, size):
            self._missing.setdefault(first // _PAGE, []).append((first, first + count))

    def exclude(self, address: int) -> None:
        """Show a page as left out of the dump."""
        self.lose(address // _PAGE * _PAGE, _PAGE)


def altered_core(recorded: Recorded) -> Altered:
    """Return a recorded core whose memory can be changed."""
    return Altered(recorded.core, [], recorded.prog)
