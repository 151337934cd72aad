# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Slices
------

A slice is a small core with only the memory that a full report reads, byte for byte,
without the rest of each page. A second program sees the target's physical memory
through a segment that records every read. drgn walks the page tables in that memory, so
the slice has them too. See docs/slices.md.
"""

from collections.abc import Sequence
from typing import BinaryIO

import drgn
from drgn import FaultError, Program

from ..btf import BUSY_CACHE, BtfUse, use_btf
from ..btf.carried import Carried, module_types_of, symbols_of
from ..btf.kallsyms import tables_in_vmcoreinfo
from ..btf.symbols import vmcoreinfo_symbols
from ..core.byte_order import byteorder
from ..core.exact_reads import read_exactly
from ..core.names import leave_names_out
from ..core.packets import leave_packets_out
from ..core.unreadable import Unreadable
from ..dump.elfcore import EM, Note, write_core
from ..dump.slice_note import SLICE_NOTE
from ..model import Snapshot
from ..snapshot import UnreadTargetError, take_something

__all__ = ("Slice", "SliceError", "check_slice", "slice_target")

_PAGE = 4096
_PHYSICAL = 1 << 52  # as far as x86-64, arm64 and ppc64 go


class SliceError(Exception):
    """A slice cannot be made of this target."""


class _Recorder:
    # The physical memory of a target, and which bytes of it were read. It keeps pages,
    # so that all reads of a live target's page see it at the same moment.
    def __init__(self, source: Program) -> None:
        self._source = source
        self._pages: dict[int, bytes] = {}
        self._ranges: list[tuple[int, int]] = []

    def _page(self, number: int) -> bytes:
        try:
            return self._pages[number]
        except KeyError:
            data = self._source.read(number * _PAGE, _PAGE, True)
            self._pages[number] = data
            return data

    def read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        """Read physical memory (a drgn memory segment's function)."""
        first, last = address // _PAGE, (address + count - 1) // _PAGE
        try:
            data = b"".join([self._page(n) for n in range(first, last + 1)])
        except FaultError:
            # Only a part of these pages may be missing.
            data = self._source.read(address, count, True)
            start = 0
        else:
            start = address - first * _PAGE
        self._ranges.append((address, address + count))
        return data[start : start + count]

    def segments(self) -> list[tuple[int, bytes]]:
        """Return what was read: address and content, ascending, without overlaps."""
        merged: list[list[int]] = []
        for start, end in sorted(self._ranges):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        return [(start, self._read_again(start, end)) for start, end in merged]

    def _read_again(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            number = start // _PAGE
            stop = min(end, (number + 1) * _PAGE)
            page = self._pages.get(number)
            if page is None:
                parts.append(self._source.read(start, stop - start, True))
            else:
                parts.append(page[start % _PAGE : stop - number * _PAGE])
            start = stop
        return b"".join(parts)


class Slice:
    """What a report needs, and its Snapshot."""

    def __init__(
        self,
        machine: int,
        little: bool,
        notes: Sequence[Note],
        segments: Sequence[tuple[int, bytes]],
        snapshot: Snapshot,
        use: BtfUse,
    ) -> None:
        self._machine = machine
        self._little = little
        self._notes = notes
        self.segments = segments
        self.snapshot = snapshot
        self.use = use

    def write(self, f: BinaryIO) -> None:
        """Write it as an ELF core."""
        write_core(f, self._machine, self._little, self._notes, self.segments)


def _second_program(source: Program, recorder: _Recorder) -> Program:
    platform = source.platform
    assert platform is not None
    prog = Program(platform)
    try:
        become_kernel = prog.set_linux_kernel_custom
    except AttributeError:
        raise SliceError(
            f"drgn {drgn.__version__} can read slices, but not make them; 0.1 can"
        ) from None
    become_kernel(source["VMCOREINFO"].string_(), False)
    prog.add_memory_segment(0, _PHYSICAL, recorder.read, True)
    # Until use_btf() is told what is given, the plugin has nothing to look for. In a
    # slice of an old kernel it would look for kallsyms in all of its memory.
    prog.cache[BUSY_CACHE] = True
    return prog


def _begin(source: Program, given: Carried) -> tuple[_Recorder, Program, BtfUse]:
    # use_btf() decides once for a program.
    recorder = _Recorder(source)
    prog = _second_program(source, recorder)
    return recorder, prog, use_btf(prog, given=given)


def _without_reasons(value: object) -> object:
    # What could not be read in the target is missing from the slice: another reason.
    if isinstance(value, Unreadable):
        return Unreadable("")
    if isinstance(value, Snapshot):
        incomplete = tuple((what, "") for what, _ in value.incomplete)
        # Another file, or a live kernel.
        target = value.target._replace(path=None)
        value = value._replace(incomplete=incomplete, target=target)
    if isinstance(value, tuple):
        return tuple(_without_reasons(member) for member in value)
    return value


def check_slice(path: str, slice: Slice) -> None:
    """
    Make the report of a slice, and compare it with the report of its target.

    :param path: The slice, as it was written
    :raises SliceError: if they differ
    """
    prog = Program()
    prog.set_core_dump(path)
    use = use_btf(prog)
    if not use.types:
        raise SliceError(f"the slice has no types: {use.missing}")
    taken = take_something(prog)
    if _without_reasons(taken) != _without_reasons(slice.snapshot):
        raise SliceError(
            "the report of the slice differs from the report of the target"
        )


def slice_target(source: Program, names: bool = True) -> Slice:
    """
    Make a report of a target, and keep the memory that it read.

    :param source: A kernel: a dump, a guest, or the running one
    :param names: Without them, no names of tasks, cgroups and hosts, no aliases and no
        addresses are read: see :mod:`drgn_veth.core.names`
    :raises SliceError: if this drgn or this platform is not supported
    :raises UnreadTargetError: if the target has no types or symbols
    """
    platform = source.platform
    if platform is None or platform.arch.name not in EM:
        raise SliceError(f"cannot make slices for {platform}")
    vmcoreinfo = source["VMCOREINFO"].string_()
    given = Carried({}, {})
    if tables_in_vmcoreinfo(vmcoreinfo_symbols(source)) is None:
        given = Carried(symbols_of(source), {})
    recorder, prog, use = _begin(source, given)
    if not use.types and not given.symbols:
        # Without CONFIG_KALLSYMS_ALL, the kernel's own symbols have no variables.
        given = Carried(symbols_of(source), {})
        recorder, prog, use = _begin(source, given)
    if use.types and use.missing:
        # Take the types of modules from the debug symbols of the first program.
        given = Carried(given.symbols, module_types_of(source, prog))
        recorder, prog, use = _begin(source, given)
    if not use.types:
        raise UnreadTargetError(f"the slice would have no types: {use.missing}")
    read_exactly(prog)
    leave_packets_out(prog)
    if not names:
        leave_names_out(prog)
    snapshot = take_something(prog)
    notes = [Note(b"VMCOREINFO", 0, vmcoreinfo), SLICE_NOTE, *given.notes()]
    return Slice(
        EM[platform.arch.name],
        byteorder(source) == "little",
        notes,
        recorder.segments(),
        snapshot,
        use,
    )
