# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input: one clear line, DESIGN.md's exit status, no traceback, no half file."""

import os
from pathlib import Path
import shutil
import struct
import subprocess
import sys
from typing import Any, List

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = REPOSITORY / "scripts" / "veth_report.py"


def run(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    prefix: List[str] = kwargs.pop("prefix", [])
    return subprocess.run(
        [*prefix, sys.executable, str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        **kwargs,
    )


def one_line(done: "subprocess.CompletedProcess[str]", status: int, text: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("veth_report: ")
    assert text in line


def test_no_such_file() -> None:
    one_line(run("-c", "/nosuch/vmcore"), 3, "No such file")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n" * 100, b"\x7fELF", b"\x7fELF" + bytes(60), bytes(1 << 16)],
    ids=["empty", "text", "magic", "zero-header", "zeros"],
)
def test_not_a_core(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(content)
    one_line(run("-c", path), 3, str(path))


def test_a_program_is_not_a_core() -> None:
    one_line(run("-c", sys.executable), 3, "complete kernel crash dump")


def test_a_folder_is_not_a_core(tmp_path: Path) -> None:
    one_line(run("-c", tmp_path), 3, str(tmp_path))


@pytest.mark.parametrize("size", [16, 300, 430, 4096, 50000])
def test_truncated_kdump(tmp_path: Path, size: int) -> None:
    path = tmp_path / "vmcore"
    header = struct.pack("<8s4x390x6x16x4xiiI", b"KDUMP   ", 4096, 2, 16)
    path.write_bytes(header.ljust(1 << 16, b"\0")[:size])
    one_line(run("-c", path), 3, "copy the whole dump again")


def user_core(path: Path) -> None:
    """Write the core of a process: notes as the kernel has them, and a page."""

    def note_of(kind: int, data: bytes) -> bytes:
        return struct.pack("<III8s", 5, len(data), kind, b"CORE\0\0\0\0") + data

    NT_PRSTATUS, NT_AUXV, NT_FILE = 1, 6, 0x46494C45
    note = note_of(NT_PRSTATUS, bytes(336)) + note_of(NT_AUXV, bytes(16))
    note += note_of(NT_FILE, struct.pack("<QQ", 0, 4096))
    offset = 64 + 2 * 56
    header = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0),
        *(4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0),
    )
    notes = struct.pack("<IIQQQQQQ", 4, 4, offset, 0, 0, len(note), 0, 4)
    place = offset + len(note)
    load = struct.pack("<IIQQQQQQ", 1, 6, place, 0x400000, 0, 4096, 4096, 1)
    path.write_bytes(header + notes + load + note + bytes(4096))


def test_core_of_a_process(tmp_path: Path) -> None:
    path = tmp_path / "core"
    user_core(path)
    one_line(run("-c", path), 3, "not a Linux kernel but a user process")
    # The same by drgn's own command line.
    done = subprocess.run(
        [sys.executable, "-m", "drgn", "-q", "-c", str(path), str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    one_line(done, 3, "not a Linux kernel but a user process")


def test_no_rights_to_kcore() -> None:
    prefix = []
    if os.geteuid() == 0:
        # Root without CAP_SYS_RAWIO, which /proc/kcore asks for.
        setpriv = shutil.which("setpriv")
        assert setpriv, "setpriv is in util-linux, which is essential"
        drop = ("--bounding-set=-sys_rawio", "--inh-caps=-sys_rawio")
        prefix = [setpriv, *drop]
    done = run(prefix=prefix)
    one_line(done, 3, "the running kernel")
    assert "root (sudo)" in done.stderr


def test_qemu_socket_that_is_not_there() -> None:
    done = run("--qemu", "/nosuch/qmp")
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "args", [["--nosuch"], ["--kind"], ["--format", "xml"], ["extra"]]
)
def test_wrong_options(args: List[str]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help() -> None:
    done = run("-h")
    assert done.returncode == 0
    for word in ("--netns", "--format", "examples:", "exit status:"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88
