# SPDX-License-Identifier: LGPL-2.1-or-later
"""Slices: the report of the dump, in a small core with nothing else in it."""

from collections.abc import Iterator
import contextlib
import functools
import json
import lzma
from pathlib import Path
import random
from typing import Any, Callable

from drgn import FaultError, Program
from drgn.helpers.linux.net import for_each_netdev
from drgn_veth.btf import use_btf
from drgn_veth.faces.slice import check_slice, slice_target
from drgn_veth.model import unreadable_in
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.booted import (
    NO_SYMBOLS,
    SCRIPT,
    SLICE_SCRIPT,
    WORDS,
    Dump,
    drgn,
    run_alone,
    settled,
    words_in,
)
from tests.support.memory import Altered

DRGN_VERSIONS = ("0.0.33", "0.1.0", "0.2.0", "0.3.0")
MOST = 3 << 20  # bytes under xz
#: What is given beside the dump: debug symbols, or nothing.
GIVEN = ("dwarf", "btf")


class _Slices:
    # Those of one kdump file, each made once.
    def __init__(self, dump: Dump, folder: Path) -> None:
        self.dump = dump
        self._folder = folder

    def symbols(self, given: str) -> "list[object]":
        return self.dump.symbols if given == "dwarf" else list(NO_SYMBOLS)

    @functools.cache  # noqa: B019
    def written(self, given: str) -> tuple[Path, str]:
        """Return the slice as it was written, and what was said."""
        # One is compressed: that takes longer than all else.
        ending = ".xz" if given == "dwarf" else ""
        path = self._folder / f"{given}.core{ending}"
        target = ("-c", self.dump.vmcore, *self.symbols(given))
        done = drgn(*target, SLICE_SCRIPT, path)
        assert done.returncode == 0, done.stderr
        return path, done.stdout

    @functools.cache  # noqa: B019
    def core(self, given: str) -> Path:
        """Return the slice, unpacked."""
        path, _ = self.written(given)
        if path.suffix == ".xz":
            plain = lzma.decompress(path.read_bytes())
            path = path.with_suffix("")
            path.write_bytes(plain)
        return path


@pytest.fixture(scope="module")
def slices(zoo: Dump, tmp_path_factory: pytest.TempPathFactory) -> _Slices:
    return _Slices(zoo, tmp_path_factory.mktemp("slices"))


