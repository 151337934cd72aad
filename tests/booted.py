# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel with a scene, and the reports of it from every side."""

import base64
import gzip
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Dict, List, Sequence

import lab
import oracle

__all__ = (
    "KERNELS",
    "REPOSITORY",
    "SCRIPT",
    "SOURCES",
    "Dump",
    "Tally",
    "drgn",
    "look_at_guest",
    "make_dump",
    "run_alone",
)

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "scripts" / "veth_report.py"
KERNELS = os.environ.get("LAB_KERNELS", "5.10 6.1 6.12 7").split()
SOURCES = ("kdump", "elf", "qemu", "kcore")

_LIVE = (
    "cd /tmp && python3 -m drgn -q -k -s /kernel/vmlinux "
    "-s /kernel/debug/veth.ko.debug "
    "/lab/repo/drgn_scripts/veth_report.py --format json --output /tmp/live.json && "
    "python3 -c 'import base64, gzip; print(base64.b64encode(gzip.compress("
    'open("/tmp/live.json", "rb").read())).decode())\''
)


def drgn(
    *args: object, cwd: object = "/", python: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    """Run drgn's command line as a user would."""
    return subprocess.run(
        [python, "-m", "drgn", "-q", *map(str, args)],
        cwd=str(cwd),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_alone(*args: object) -> "subprocess.CompletedProcess[str]":
    """Run the script by python3, without drgn's command line."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
    )


class Dump:
    """A kernel with a scene, and the reports of it from every side."""

    def __init__(self, made: lab.Result) -> None:
        self.made = made
        self.vmcore = made.vmcore
        self.vmlinux = made.kernel.vmlinux
        self.veth = made.kernel.debug_modules["veth"]
        self.truth: Dict[str, Any] = json.loads(made.truth.read_text())

    @property
    def symbols(self) -> List[object]:
        return ["-s", self.vmlinux, "-s", self.veth]

    def report_text(self, source: str) -> str:
        return (self.made.folder / f"report.{source}.json").read_text()

    def report(self, source: str = "kdump") -> Dict[str, Any]:
        report: Dict[str, Any] = json.loads(self.report_text(source))
        return report

    def run(self, *args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        return drgn("-c", self.vmcore, *self.symbols, SCRIPT, *args, **kwargs)


def _symbols(guest: lab.Guest) -> Sequence[object]:
    debug = guest.kernel.debug_modules["veth"]
    return ("-s", guest.kernel.vmlinux, "-s", debug)


def _report(target: Sequence[object], folder: Path, source: str) -> None:
    path = folder / f"report.{source}.json"
    done = drgn(*target, SCRIPT, "--format", "json", "--output", path)
    assert done.returncode == 0, f"{source}: {done.stderr}"


def look_at_guest(guest: lab.Guest, folder: Path) -> None:
    """Make the reports that need the guest alive (a hook of the lab)."""
    _report(("--qemu", guest.qmp_socket, *_symbols(guest)), folder, "qemu")
    dump = folder / "vmcore.elf"
    try:
        guest.qmp_dump_elf(dump)
        _report(("-c", dump, *_symbols(guest)), folder, "elf")
    finally:
        # As large as the guest's memory.
        dump.unlink()
    encoded = guest.run(_LIVE, timeout=300).strip().splitlines()[-1]
    live = gzip.decompress(base64.b64decode(encoded))
    (folder / "report.kcore.json").write_bytes(live)


def make_dump(kernel: str, scene: str, out_dir: Path, **kwargs: Any) -> Dump:
    """Boot a kernel, set a scene, look, panic."""
    made = lab.make(kernel, scene, out_dir=out_dir, force=True, **kwargs)
    dump = Dump(made)
    _report(("-c", dump.vmcore, *dump.symbols), made.folder, "kdump")
    return dump


#: Comparisons, by what was compared.
Tally = Dict[str, "oracle.Comparison"]
