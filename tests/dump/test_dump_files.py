# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are less than a dump: what is said of them, and what is read of them."""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import shutil
import struct
import subprocess

from drgn import Program
from drgn_veth.dump.elfcore import EM, Note, write_core
from drgn_veth.dump.kdump import lost_memory, missing_from_kdump, what_is_wrong
from drgn_veth.faces import damage
import pytest

from tests.support.kdumps import (
    SPLIT,
    STATUS,
    SUB_HEADER,
    VMCOREINFO,
    Kdump,
    write_kdump,
    write_whole_pages,
)
from tests.support.recorded import first_core
from tests.support.scripts import (
    REPOSITORY,
    SCRIPT,
    by_drgn,
    by_name,
    one_line,
    python,
    run,
)
from tests.support.slow import slow_but
from tests.support.warm import run_warm

SPLIT_WORDS = "makedumpfile --reassemble PART1 PART2... DUMP"
WITH_HELPERS = {**os.environ, "PYTHONPATH": str(REPOSITORY / "helpers")}
CUT_WORDS = "copy the whole dump again"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dumps")


@pytest.fixture(scope="module")
def core() -> Path:
    return first_core("6.12").core


@pytest.fixture(scope="module")
def whole(core: Path, folder: Path) -> Kdump:
    return write_kdump(core, folder / "whole")


def partial(path: Path, text: str) -> None:
    """Something is reported, after a line that says what the file is."""
    for done in (
        run("-c", path, "--format", "json"),
        by_drgn(path, SCRIPT, "--format", "json"),
    ):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["devices"]
        first, *others = done.stderr.splitlines()
        assert first.startswith(f"veth_report: {path}: {text}")
        # At most one more, which says how many values are missing.
        assert all(line.startswith("veth_report: ") for line in others)
        assert len(others) <= 1


def survives(path: Path) -> bool:
    """Return what can_be_opened() says. It forks: no thread may be there, as here."""
    code = "import sys; from drgn_veth.dump.partial import can_be_opened as answer; "
    code += "sys.exit(10 + answer(sys.argv[1]))"
    done = python("-c", code, path, env=WITH_HELPERS)
    assert done.returncode in (10, 11), done.stderr
    return done.returncode == 11