def _of(core: Path, *args: object, **kwargs: Any) -> str:
    """Return the report of a core that is opened with plain -c."""
    done = drgn("-c", core, SCRIPT, "--format", "json", *args, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _as_slice(dump: Dump, source: str, types: str, name: str) -> str:
    """
    Return the report of a target as a slice's should be, byte for byte.

    :param name: Of the slice's file
    """
    text = dump.report_text(source, types)
    said: dict[str, str] = dump.report(source, types)["target"]
    for key, value in (("kind", "elf"), ("path", name), ("types", "btf")):
        old = f'"{key}": {json.dumps(said[key])}'
        assert text.count(old, 0, text.index('"namespaces"')) == 1
        text = text.replace(old, f'"{key}": "{value}"', 1)
    return _without_packets(text)


def _without_packets(text: str) -> str:
    # Of packets in flight, a slice only has how many there are: a line is a queue.
    before, start, rest = text.partition('"in_flight": [\n')
    queues, end, after = rest.partition("\n],\n")
    lines = []
    for line in queues.split(",\n") if start else ():
        queue = json.loads(line)
        if isinstance(queue["length"], dict):  # Unreadable, there as here.
            lines.append(line)
            continue
        missing = {"unreadable": "not in a slice"}
        queue.update(skbs=missing, xdp_frames=missing)
        queue["oldest"] = missing
        lines.append(json.dumps(queue))
    return before + start + ",\n".join(lines) + end + after


@pytest.mark.parametrize("given", GIVEN)
def test_same_report(slices: _Slices, given: str) -> None:
    dump = slices.dump
    expected = _as_slice(dump, "kdump", given, f"{given}.core")
    assert _of(slices.core(given)) == expected
    if given == "dwarf":
        # Types and symbols that the dump does not tell travel with it.
        assert json.loads(_of(slices.core(given)))["unreadable"] == []


@pytest.mark.parametrize("source", ["elf", "qemu", "kcore"])
def test_same_report_of_other_targets(zoo: Dump, source: str) -> None:
    found = zoo.report_text(source, "slice")
    name = json.loads(found)["target"]["path"]
    assert settled(found) == settled(_as_slice(zoo, source, "dwarf", name))


@pytest.mark.parametrize("given", GIVEN)
def test_size(slices: _Slices, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, said = slices.written(given)
    size = path.stat().st_size
    assert f"{path}: {size} bytes" in said
    # Symbols that were given may be in it, nothing else.
    most = MOST if given == "dwarf" else slices.core("dwarf").stat().st_size
    assert size <= most
    with capsys.disabled():
        whole = slices.dump.vmcore.stat().st_size
        print(f"\n{path.name}: {size:,} bytes, of a dump of {whole:,}", end="")


def test_size_of_other_targets(slices: _Slices) -> None:
    expected = slices.core("dwarf").stat().st_size
    for source in ("elf", "qemu", "kcore"):
        size = slices.dump.slice_of(source).stat().st_size
        assert 0.9 * expected < size < 1.1 * expected


def _pages(core: Path) -> Iterator[bytes]:
    prog = Program()
    prog.set_core_dump(core)
    for address in range(0, 1 << 30, 4096):
        with contextlib.suppress(FaultError):  # makedumpfile has left it out
            yield prog.read(address, 4096, True)


@pytest.mark.parametrize("given", GIVEN)
def test_no_packet_and_no_process_in_it(slices: _Slices, given: str) -> None:
    dump = slices.dump
    # They are in the memory that slices were made of...
    assert dump.words_in_memory() == list(WORDS)
    assert any(WORDS["PACKET"] in page for page in _pages(dump.vmcore))
    # ...and in no slice.
    assert words_in(slices.core(given)) == []
    for source in ("elf", "qemu", "kcore"):
        assert words_in(dump.slice_of(source)) == []


def _segments(core: Path) -> list[tuple[int, int]]:
    """Return the physical addresses where segments of a core begin and end."""
    content = core.read_bytes()
    table = int.from_bytes(content[32:40], "little")
    count = int.from_bytes(content[56:58], "little")
    assert count != 0xFFFF
    found = []
    for at in range(table, table + count * 56, 56):
        if content[at] == 1:  # PT_LOAD
            start = int.from_bytes(content[at + 24 : at + 32], "little")
            size = int.from_bytes(content[at + 32 : at + 40], "little")
            found.append((start, start + size))
    return found


@pytest.mark.parametrize("given", GIVEN)
def test_no_byte_more(slices: _Slices, given: str) -> None:
    """What was not read is not there, be it beside what was."""
    core, dump = slices.core(given), slices.dump
    prog, whole = Program(), Program()
    prog.set_core_dump(core)
    whole.set_core_dump(dump.vmcore)
    segments = _segments(core)
    starts = {start for start, _ in segments}
    _, said = slices.written(given)
    size = sum(end - start for start, end in segments)
    assert f" {size} bytes of kernel memory" in said
    in_dump = 0
    for start, end in segments:
        assert prog.read(start, end - start, True) == whole.read(
            start, end - start, True
        )
        for outside in {start - 1, end} - starts:
            with pytest.raises(FaultError):
                prog.read(outside, 1, True)
            with contextlib.suppress(FaultError):
                whole.read(outside, 1, True)
                in_dump += 1
    assert in_dump > 100
    with pytest.raises(FaultError):
        prog.read(0, 1)
    # By name: the log, the command line, what the kernel says of itself.
    use_btf(prog)
    use_btf(whole)
    for name in ("__log_buf", "saved_command_line", "linux_banner", "init_task"):
        address = whole.symbol(name).address
        whole.read(address, 8)
        with pytest.raises(FaultError):
            prog.read(address, 8)


@pytest.mark.parametrize("version", DRGN_VERSIONS)
def test_drgn_versions(
    slices: _Slices, version: str, drgn_python: Callable[[str], str]
) -> None:
    core = slices.core("dwarf")
    expected = _as_slice(slices.dump, "kdump", "dwarf", "dwarf.core")
    assert _of(core, python=drgn_python(version)) == expected


def test_made_by_an_old_drgn(
    one_zoo: Dump, tmp_path: Path, drgn_python: Callable[[str], str]
) -> None:
    slices = _Slices(one_zoo, tmp_path)
    target = ("-c", slices.dump.vmcore, *slices.symbols("dwarf"))
    for version in DRGN_VERSIONS:
        path = tmp_path / version
        done = drgn(*target, SLICE_SCRIPT, path, python=drgn_python(version))
        if version == "0.0.33":
            assert (done.returncode, path.exists()) == (2, False)
            (line,) = done.stderr.splitlines()
            assert "0.1 can" in line
        else:
            assert done.returncode == 0, done.stderr
            assert _of(path) == _as_slice(slices.dump, "kdump", "dwarf", path.name)


@pytest.mark.parametrize("given", GIVEN)
def test_slice_of_a_slice(slices: _Slices, given: str, tmp_path: Path) -> None:
    path = tmp_path / "again.core"
    core = slices.core(given)
    done = drgn("-c", core, *NO_SYMBOLS, SLICE_SCRIPT, path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == core.read_bytes()


def test_without_drgn(slices: _Slices, tmp_path: Path) -> None:
    """Made by python3, then read by python3: without drgn's command line."""
    path = tmp_path / "slice.core"
    target = ["-c", slices.dump.vmcore, *slices.symbols("dwarf")]
    done = run_alone(path, *target, script=SLICE_SCRIPT)
    assert done.returncode == 0, done.stderr
    again = run_alone("-c", path, "--format", "json")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == _as_slice(slices.dump, "kdump", "dwarf", path.name)


def test_of_a_damaged_dump(one_zoo: Dump, tmp_path: Path) -> None:
    altered = Altered(one_zoo.vmcore, [one_zoo.vmlinux, one_zoo.veth])
    devices = list(for_each_netdev(altered.original["init_net"].address_of_()))
    for dev in random.Random(1).sample(devices, 3):
        altered.exclude(dev._rx.value_())
    damaged = slice_target(altered.prog)
    missing = list(unreadable_in(damaged.snapshot))
    assert missing
    path = tmp_path / "damaged.core"
    with open(path, "wb") as f:
        damaged.write(f)
    check_slice(str(path), damaged)
    prog = Program()
    prog.set_core_dump(path)
    use_btf(prog)
    found = list(unreadable_in(take_snapshot(prog)))
    assert [what for what, _ in found] == [what for what, _ in missing]
    report = json.loads(_of(path))
    assert len(report["devices"]) == len(one_zoo.report()["devices"])


def test_nothing_is_left_behind(one_zoo: Dump, tmp_path: Path) -> None:
    """A slice is written in whole or not at all."""
    target = ("-c", one_zoo.vmcore, *NO_SYMBOLS)
    done = drgn(*target, SLICE_SCRIPT, "/nosuch/slice.core")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "cannot write /nosuch/slice.core" in line
    kept = tmp_path / "slice.core"
    kept.write_text("kept")
    done = drgn(*target, SLICE_SCRIPT, kept, "--force", "--system-map", "/nosuch/map")
    assert done.returncode == 2
    assert kept.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [kept]
