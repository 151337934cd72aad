# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cores that are written, and notes that are read: right ones and broken ones."""

from collections.abc import Sequence
import io
from pathlib import Path
import random
import struct
import tracemalloc

from drgn import FaultError, Program
from drgn_veth.btf.carried import Carried, carried_by
from drgn_veth.dump.elfcore import EM, Note, read_notes, write_core
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

from tests.support.bounds import takes_less_than

SECONDS = 2.0
MEMORY = 64 << 20

# As little as drgn takes for a kernel's.
VMCOREINFO = Note(
    b"VMCOREINFO",
    0,
    b"OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\n"
    b"KERNELOFFSET=0\nNUMBER(phys_base)=0\n",
)
CARRIED = Carried(
    {"init_net": 0xFFFFFFFF82000000, "_stext": 0xFFFFFFFF81000000},
    {"veth": b"\x9f\xeb\0\1", "odd\xff": b""},
)
NOTES = [VMCOREINFO, Note(b"", 7, b""), Note(b"abc", 1 << 31, b"12345")]
NOTES += CARRIED.notes()
SEGMENTS = [(0x1003, b"one"), (0x2000, b"two" * 5000), (1 << 45, b"\0")]

_Segments = Sequence[tuple[int, bytes]]


def _core(
    notes: Sequence[Note] = NOTES,
    segments: _Segments = SEGMENTS,
    little: bool = True,
) -> bytes:
    out = io.BytesIO()
    machine = EM["X86_64" if little else "S390X"]
    write_core(out, machine, little, notes, segments)
    return out.getvalue()


def _notes(path: Path, data: bytes) -> list[Note]:
    """Read notes within bounds of time and memory."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with takes_less_than(SECONDS):
            return list(read_notes(path))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elf") / "core"


@pytest.mark.parametrize("little", [True, False])
def test_round_trip(path: Path, little: bool) -> None:
    assert _notes(path, _core(little=little)) == NOTES
    assert _notes(path, _core(notes=[])) == []
    assert _notes(path, _core(segments=[])) == NOTES


def test_drgn_reads_what_was_written(path: Path) -> None:
    path.write_bytes(_core())
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


@pytest.mark.slow
def test_more_segments_than_e_phnum_can_tell(path: Path) -> None:
    for count in (0xFFFD, 0xFFFE, 0xFFFF, 70_000):
        segments = [(0x1000 + 16 * i, b"%08x" % i) for i in range(count)]
        data = _core(segments=segments)
        (phnum,) = struct.unpack_from("<H", data, 56)
        assert phnum == min(count + 1, 0xFFFF)
        assert _notes(path, data) == NOTES
        prog = Program()
        prog.set_core_dump(path)
        for address, content in (segments[0], segments[-1]):
            assert prog.read(address, 8, True) == content


def test_cut_off(path: Path) -> None:
    whole = _core(segments=[(0x1000, b"x")])
    for size in range(len(whole)):
        found = _notes(path, whole[:size])
        assert found == NOTES[: len(found)]


def test_no_file(path: Path) -> None:
    with pytest.raises(OSError):
        list(read_notes(path.with_name("nosuch")))
    with pytest.raises(OSError):
        list(read_notes(path.parent))
    assert list(read_notes("/dev/null")) == []


def _patched(offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(_core())
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
        _patched(40, "Q8xHHH", len(_core()) - 8, 64, 56, 0xFFFF),
        _patched(40, "Q8xHHH", 16, 64, 56, 0xFFFF),
    ],
)
def test_broken(path: Path, data: bytes) -> None:
    _notes(path, data)


def _programs(count: int, filler: bytes) -> bytes:
    # Each of many PT_NOTE is all of the rest of the file.
    program = struct.pack("<IIQQQQQQ", 4, 0, 64 + 56 * count, 0, 0, len(filler), 0, 4)
    header = bytearray(_core([], [])[:64])
    struct.pack_into("<H", header, 56, count)
    return bytes(header) + program * count + filler


@pytest.mark.slow
def test_many_times_the_same_notes(path: Path) -> None:
    _notes(path, _programs(60_000, bytes(1 << 20)))
    _notes(path, _programs(60_000, b"\xff" * (1 << 20)))
    _notes(path, _programs(1, bytes(17 << 20)))


def test_carried_garbage(path: Path) -> None:
    lines = b"zzz d a\n1 2\n-1 d b\n" + b"f" * 17 + b" d c\n\xff d d\n10 d good\n"
    notes = [VMCOREINFO, Note(b"drgn-veth", 1, lines), Note(b"drgn-veth", 2, b"\0")]
    path.write_bytes(_core(notes))
    prog = Program()
    prog.set_core_dump(path)
    assert carried_by(prog) == Carried({"good": 0x10}, {"": b""})


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_changed_by_chance(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(_core())
    # Where the headers are, most of the time.
    for _ in range(chance.randint(1, 8)):
        end = chance.choice((64, 64 + 4 * 56, len(data)))
        data[chance.randrange(end)] = chance.choice((0, 1, 0x7F, 0xFF))
    _notes(path, bytes(data[: chance.choice((len(data), 300))]))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400))
def test_any_bytes(path: Path, data: bytes) -> None:
    _notes(path, data)
    _notes(path, b"\x7fELF\2\1\1" + data)