@pytest.mark.slow
def test_without_a_core_file(whole: Kdump, tmp_path: Path) -> None:
    """Where the hard limit of core files is 0, only root may set another."""
    cut = tmp_path / "vmcore"
    cut.write_bytes(whole.path.read_bytes()[: 3 * whole.path.stat().st_size // 4])
    code = (
        "import resource, sys; from drgn_veth.dump import partial\n"
        "def refuse(*_): raise ValueError('not allowed to raise maximum limit')\n"
        "resource.setrlimit = refuse\n"
        "sys.exit(10 + partial.can_be_opened(sys.argv[1]))"
    )
    for path in (cut, whole.path):
        done = python("-c", code, path, env=WITH_HELPERS)
        assert (done.returncode, done.stderr) == (10 + survives(path), "")


def same(
    one: "subprocess.CompletedProcess[str]", other: "subprocess.CompletedProcess[str]"
) -> None:
    """A report that is as good as another one."""
    assert one.returncode == other.returncode == 0
    assert (one.stdout, one.stderr) == (other.stdout, other.stderr)


def unread(path: Path, text: str) -> None:
    """Nothing is reported, but what the file is. Nobody asks for a System.map."""
    for done in (run("-c", path), by_drgn(path, SCRIPT, "--format", "json")):
        one_line(done, 3, text)
        assert f"{path}: " in done.stderr
        assert "System.map" not in done.stderr


def run_each(
    paths: Sequence[Path], name: Path
) -> list["subprocess.CompletedProcess[str]"]:
    """The report of each file, by one name: screens name the dump."""
    done = []
    for path in paths:
        os.link(path, name)
        done.append(run("-c", name))
        name.unlink()
    return done


@pytest.mark.slow
def test_a_whole_kdump(core: Path, whole: Kdump, tmp_path: Path) -> None:
    """It is as good as an ELF core of the same pages."""
    assert what_is_wrong(str(whole.path)) is None
    assert what_is_wrong(str(core)) is None
    elf = tmp_path / "elf"
    write_whole_pages(core, elf)
    kdump, by_elf = run_each([whole.path, elf], tmp_path / "vmcore")
    assert "(kdump)" in kdump.stdout
    kdump.stdout = kdump.stdout.replace("(kdump)", "(ELF)", 1)
    same(kdump, by_elf)


@pytest.mark.slow
def test_an_incomplete_kdump(core: Path, tmp_path: Path) -> None:
    """As makedumpfile leaves it when the disk is full."""
    path = tmp_path / "vmcore"
    write_kdump(core, path, lost=0.01)
    partial(path, "an incomplete dump: the disk was full")
    write_kdump(core, path, lost=0.5)
    unread(path, "an incomplete dump: the disk was full")


@pytest.mark.slow
def test_a_part_of_a_split_kdump(core: Path, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    write_kdump(core, path, part=(0.01, 1))
    partial(path, "one part of a split dump, with pages ")
    write_kdump(core, path, part=(0, 0.5))
    unread(path, SPLIT_WORDS)
    write_kdump(core, path, part=(0.5, 1))
    unread(path, SPLIT_WORDS)
    assert CUT_WORDS not in (what_is_wrong(str(path)) or "")


def cut(whole: Kdump, path: Path, size: int) -> Path:
    path.write_bytes(whole.path.read_bytes()[:size])
    return path


@pytest.mark.slow
def test_a_kdump_without_its_last_byte(whole: Kdump, tmp_path: Path) -> None:
    path = cut(whole, tmp_path / "vmcore", whole.size - 1)
    wanted = (
        f"the file ends after {whole.size - 1} bytes, but its pages need {whole.size}"
    )
    assert what_is_wrong(str(path)) == f"{wanted}; {CUT_WORDS}"
    partial(path, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_kdump_cut_within_its_pages(
    whole: Kdump, tmp_path: Path, share: float
) -> None:
    size = int(whole.pages + share * (whole.size - whole.pages))
    path = cut(whole, tmp_path / "vmcore", size)
    unread(path, f"the file ends after {size} bytes, but its pages need {whole.size}")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.9, 0.95, 0.98, 0.99, 0.9925, 0.995, 0.9975])
def test_a_kdump_cut_near_its_end(whole: Kdump, tmp_path: Path, share: float) -> None:
    """Pages behind the end are in the same mapping: reading one is SIGBUS."""
    size = int(whole.pages + share * (whole.size - whole.pages))
    path = cut(whole, tmp_path / "vmcore", size)
    wanted = f"the file ends after {size} bytes, but its pages need {whole.size}"
    reports = [run("-c", path, "--format", "json")]
    if survives(path):  # Else drgn dies of it before the script starts.
        reports.append(by_drgn(path, SCRIPT, "--format", "json"))
    for done in reports:
        assert done.returncode in (0, 3)
        first, *rest = done.stderr.splitlines()
        assert wanted in first and CUT_WORDS in first
        assert len(rest) <= 1 and bool(done.stdout) == (done.returncode == 0)
    assert len({done.stdout for done in reports}) == 1


def test_what_is_lost_of_a_kdump(whole: Kdump, tmp_path: Path) -> None:
    """The first page that the file does not have in whole, wherever it is cut."""
    assert lost_memory(str(whole.path)) is None
    data = whole.path.read_bytes()
    count = (whole.size - whole.pages) // 4096
    bits = data[whole.bitmap : whole.descriptors]
    bits = bits[len(bits) // 2 :]
    frames = [i for i in range(8 * len(bits)) if bits[i // 8] >> i % 8 & 1]
    assert len(frames) == count
    for index in (0, 1, count // 2, count - 1):
        for more in (0, 1, 4095):
            path = cut(whole, tmp_path / "vmcore", whole.pages + index * 4096 + more)
            assert lost_memory(str(path)) == frames[index] * 4096


@pytest.mark.parametrize(
    "where", slow_but(["bits"], ["header", "sub_header", "notes", "bits", "tables"])
)
@by_name
def test_a_kdump_cut_within_its_tables(
    script: Path, whole: Kdump, tmp_path: Path, where: str
) -> None:
    """libkdumpfile would take some of these to its death."""
    size = {
        "header": 300,
        "sub_header": SUB_HEADER + 50,
        "notes": whole.vmcoreinfo + 100,
        "bits": whole.bitmap + 5000,
        "tables": (whole.descriptors + whole.pages) // 2,
    }[where]
    path = cut(whole, tmp_path / "vmcore", size)
    words: dict[str, list[object]] = {
        "xdp_attach": ["lo"],
        "vmcore_slice": [tmp_path / "slice"],
    }
    done = run_warm(script, "-c", path, *words.get(script.stem, []))
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert f"after {size} bytes" in line and line.endswith(CUT_WORDS)


@pytest.mark.parametrize("place", slow_but([1 << 40], [1 << 40, (1 << 64) - 1]))
def test_notes_beyond_the_file(whole: Kdump, tmp_path: Path, place: int) -> None:
    data = bytearray(whole.path.read_bytes())
    struct.pack_into("<QQQQ", data, VMCOREINFO, place, 100, place, 100)
    path = tmp_path / "vmcore"
    path.write_bytes(data)
    one_line(run("-c", path), 3, f"the file ends after {whole.size} bytes")


@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_of_either_order(core: Path, tmp_path: Path, order: str) -> None:
    path = tmp_path / "vmcore"
    made = write_kdump(core, path, part=(0.25, 0.75), lost=0.25, order=order)
    said = what_is_wrong(str(path)) or ""
    assert SPLIT_WORDS in said and "the disk was full" in said
    cut(made, path, made.pages - 1)
    assert "its tables alone" in (missing_from_kdump(str(path)) or "")


def test_old_headers(whole: Kdump, tmp_path: Path) -> None:
    """What a version of the header does not have yet is not read."""
    path = tmp_path / "vmcore"
    data = bytearray(whole.path.read_bytes())
    struct.pack_into("<i", data, SPLIT, 1)
    for version, split in ((1, False), (2, True), (6, True)):
        struct.pack_into("<i", data, 8, version)
        path.write_bytes(data)
        assert (SPLIT_WORDS in (what_is_wrong(str(path)) or "")) is split
    struct.pack_into("<I", data, STATUS, 8)
    path.write_bytes(data)
    assert "the disk was full" in (what_is_wrong(str(path)) or "")


# makedumpfile -F: the file is a stream of records.


def flattened(whole: Kdump) -> bytes:
    parts = [struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")]
    data = whole.path.read_bytes()
    for at in range(0, len(data), 1 << 20):
        part = data[at : at + (1 << 20)]
        parts += [struct.pack(">qq", at, len(part)), part]
    return b"".join([*parts, b"\xff" * 16])


@pytest.mark.slow
def test_a_flattened_kdump(whole: Kdump, tmp_path: Path) -> None:
    path = tmp_path / "flattened"
    data = flattened(whole)
    path.write_bytes(data)
    same(*run_each([path, whole.path], tmp_path / "vmcore"))
    path.write_bytes(data[: len(data) // 2])
    wanted = f"{path}: the file ends after {len(data) // 2} bytes, without the end of"
    one_line(run("-c", path), 3, wanted)


# VMCOREINFO


@pytest.mark.slow
def test_damaged_vmcoreinfo(core: Path, whole: Kdump, tmp_path: Path) -> None:
    """One byte, which drgn cannot log."""
    path = tmp_path / "vmcore"
    for source, told in ((core, partial), (whole.path, unread)):
        data = source.read_bytes()
        at = data.index(b"OSRELEASE=") + len(b"OSRELEASE=6.")
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        told(path, "its VMCOREINFO is damaged: OSRELEASE=6.\\xff")


@pytest.mark.parametrize(
    "line",
    slow_but(["BUILD-ID="], ["SYMBOL(kallsyms_names)=", "BUILD-ID=", "PAGESIZE="]),
)
def test_damaged_line_of_vmcoreinfo(core: Path, tmp_path: Path, line: str) -> None:
    data = core.read_bytes()
    at = data.index(line.encode()) + len(line)
    path = tmp_path / "vmcore"
    path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    one_line(run("-c", path), 3, "VMCOREINFO")


def guest_core(path: Path, notes: list[Note]) -> None:
    with open(path, "wb") as f:
        write_core(f, EM["X86_64"], True, notes, [(0, bytes(4096))])


@pytest.mark.parametrize(
    "notes",
    [
        [Note(b"CORE", 1, bytes(336)), Note(b"QEMU", 0, bytes(440))],
        [Note(b"X", 1, b"")],
    ],
    ids=["qemu", "other"],
)
def test_dump_of_a_guest_without_vmcoreinfo(tmp_path: Path, notes: list[Note]) -> None:
    path = tmp_path / "vmcore"
    guest_core(path, notes)
    done = run("-c", path)
    one_line(done, 3, "-device vmcoreinfo")
    assert "qemu_fw_cfg" in done.stderr
    assert "user process" not in done.stderr and "whole crash dump" not in done.stderr


def test_kdump_without_vmcoreinfo(whole: Kdump, tmp_path: Path) -> None:
    data = bytearray(whole.path.read_bytes())
    struct.pack_into("<QQQQ", data, VMCOREINFO, 0, 0, 0, 0)
    path = tmp_path / "vmcore"
    path.write_bytes(data)
    done = run("-c", path)
    one_line(done, 3, "has no VMCOREINFO, which drgn needs to identify the kernel")
    assert "--vmcoreinfo FILE" in done.stderr


# A guest's kdump file: QEMU's dump-guest-memory -z writes it flattened.

AS_ELF = "dump-guest-memory NEW (without -z, -l or -s)"
NOTHING = struct.pack("<QQQQ", 0, 0, 0, 0)
MACHINE = 12 + 4 * 65  # new_utsname.machine


@pytest.mark.parametrize(
    ("at", "new", "text"),
    [
        (VMCOREINFO, NOTHING, "qemu_fw_cfg"),
        (MACHINE, bytes(65), "libkdumpfile does not recognize its machine (drgn: "),
    ],
    ids=["no VMCOREINFO", "no machine"],
)
@pytest.mark.parametrize("flat", slow_but([True], [False, True]))
def test_kdump_of_a_guest(
    whole: Kdump, tmp_path: Path, at: int, new: bytes, text: str, flat: bool
) -> None:
    data = bytearray(whole.path.read_bytes())
    data[at : at + len(new)] = new
    path = tmp_path / "vmcore"
    path.write_bytes(data)
    if flat:
        path.write_bytes(flattened(whole._replace(path=path)))
    done = run("-c", path)
    one_line(done, 3, text)
    assert AS_ELF in done.stderr and "--format=elf" in done.stderr
    assert "makedumpfile -R" not in done.stderr


def test_pages_that_cannot_be_decompressed(whole: Kdump, tmp_path: Path) -> None:
    """Symbols would not help."""
    data = bytearray(whole.path.read_bytes())
    for at in range(whole.descriptors, whole.pages, 24):
        struct.pack_into("<I", data, at + 12, 4)  # DUMP_DH_COMPRESSED_SNAPPY
    path = tmp_path / "vmcore"
    path.write_bytes(data)
    done = run("-c", path)
    one_line(done, 3, f"{path}: libkdumpfile cannot decompress its pages (")
    assert "makedumpfile -c -d 0 OLD NEW" in done.stderr and AS_ELF in done.stderr
    assert "vmlinux" not in done.stderr


def test_unread_is_about_the_file(core: Path, tmp_path: Path) -> None:
    """take() of a file that lost its devices names the file, not the symbols."""
    path = tmp_path / "vmcore"
    shutil.copy(core, path)
    prog = Program()
    prog.set_core_dump(path)
    assert str(damage.unread(prog, "why")) == "why"
    path.write_bytes(core.read_bytes()[:-1])
    assert CUT_WORDS in str(damage.unread(prog, "why"))
