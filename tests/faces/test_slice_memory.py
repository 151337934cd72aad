# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a slice keeps of the memory of its target, and targets that have no slice."""

from drgn import Architecture, FaultError, Platform, PlatformFlags, Program
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces import slice
from drgn_veth.model import Snapshot
import pytest

from tests.support.snapshots import BAD, pair

_FLAGS = PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
_DATA = bytes(range(256)) * 48  # 3 pages


class Memory:
    """Three pages of physical memory at 0x1000, of which the last is cut."""

    def __init__(self, lost: int = 0) -> None:
        self.reads: list[tuple[int, int]] = []
        self.lost = lost
        self.prog = Program(Platform(Architecture.X86_64, _FLAGS))
        self.prog.add_memory_segment(0x1000, len(_DATA), self.read, True)

    def read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        if address + count > 0x1000 + len(_DATA) - self.lost:
            raise FaultError("cut", address)
        self.reads.append((address, count))
        return _DATA[offset : offset + count]


def test_only_what_was_read_is_kept() -> None:
    memory = Memory()
    recorder = slice._Recorder(memory.prog)
    for address, count in ((0x1010, 8), (0x1FFC, 8), (0x3FF0, 16), (0x1014, 6)):
        start = address - 0x1000
        assert recorder.read(address, count, 0, True) == _DATA[start : start + count]
    # Ascending, what overlaps in one, and no byte beside it.
    assert recorder.segments() == [
        (0x1010, _DATA[0x10:0x1A]),
        (0x1FFC, _DATA[0xFFC:0x1004]),
        (0x3FF0, _DATA[0x2FF0:0x3000]),
    ]
    # Each page was read once: a running kernel changes.
    assert memory.reads == [(0x1000, 4096), (0x2000, 4096), (0x3000, 4096)]


def test_what_touches_is_one_segment() -> None:
    recorder = slice._Recorder(Memory().prog)
    for address, count in ((0x1000, 8), (0x1008, 8), (0x1011, 1), (0x1002, 2)):
        recorder.read(address, count, 0, True)
    assert recorder.segments() == [(0x1000, _DATA[:16]), (0x1011, _DATA[17:18])]


def test_a_page_of_which_a_part_is_missing() -> None:
    memory = Memory(lost=100)
    recorder = slice._Recorder(memory.prog)
    assert recorder.read(0x3008, 8, 0, True) == _DATA[0x2008:0x2010]
    assert recorder.read(0x2FF8, 16, 0, True) == _DATA[0x1FF8:0x2008]
    with pytest.raises(FaultError):
        recorder.read(0x3FF8, 8, 0, True)
    assert recorder.segments() == [(0x2FF8, _DATA[0x1FF8:0x2010])]


def test_a_machine_without_slices() -> None:
    for prog in (Program(), Program(Platform(Architecture.I386))):
        with pytest.raises(slice.SliceError, match="^cannot make slices for "):
            slice.slice_target(prog)


def test_which_reports_are_the_same() -> None:
    """Another file, and another reason why a value is missing."""
    whole = pair({"mtu": BAD}, incomplete=(("devices", "Excluded page"),))

    def differs(other: Snapshot) -> bool:
        return slice._without_reasons(whole) != slice._without_reasons(other)

    target = whole.target._replace(path="other.core")
    same = pair({"mtu": Unreadable("no such segment")}, incomplete=(("devices", "no"),))
    assert not differs(same._replace(target=target))
    assert differs(same._replace(incomplete=()))
    assert differs(pair({"mtu": 1500}, incomplete=whole.incomplete))
    assert differs(same._replace(target=target._replace(release="6.2.0")))
