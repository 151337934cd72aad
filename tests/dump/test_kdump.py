# SPDX-License-Identifier: LGPL-2.1-or-later
"""The length of a kdump file."""

from pathlib import Path
import struct
from typing import Optional

from drgn_veth.dump.kdump import dumped_pages, missing_from_kdump
import pytest

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
