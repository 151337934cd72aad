# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMCOREINFO that a dump does not name, and that is in its memory."""

from pathlib import Path

from drgn import Program
from drgn_veth.dump.elfcore import EM, Note, physical_segments, write_core
from drgn_veth.dump.vmcoreinfo import find_vmcoreinfo, vmcoreinfo_in
import pytest

from tests.support.memory import altered_core
from tests.support.recorded import recorded_core

PAGE = 4096
CHUNK = 1 << 20  # bytes that are searched at once
NOTES = [Note(b"CORE", 1, bytes(336))]


@pytest.fixture(scope="module")
def text() -> bytes:
    """What the kernel of a recorded core says of itself."""
    prog: Program = recorded_core("7.3-zoo").prog
    return prog["VMCOREINFO"].string_()


def core(path: Path, *segments: "tuple[int, bytes]") -> str:
    with open(path, "wb") as f:
        write_core(f, EM["X86_64"], True, NOTES, segments)
    return str(path)


def changed(text: bytes, old: bytes, new: bytes) -> bytes:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_text(text: bytes) -> None:
    assert text.endswith(b"\n")
    assert vmcoreinfo_in(b"xx" + text + b"\0rest") == text
    assert vmcoreinfo_in(text[:-1] + b"\0") == text
    assert vmcoreinfo_in(b"") is None
    assert vmcoreinfo_in(b"\0" + text[1:]) is None


def test_text_that_is_not_whole(text: bytes) -> None:
    assert vmcoreinfo_in(text[:200]) is None
    assert vmcoreinfo_in(changed(text, b"PAGESIZE=4096", b"PAGESIZE=\xff096")) is None
    for word in (b"PAGESIZE=", b"SYMBOL(_stext)="):
        assert vmcoreinfo_in(changed(text, word, b"x" * len(word))) is None


@pytest.mark.parametrize("pages", [0, 1, CHUNK // PAGE - 1, CHUNK // PAGE])
def test_it_begins_a_page(text: bytes, tmp_path: Path, pages: int) -> None:
    memory = bytes(pages * PAGE) + text.ljust(PAGE, b"\0")
    path = core(tmp_path / "vmcore", (0x200000, memory))
    found = find_vmcoreinfo(path)
    assert found == (0x200000 + pages * PAGE, text)


def test_it_does_not_begin_elsewhere(text: bytes, tmp_path: Path) -> None:
    """As in the buffer of what a program has read."""
    memory = (bytes(64) + text).ljust(2 * PAGE, b"\0")
    assert find_vmcoreinfo(core(tmp_path / "vmcore", (0x200000, memory))) is None


def test_several_on_one_page_and_one_behind(text: bytes, tmp_path: Path) -> None:
    pages = (bytes(8) + text).ljust(PAGE, b"\0") + text.ljust(PAGE, b"\0")
    found = find_vmcoreinfo(core(tmp_path / "vmcore", (0x200000, pages)))
    assert found is not None and found.address == 0x201000


def test_it_ends_with_the_segment(text: bytes, tmp_path: Path) -> None:
    path = core(tmp_path / "vmcore", (0x200000, text), (0x300000, b"x=1\n" * 100))
    assert find_vmcoreinfo(path) == (0x200000, text)
    path = core(tmp_path / "cut", (0x200000, text[:-9]), (0x300000, text[-9:]))
    found = find_vmcoreinfo(path)
    assert found is None or found.text == text[:-9] + b"\n"


def test_no_memory(tmp_path: Path) -> None:
    assert find_vmcoreinfo(core(tmp_path / "vmcore")) is None


def test_the_page_cache_may_have_that_of_another_kernel(
    text: bytes, tmp_path: Path
) -> None:
    """The kernel's own name is where its VMCOREINFO says that it is."""
    recorded = recorded_core("7.3-zoo")
    release = text.split(b"\n")[0].partition(b"=")[2]
    other = changed(text, b"OSRELEASE=" + release, b"OSRELEASE=" + release[:-1] + b"?")
    # The core, a slice, lacks the name.
    altered = altered_core(recorded)
    at = recorded.prog["init_uts_ns"].name.release.address_
    assert at is not None
    altered.add(at, release.ljust(65, b"\0"))
    name = (altered.physical(at), release.ljust(65, b"\0"))
    with open(recorded.core, "rb") as f:
        places = list(physical_segments(f))
    read = recorded.prog.read
    memory = [(address, read(address, size, True)) for address, _, size in places]
    free = max(address + size for address, _, size in places) // PAGE * PAGE + PAGE
    wrong = other.ljust(PAGE, b"\0")
    both = wrong + text.ljust(PAGE, b"\0")
    path = tmp_path / "vmcore"

    found = find_vmcoreinfo(core(path, *memory, name, (free, both)))
    assert found == (free + PAGE, text)
    assert find_vmcoreinfo(core(path, *memory, name, (free, wrong))) is None
    # The first counts, if the dump does not have the name.
    assert find_vmcoreinfo(core(path, *memory, (free, both))) == (free, other)
