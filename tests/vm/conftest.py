# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Kernels that were booted for these tests
----------------------------------------

Each kernel of LAB_KERNELS boots once, has the zoo scene set, and is looked at in
four ways before and after it panics. Two boot at a time.
"""

import base64
import collections
import concurrent.futures
import gzip
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Callable, Counter, Dict, Iterator, List, Sequence

import pytest

import lab
from lab import vmcore
import oracle

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = REPOSITORY / "scripts" / "veth_report.py"
KERNELS = os.environ.get("LAB_KERNELS", "5.10 6.1 6.12 7").split()
SOURCES = ("kdump", "elf", "qemu", "kcore")

_JOBS = 2
_LIVE = (
    "cd /tmp && python3 -m drgn -q -k -s /kernel/vmlinux -s /kernel/debug/veth.ko.debug "
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


class Dump:
    """A kernel with a scene, and the reports of it from every side."""

    def __init__(self, made: "vmcore.Result") -> None:
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

    def run(
        self, *args: object, **kwargs: Any
    ) -> "subprocess.CompletedProcess[str]":
        return drgn("-c", self.vmcore, *self.symbols, SCRIPT, *args, **kwargs)


def _symbols(guest: "lab.guest.Guest") -> Sequence[object]:
    debug = guest.kernel.debug_modules["veth"]
    return ("-s", guest.kernel.vmlinux, "-s", debug)


def _report(target: Sequence[object], folder: Path, source: str) -> None:
    path = folder / f"report.{source}.json"
    done = drgn(*target, SCRIPT, "--format", "json", "--output", path)
    assert done.returncode == 0, f"{source}: {done.stderr}"


def look_at_guest(guest: "lab.guest.Guest", folder: Path) -> None:
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
    made = vmcore.make(kernel, scene, out_dir=out_dir, force=True, **kwargs)
    dump = Dump(made)
    _report(("-c", dump.vmcore, *dump.symbols), made.folder, "kdump")
    return dump


class _Booted:
    # Dumps that are being made, by kernel and scene.
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = concurrent.futures.ThreadPoolExecutor(_JOBS)
        self._dumps: Dict[Any, "concurrent.futures.Future[Dump]"] = {}

    def start(self, kernel: str, scene: str, **kwargs: Any) -> None:
        folder = self._folder / f"{kernel}-{scene}"
        self._dumps[kernel, scene] = self._pool.submit(
            make_dump, kernel, scene, folder, **kwargs
        )

    def get(self, kernel: str, scene: str) -> Dump:
        return self._dumps[kernel, scene].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Booted]:
    all_dumps = _Booted(tmp_path_factory.mktemp("dumps"))
    for kernel in KERNELS:
        all_dumps.start(kernel, "zoo", hooks=[look_at_guest])
    for kernel in KERNELS:
        all_dumps.start(kernel, "dying")
    yield all_dumps
    all_dumps.close()


@pytest.fixture(scope="session", params=KERNELS)
def zoo(request: pytest.FixtureRequest, booted: _Booted) -> Dump:
    return booted.get(request.param, "zoo")


@pytest.fixture(scope="session", params=KERNELS)
def dying(request: pytest.FixtureRequest, booted: _Booted) -> Dump:
    return booted.get(request.param, "dying")


@pytest.fixture(scope="session", params=KERNELS[-1:])
def one_zoo(request: pytest.FixtureRequest, booted: _Booted) -> Dump:
    """One kernel, for what does not depend on it."""
    return booted.get(request.param, "zoo")


@pytest.fixture(scope="session")
def drgn_python() -> Callable[[str], str]:
    """Give a Python that has some version of drgn, and the project's needs."""

    def python(version: str) -> str:
        folder = lab.cache_dir() / "venvs" / f"drgn-{version}"
        path = folder / "bin" / "python"
        probe = [str(path), "-c", "import drgn, tabulate"]
        if not path.exists() or subprocess.run(probe).returncode:
            subprocess.run(
                [sys.executable, "-m", "venv", "--clear", str(folder)], check=True
            )
            subprocess.run(
                [str(path), "-m", "pip", "install", "-q", f"drgn=={version}", "tabulate"],
                check=True,
            )
        return str(path)

    return python


Tally = Dict[str, "oracle.Comparison"]
_tallies = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Where comparisons are put, to be told at the end of the run."""
    return pytestconfig.stash.setdefault(_tallies, {})


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("vm")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    comparisons = config.stash.get(_tallies, {})
    if not comparisons:
        return
    terminalreporter.section("values compared with the guest's own tools")
    alone: Counter[str] = collections.Counter()
    total = 0
    for name, comparison in comparisons.items():
        count = sum(comparison.compared.values())
        total += count
        alone.update(comparison.alone)
        by_source = ", ".join(f"{s} {n}" for s, n in sorted(comparison.compared.items()))
        terminalreporter.line(
            f"{name}: {count} ({by_source}), {len(comparison.differences)} differences"
        )
    terminalreporter.line(f"in all: {total}")
    terminalreporter.line("with no second source:")
    for kind, count in sorted(alone.items()):
        why = oracle.NO_SECOND_SOURCE.get(kind, "UNEXPECTED")
        terminalreporter.line(f"  {kind} ({count}): {why}")
