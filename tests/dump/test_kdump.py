# SPDX-License-Identifier: LGPL-2.1-or-later
"""The length of a kdump file."""

from pathlib import Path
import struct
from typing import Optional

from drgn_veth.dump.kdump import (
    dumped_pages,
    lost_memory,
    missing_from_elf,
    missing_from_kdump,
    what_is_wrong,
)
import pytest

from tests.support.elf import core_of
from tests.support.kdumps import write_kdump
from tests.support.recorded import smallest_core


def kdump_file(path: Path, size: int) -> str:
    header = struct.pack(
        "<8s4x390x6x16x4xiiI", b"KDUMP   ", 4096, 2, 4
    )  # two bitmaps of two blocks
    bitmaps = bytes(2 * 4096) + b"\x07" + bytes(2 * 4096 - 1)
    whole = header.ljust(3 * 4096, b"\0") + bitmaps + bytes(3 * 24)
    path.write_bytes(whole[:size])
    return str(path)


def test_kdump_length(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    full = 3 * 4096 + 4 * 4096 + 3 * 24
    assert missing_from_kdump(kdump_file(path, full)) is None
    for size in (20, 500, 4096, 5 * 4096, full - 1):
        said = missing_from_kdump(kdump_file(path, size))
        assert said is not None and f"after {size} bytes" in said
    path.write_bytes(b"\x7fELF")
    assert missing_from_kdump(str(path)) is None


@pytest.mark.parametrize("part", [None, (0.5, 1.0), (0.0, 0.5)])
def test_pages(part: Optional[tuple[float, float]], tmp_path: Path) -> None:
    """The last one first; each has a descriptor."""
    kdump = write_kdump(smallest_core().core, tmp_path / "vmcore", part)
    pages = list(dumped_pages(str(kdump.path)))
    assert len(pages) == (kdump.pages - kdump.descriptors) // 24
    starts = [page.start for page in pages]
    assert starts == sorted(set(starts), reverse=True)
    assert {(one.start % 4096, len(one)) for one in pages} == {(0, 4096)}


@pytest.mark.parametrize("part", [None, (0.0, 0.3), (0.3, 0.7), (0.7, 1.0)])
def test_pages_end_with_the_file(
    part: Optional[tuple[float, float]], tmp_path: Path
) -> None:
    """A part has descriptors of its own pages only, from any page to any other."""
    kdump = write_kdump(smallest_core().core, tmp_path / "vmcore", part)
    path = str(kdump.path)
    first = list(dumped_pages(path))[-1].start
    assert "the file ends" not in (what_is_wrong(path) or "")
    assert (what_is_wrong(path) is None) == (part is None)
    assert lost_memory(path) is None
    data = kdump.path.read_bytes()
    kdump.path.write_bytes(data[:-1])
    need = f"ends after {kdump.size - 1} bytes, but its pages need {kdump.size}"
    assert need in (what_is_wrong(path) or "")
    kdump.path.write_bytes(data[: kdump.pages])
    assert lost_memory(path) == first
    assert missing_from_kdump(path) is None
    kdump.path.write_bytes(data[: kdump.pages - 1])
    assert f"need at least {kdump.pages}" in (missing_from_kdump(path) or "")


def test_a_file_is_flattened_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    whole = b"makedumpfile".ljust(4096, b"\0") + b"\xff" * 16
    path.write_bytes(whole)
    assert what_is_wrong(str(path)) is None
    for size in (80, 4096, 4100, len(whole) - 1):
        path.write_bytes(whole[:size])
        said = what_is_wrong(str(path)) or ""
        assert f"the file ends after {size} bytes, without the end of a" in said
        # Short as it is, it is no kdump file.
        assert (missing_from_kdump(str(path)), lost_memory(str(path))) == (None, None)


@pytest.mark.parametrize("little", [True, False])
def test_length_of_an_elf_core(little: bool, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    whole = core_of(little=little)
    path.write_bytes(whole)
    assert missing_from_elf(str(path)) is None
    for size in (4, 5, 63):
        path.write_bytes(whole[:size])
        said = missing_from_elf(str(path))
        assert said == (
            None if size < 5 else f"the file ends within its header, after {size} bytes"
        )
    for size in (64, 65, 300, len(whole) - 1):
        path.write_bytes(whole[:size])
        said = missing_from_elf(str(path)) or ""
        assert f"the file ends after {size} bytes, but its segments need" in said
    assert (said or "").endswith(f"need {len(whole)}")
    # Of another form than that of a dump.
    for at, byte in ((5, 3), (54 if little else 55, 57)):
        other = bytearray(whole[:-1])
        other[at] = byte
        path.write_bytes(other)
        assert missing_from_elf(str(path)) is None
