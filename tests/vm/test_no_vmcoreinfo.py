# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine of QEMU's without the device vmcoreinfo: no kernel is needed for that."""

from collections.abc import Iterator
import json
from pathlib import Path
import socket
import subprocess
import time

import pytest

from tests.support.booted import drgn
from tests.support.scripts import SCRIPT, one_line, run

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A QMP socket."""
    path = tmp_path_factory.mktemp("machine") / "qmp"
    argv = ["qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-m", "16"]
    argv += ["-accel", "tcg", "-qmp", f"unix:{path},server=on,wait=off"]
    with subprocess.Popen(argv) as qemu:
        for _ in range(100):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    break
            time.sleep(0.1)
        yield path
        qemu.terminate()


def test_guest_without_vmcoreinfo(machine: Path) -> None:
    for done in (run("--qemu", machine), drgn("--qemu", machine, SCRIPT)):
        one_line(done, 3, "start QEMU with -device vmcoreinfo")
        assert "qemu_fw_cfg" in done.stderr and "user process" not in done.stderr


def dump_guest_memory(machine: Path, path: Path) -> None:
    """As dump-guest-memory -z at the monitor, or virsh dump --format=kdump-zlib."""
    where = {"paging": False, "protocol": f"file:{path}", "format": "kdump-zlib"}
    commands = [("qmp_capabilities", {}), ("dump-guest-memory", where)]
    with socket.socket(socket.AF_UNIX) as monitor, monitor.makefile("rw") as lines:
        monitor.connect(str(machine))
        lines.readline()  # the greeting
        for name, arguments in commands:
            print(
                json.dumps({"execute": name, "arguments": arguments}),
                file=lines,
                flush=True,
            )
            while "event" in (said := json.loads(lines.readline())):
                pass
            assert "return" in said, said


def test_kdump_of_a_guest_without_vmcoreinfo(machine: Path, tmp_path: Path) -> None:
    """QEMU writes it flattened; makedumpfile -R makes it no better."""
    path = tmp_path / "guest"
    dump_guest_memory(machine, path)
    assert path.read_bytes().startswith(b"makedumpfile\0")
    done = run("-c", path)
    one_line(done, 3, "dump-guest-memory NEW (without -z, -l or -s)")
    assert "qemu_fw_cfg" in done.stderr and "makedumpfile -R" not in done.stderr
