# SPDX-License-Identifier: LGPL-2.1-or-later
"""Targets that cannot be opened, or only in part: one line says why."""

import argparse
import bz2
import gzip
import json
import lzma
import os
from pathlib import Path
import struct
import time
import tracemalloc
from typing import Any

from drgn import Program
from drgn_veth.btf import BtfUse
from drgn_veth.dump.kdump import how_to_unpack, missing_from_elf, missing_from_kdump
from drgn_veth.faces import opening, status
import pytest

from tests.support.recorded import first_core
from tests.support.scripts import (
    SCRIPT,
    one_line,
    python,
    run,
    user_core,
)
from tests.support.slow import slow_but


@pytest.fixture(scope="module")
def core() -> Path:
    return first_core("6.12").core


@pytest.mark.usefixtures("drgn_log_level")
def test_what_is_missing_of_the_running_kernel(monkeypatch: Any) -> None:
    def absent(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/kcore")

    monkeypatch.setattr(opening, "_set_target", absent)
    options = argparse.Namespace(core=None, qemu=None, symbols=[], vmcoreinfo=None)
    with pytest.raises(status.TargetError, match="/proc/kcore: No such file"):
        opening.open_target(None, options)


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (lzma.compress(b"core"), "xz -d it first"),
        (gzip.compress(b"core"), "gzip -d it first"),
        (bz2.compress(b"core"), "bzip2 -d it first"),
        (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd -d it first"),
        (b"makedumpfile\0" + bytes(60) + b"\xff" * 16, "makedumpfile -R"),
    ],
    ids=["xz", "gzip", "bzip2", "zstd", "flattened"],
)
def test_packed_core(tmp_path: Path, packed: bytes, what: str) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(packed)
    assert what in (how_to_unpack(str(path)) or "")
    one_line(run("-c", path), 3, what)


@pytest.mark.parametrize("size", slow_but([63], [5, 63, 500, 20_000, 100_000, 400_000]))
def test_truncated_elf(core: Path, tmp_path: Path, size: int) -> None:
    """Nothing can be read: the one line says why, by either way to start."""
    path = tmp_path / "vmcore"
    path.write_bytes(core.read_bytes()[:size])
    one_line(run("-c", path), 3, f"after {size} bytes")
    if size == 400_000:  # Behind the program headers: drgn opens it.
        done = python("-m", "drgn", "-q", "-c", path, SCRIPT)
        (line,) = [x for x in done.stderr.splitlines() if "veth_report" in x]
        assert done.returncode == 3
        assert "copy the whole dump again" in line


@pytest.mark.slow
def test_elf_with_its_end_missing(core: Path, tmp_path: Path) -> None:
    """Most can be read: a report, and a line that says that the dump is truncated."""
    path = tmp_path / "vmcore"
    path.write_bytes(core.read_bytes()[:-1])
    done = run("-c", path, "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["devices"]
    assert "copy the whole dump again" in done.stderr.splitlines()[0]
    assert missing_from_elf(str(core)) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_elf_of_either_order(tmp_path: Path, order: str) -> None:
    path = tmp_path / "core"
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02")
    header = struct.pack(
        f"{order}16sHHIQQQIHHHHHH", ident, 4, 22, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    load = struct.pack(f"{order}IIQQQQQQ", 1, 4, 120, 0, 0, 8, 8, 1)
    path.write_bytes(header + load + bytes(8))
    assert missing_from_elf(str(path)) is None
    path.write_bytes(header + load + bytes(7))
    said = missing_from_elf(str(path))
    assert said is not None and "segments need 128" in said


def test_user_core_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "core"
    user_core(path)
    assert missing_from_elf(str(path)) is None


@pytest.mark.slow
def test_kdump_of_a_large_machine(tmp_path: Path) -> None:
    """4 TB, of which every sixteenth page was dumped."""
    path = tmp_path / "vmcore"
    half = (4 << 40) // 4096 // 8
    blocks = 2 * half // 4096
    start = 2 * 4096
    pages = half // 2
    whole = start + 2 * half + pages * 24
    with open(path, "wb") as f:
        f.write(struct.pack("<8s4x390x6x16x4xiiI", b"KDUMP   ", 4096, 1, blocks))
        f.seek(start + half)
        for _ in range(half >> 20):
            f.write(b"\x01\x00" * (1 << 19))
        f.truncate(whole)
    tracemalloc.start()
    try:
        assert missing_from_kdump(str(path)) is None
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    before = time.process_time()
    assert missing_from_kdump(str(path)) is None
    assert time.process_time() - before < 5
    os.truncate(path, whole - 1)
    assert missing_from_kdump(str(path))


def test_no_types_and_no_reason(monkeypatch: Any) -> None:
    """drgn's own BTF finder does not say what is missing."""
    monkeypatch.setattr(opening, "use_btf", lambda *_: BtfUse("", None))
    with pytest.raises(
        status.TargetError, match="^the types of the kernel are missing"
    ):
        opening._get_types(Program(), None)
