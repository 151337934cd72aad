# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input: one clear line, DESIGN.md's exit status, no traceback, no half file."""

import os
from pathlib import Path
import shutil
import struct
import sys

import pytest

from tests.support.scripts import SCRIPT, one_line, run, user_core
from tests.support.warm import run_warm


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


def test_core_of_a_process(tmp_path: Path) -> None:
    path = tmp_path / "core"
    user_core(path)
    one_line(run("-c", path), 3, "not a Linux kernel but a user process")
    # The same by drgn's own command line.
    done = run_warm("-m", "drgn", "-q", "-c", path, SCRIPT)
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
    "args, said",
    [
        (["--colour", "never"], "unrecognized arguments: --colour; did you mean"),
        (["--nosuch"], "unrecognized arguments: --nosuch; veth_report.py -h lists"),
        (["--xdp"], "--xdp; did you mean drgn-veth xdp?"),
        (["-j"], "-j; here it is --format json"),
        (["-n", "pod1"], "-n; here it is --netns NETNS"),
        (["-d", "veth0"], "-d; name the device, without an option"),
        (["--then", "mtu 9000"], "; for that, xdp_attach.py --then"),
        (["--kind"], "--kind: expected one argument; veth_report.py -h lists"),
        (["--format", "xml"], "(choose from 'table', 'json'"),
        (["--rule", "nosuch"], "no rule is called 'nosuch'"),
        (["-c", "a", "--core", "b"], "give one --core, a or b"),
        (["--qemu", "a", "--qemu=b"], "give one --qemu, a or b"),
    ],
)
def test_wrong_options(args: list[str], said: str) -> None:
    one_line(run(*args), 2, said)


def test_help() -> None:
    done = run("-h")
    assert done.returncode == 0
    for word in ("--netns", "--format", "examples:", "exit status:"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88
