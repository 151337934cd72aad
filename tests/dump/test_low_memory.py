# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dumps whose memory begins at physical address 0, such as QEMU's of s390x."""

from pathlib import Path
import struct

from drgn import FaultError, Program
from drgn_veth.dump.elfcore import EM, Note, write_core
from drgn_veth.dump.low_memory import add_low_memory
import pytest

_MEMORY = bytes(range(256)) * 64
_FIRST_LOAD = 64 + 56  # behind the ELF header and that of the notes
_VADDR = 16


def _core(path: Path, *places: tuple[int, int]) -> Program:
    """A core with segments at physical and virtual addresses."""
    notes = [Note(b"CORE", 1, bytes(336))]
    with open(path, "wb") as f:
        write_core(f, EM["S390X"], False, notes, [(at, _MEMORY) for at, _ in places])
        for i, (_, virtual) in enumerate(places):
            f.seek(_FIRST_LOAD + i * 56 + _VADDR)
            f.write(struct.pack(">Q", virtual))
    prog = Program()
    prog.set_core_dump(path)
    add_low_memory(prog, str(path))
    return prog


def test_one_segment_from_zero_on(tmp_path: Path) -> None:
    """drgn has its virtual addresses alone."""
    path = tmp_path / "vmcore"
    prog = _core(path, (0, 0))
    assert prog.read(0x1001, 3, physical=True) == b"\1\2\3"
    assert prog.read(0x1001, 3) == b"\1\2\3"
    path.unlink()
    assert prog.read(len(_MEMORY) - 1, 1, physical=True) == b"\xff"
    with pytest.raises(FaultError):
        prog.read(len(_MEMORY), 1, physical=True)


@pytest.mark.parametrize("places", [[(0, 1 << 40)], []])
def test_a_segment_elsewhere_is_not_added(
    tmp_path: Path, places: list[tuple[int, int]]
) -> None:
    prog = _core(tmp_path / "vmcore", *places)
    with pytest.raises(FaultError):
        prog.read(1, 1, physical=True)


def test_two_segments_are_as_drgn_has_them(tmp_path: Path) -> None:
    prog = _core(tmp_path / "vmcore", (0, 0), (0x100000, 0x100000))
    assert prog.read(0x100001, 2, physical=True) == b"\1\2"


def test_a_dump_that_is_cut_off(tmp_path: Path) -> None:
    """What is there is read."""
    path = tmp_path / "vmcore"
    _core(path, (0, 0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-0x1000])
    prog = Program()
    prog.set_core_dump(path)
    add_low_memory(prog, str(path))
    end = len(_MEMORY) - 0x1000
    assert prog.read(end - 1, 1, physical=True) == b"\xff"
    with pytest.raises(FaultError):
        prog.read(end, 1, physical=True)
