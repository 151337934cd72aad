# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores that are written, and notes that are read: right ones and broken ones."""

from pathlib import Path
import struct

from drgn import FaultError, Program
from drgn_veth.btf.carried import Carried, carried_by
from drgn_veth.dump.elfcore import Note, physical_segments, read_notes
import pytest

from tests.support.elf import (
    CARRIED,
    NOTES,
    SEGMENTS,
    VMCOREINFO,
    core_of,
    notes_of,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elf") / "core"


@pytest.mark.parametrize("little", [True, False])
def test_round_trip(path: Path, little: bool) -> None:
    assert notes_of(path, core_of(little=little)) == NOTES
    assert notes_of(path, core_of(notes=[])) == []
    assert notes_of(path, core_of(segments=[])) == NOTES


def test_drgn_reads_what_was_written(path: Path) -> None:
    path.write_bytes(core_of())
    prog = Program()
    prog.set_core_dump(path)
    for address, data in SEGMENTS:
        assert prog.read(address, len(data), True) == data
        for outside in (address - 1, address + len(data)):
            with pytest.raises(FaultError):
                prog.read(outside, 1, True)
    carried = carried_by(prog)
    assert carried == CARRIED
    path.unlink()  # drgn has it open.
    assert carried_by(prog) == CARRIED


def test_as_many_segments_as_e_phnum_cannot_tell(path: Path) -> None:
    """Section 0 has their number."""
    segments = [(0x1000 + 16 * i, b"x") for i in range(0xFFFF)]
    data = core_of(segments=segments)
    assert struct.unpack_from("<H", data, 56) == (0xFFFF,)
    path.write_bytes(data)
    assert list(read_notes(path)) == NOTES
    with open(path, "rb") as f:
        *_, last = physical_segments(f)
    assert last == (segments[-1][0], len(data) - 1, 1)
    # It ends within that section.
    path.write_bytes(data[:127])
    assert list(read_notes(path)) == []


def test_memory_that_is_there(path: Path) -> None:
    whole = core_of()
    start = len(whole) - sum(len(data) for _, data in SEGMENTS)
    for size in (len(whole), len(whole) - 1, start + 4, start + 3, start + 1, start):
        path.write_bytes(whole[:size])
        left, there = size - start, []
        for address, data in SEGMENTS:
            if left > 0:
                offset = size - left
                there.append((address, offset, min(len(data), left)))
            left -= len(data)
        with open(path, "rb") as f:
            assert list(physical_segments(f)) == there


@pytest.mark.slow
def test_more_segments_than_e_phnum_can_tell(path: Path) -> None:
    for count in (0xFFFD, 0xFFFE, 0xFFFF, 70_000):
        segments = [(0x1000 + 16 * i, b"%08x" % i) for i in range(count)]
        data = core_of(segments=segments)
        (phnum,) = struct.unpack_from("<H", data, 56)
        assert phnum == min(count + 1, 0xFFFF)
        assert notes_of(path, data) == NOTES
        prog = Program()
        prog.set_core_dump(path)
        for address, content in (segments[0], segments[-1]):
            assert prog.read(address, 8, True) == content


def test_cut_off(path: Path) -> None:
    whole = core_of(segments=[(0x1000, b"x")])
    for size in range(len(whole)):
        found = notes_of(path, whole[:size])
        assert found == NOTES[: len(found)]


def test_no_file(path: Path) -> None:
    with pytest.raises(OSError):
        list(read_notes(path.with_name("nosuch")))
    with pytest.raises(OSError):
        list(read_notes(path.parent))
    assert list(read_notes("/dev/null")) == []


def _patched(offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(core_of())
    struct.pack_into("<" + layout, data, offset, *values)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"\x7fELF\1" + bytes(100),
        b"\x7fELF\2\1" + b"\xff" * 100,
        _patched(32, "Q", (1 << 64) - 1),  # e_phoff
        _patched(32, "Q", 1 << 62),
        _patched(54, "H", 0),  # e_phentsize
        _patched(56, "H", 0xFFFE),  # e_phnum
        # e_shoff and e_phnum: of section 0, which is not there or says nonsense
        _patched(40, "Q8xHHH", (1 << 64) - 1, 64, 56, 0xFFFF),
        _patched(40, "Q8xHHH", len(core_of()) - 8, 64, 56, 0xFFFF),
        _patched(40, "Q8xHHH", 16, 64, 56, 0xFFFF),
    ],
)
def test_broken(path: Path, data: bytes) -> None:
    notes_of(path, data)


def _programs(count: int, filler: bytes) -> bytes:
    # Each of many PT_NOTE is all of the rest of the file.
    program = struct.pack("<IIQQQQQQ", 4, 0, 64 + 56 * count, 0, 0, len(filler), 0, 4)
    header = bytearray(core_of([], [])[:64])
    struct.pack_into("<H", header, 56, count)
    return bytes(header) + program * count + filler


@pytest.mark.slow
def test_many_times_the_same_notes(path: Path) -> None:
    notes_of(path, _programs(60_000, bytes(1 << 20)))
    notes_of(path, _programs(60_000, b"\xff" * (1 << 20)))
    notes_of(path, _programs(1, bytes(17 << 20)))


def test_carried_garbage(path: Path) -> None:
    lines = b"zzz d a\n1 2\n-1 d b\n" + b"f" * 17 + b" d c\n\xff d d\n10 d good\n"
    notes = [VMCOREINFO, Note(b"drgn-veth", 1, lines), Note(b"drgn-veth", 2, b"\0")]
    path.write_bytes(core_of(notes))
    prog = Program()
    prog.set_core_dump(path)
    assert carried_by(prog) == Carried({"good": 0x10}, {"": b""})
