# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many dumps, processes that die, and commands that go on where others ended."""

from collections import Counter
from collections.abc import Iterator
import contextlib
import importlib.util
import json
import os
from pathlib import Path
import pty
import re
import signal
import subprocess
import sys
import threading
from typing import Any, Callable

from distributed.scheduler import KilledWorker
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.faces.fleet import main
from drgn_veth.faces.status import run
from drgn_veth.fleet.dumps import dumps_in
from drgn_veth.fleet.folder import Folder
from drgn_veth.fleet.reader import Limits, Reader, ReaderError
from drgn_veth.fleet.run import ClusterError, of_failed
from drgn_veth.fleet.task import Job
from drgn_veth.fleet.told import Told
from drgn_veth.fleet.writing import PARQUET
from drgn_veth.render.jsonl import lines
from drgn_veth_start import called
import pytest

from tests.support import fleet
from tests.support.recorded import recorded_core
from tests.support.scripts import take_signals

pytestmark = pytest.mark.slow

DEVICES = len(recorded_core(fleet.SMALLEST).snapshot.devices)


def each_once(output: Path, count: int) -> None:
    """Nothing is there twice, and nothing is missing."""
    dumps = fleet.rows(output)
    assert len(dumps) == len({row["source"] for row in dumps}) == count
    by_source = Counter(row["source"] for row in fleet.rows(output, "devices"))
    read = {row["source"]: row["devices"] for row in dumps if row["status"] == "read"}
    assert by_source == read
    assert not list(output.glob("*/.*")) and not (output / ".dask").exists()


def statuses(output: Path) -> dict[str, str]:
    return {Path(row["source"]).name: row["status"] for row in fleet.rows(output)}


def parts_in(output: Path) -> int:
    """Return how many dumps are done."""
    return len(list((output / "dumps").glob("[0-9a-f]*-*")))


def stamps(output: Path) -> dict[Path, int]:
    return {part: part.stat().st_mtime_ns for part in output.glob("*/*")}


def test_files_of_all_kinds(tmp_path: Path) -> None:
    """What is no dump is a row that says so; what is done is not done again."""
    given, output = tmp_path / "in", tmp_path / "out"
    (first,) = fleet.copies(given, 1)
    (deep,) = fleet.copies(given / "host" / "2026", 1, "7.3-zoo")
    whole = first.read_bytes()
    (given / "cut.core").write_bytes(whole[: len(whole) // 2])
    (given / "dmesg.txt").write_text("[    0.000000] Linux version\n")
    (given / "empty").write_text("")
    os.mkfifo(given / "fifo")
    done = fleet.fleet(given, "--output", output, "--workers", 1)
    assert done.returncode == 0
    assert done.stdout == (
        f"6 files: 2 read, 3 no-dump, 1 unreadable; results: {output}\n"
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("drgn-veth fleet: 1 dump could not be read; ")
    found = {Path(row["source"]).name: row for row in fleet.rows(output)}
    assert {name: row["status"] for name, row in found.items()} == {
        "0.core": "read",
        "cut.core": "unreadable",
        "dmesg.txt": "no-dump",
        "empty": "no-dump",
        "fifo": "no-dump",
    }
    by_source = {row["source"]: row for row in fleet.rows(output)}
    assert by_source[str(first)]["release"].startswith("5.10.")
    assert by_source[str(deep)]["release"].startswith("7.")
    assert "the file ends after" in found["cut.core"]["reason"]
    assert found["dmesg.txt"]["reason"] == "it is a text file"
    assert found["fifo"]["reason"] == "it is not a file"
    assert by_source[str(first)]["devices"] == DEVICES
    each_once(output, 6)

    before = stamps(output)
    # One that was still being written.
    (given / "cut.core").write_bytes(whole)
    (given / "new.core").write_bytes(whole)
    more = fleet.fleet(given, "--output", output, "--workers", 1)
    assert more.stdout == f"7 files: 2 read, 5 done before; results: {output}\n"
    each_once(output, 7)
    assert statuses(output)["cut.core"] == "read"
    # All others were left alone.
    now = stamps(output)
    kept = [part for part in before if before[part] == now.get(part)]
    assert len(before) - len(kept) == 1


def test_lines_of_json(tmp_path: Path) -> None:
    given, output = tmp_path / "in", tmp_path / "out"
    (core,) = fleet.copies(given, 1)
    (given / "text").write_text("text\n")
    args = (given, "--output", output, "--format", "jsonl", "--workers", 1)
    done = fleet.fleet(*args)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"2 files: 1 read, 1 no-dump; results: {output}\n"
    parts = [
        part.read_text().splitlines() for part in (output / "reports").glob("*.jsonl")
    ]
    found = {json.loads(first)["status"]: records for first, *records in parts}
    assert found["no-dump"] == []
    snapshot = recorded_core(fleet.SMALLEST).snapshot
    target = snapshot.target._replace(path=core.name)
    snapshot = snapshot._replace(target=target)
    expected = list(lines(snapshot, list(diagnose(snapshot)), str(core)))
    assert [f"{line}\n" for line in found["read"]] == expected


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[..., tuple[Told, Reader]]]:
    """Return a function that lets a process read a dump."""
    (core,) = fleet.copies(tmp_path / "in", 1)
    folder = Folder(str(tmp_path / "out"), PARQUET)
    started: list[Reader] = []

    def read(seconds: float, megabytes: int, while_it_runs: int = 0) -> Any:
        argv = (sys.executable, "-m", "drgn_veth.faces.fleet_reader")
        reader = Reader(argv, Limits(seconds, megabytes))
        started.append(reader)
        (dump,) = dumps_in([str(core)], folder.path, print)
        if while_it_runs:
            # It waits for no signal before it has the question.
            reader._started()
            pid = fleet.readers(os.getpid())[-1]
            os.kill(pid, signal.SIGSTOP)
            # Of two signals, it would take the other first.
            fleet.until(
                lambda: "T (stopped)" in Path(f"/proc/{pid}/status").read_text()
            )
            if while_it_runs != signal.SIGSTOP:
                os.kill(pid, while_it_runs)
                threading.Timer(1, os.kill, (pid, signal.SIGCONT)).start()
        return Told(*reader.ask([dump, folder])["told"]), reader

    with folder.opened():
        yield read
    for one in started:
        one.stop()


def test_limits(ask: Callable[..., tuple[Told, Reader]]) -> None:
    told, reader = ask(60, 8)
    # As it is read, or when its results are written; a library may not look whether it
    # got memory.
    assert told.status in ("memory", "crashed")
    assert re.fullmatch(
        "it takes more than 8 MB of memory; --memory allows more"
        "|its results take more than 8 MB; --memory allows more"
        "|the process that read it died: (SIGSEGV|SIGABRT|exit status 1), perhaps for "
        "lack of memory; --memory allows more than 8 MB",
        told.reason or "",
    )
    # Its memory may be in pieces: the next dump has a new process.
    assert not fleet.readers(os.getpid())
    told, _ = ask(0.001, 2048)
    assert told.status == "timeout"
    assert told.reason == "it was not read within 0.001 s; --timeout allows more"


def test_a_process_that_dies_or_hangs(ask: Callable[..., tuple[Told, Reader]]) -> None:
    """libkdumpfile dies so of a file that shrinks."""
    told, reader = ask(60, 2048, signal.SIGBUS)
    assert told.status == "crashed"
    assert told.reason == "the process that read it died: SIGBUS"
    told, reader = ask(1, 2048, signal.SIGSTOP)
    assert told.status == "timeout" and 1 <= told.seconds < 30
    assert not fleet.readers(os.getpid())


def test_a_worker_that_dies(tmp_path: Path) -> None:
    """Nothing is lost, and no dump is blamed."""
    given, output = tmp_path / "in", tmp_path / "out"
    fleet.copies(given, 12)
    argv = fleet.command(given, "--output", output, "--workers", 1)
    with fleet.started(argv) as process:
        fleet.until(lambda: parts_in(output) >= 2, process=process)
        one = fleet.until(lambda: fleet.readers(process.pid), process=process)[0]
        parent = int(Path(f"/proc/{one}/stat").read_text().rsplit(")")[-1].split()[1])
        assert parent != process.pid
        os.kill(parent, signal.SIGKILL)
        out, err = process.communicate(timeout=fleet.LONGEST)
    assert (process.returncode, err) == (0, "")
    assert out == f"12 files: 12 read; results: {output}\n"
    each_once(output, 12)
    fleet.until(lambda: not Path(f"/proc/{one}").exists())


def test_a_dump_that_each_worker_dies_of(tmp_path: Path) -> None:
    """Dask gives up after some tries: that is the dump's row."""
    (core,) = fleet.copies(tmp_path / "in", 1)
    folder = Folder(str(tmp_path / "out"), PARQUET)
    (dump,) = dumps_in([str(core)], folder.path, print)
    job = Job(dump, folder, Limits(1, 1), "none")
    with folder.opened():
        last: Any = "a worker"
        told = of_failed(job, KilledWorker("task", last, 3))
        assert told.status == "crashed"
        (row,) = fleet.rows(tmp_path / "out")
        assert (row["source"], row["status"]) == (str(core), "crashed")
        # What is no dump's fault ends the command.
        for error in (ReaderError("no"), ModuleNotFoundError("no drgn_veth")):
            with pytest.raises(ClusterError, match="a worker cannot read: no"):
                of_failed(job, error)


def test_ctrl_c_at_a_terminal(tmp_path: Path) -> None:
    """Exit status 130, nothing but Dask's bar is printed, nobody is left."""
    given, output = tmp_path / "in", tmp_path / "out"
    fleet.copies(given, 12)
    pid, terminal = pty.fork()
    if not pid:
        try:
            take_signals()
            os.execve(
                sys.executable,
                fleet.command(given, "--output", output, "--workers", 2),
                fleet.ENVIRONMENT,
            )
        finally:
            os._exit(99)
    fleet.until(lambda: parts_in(output) >= 2)
    below = fleet.children(pid)
    assert len(below) >= 4
    os.write(terminal, b"\x03")
    shown = b""
    with contextlib.suppress(OSError):
        while True:
            part = os.read(terminal, 4096)
            if not part:
                break
            shown += part
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == 130
    # The bar may end in the middle of a word.
    words = set(re.findall("[A-Za-z]{3,}", shown.decode()))
    assert "Completed" in words and all(map("Completed".startswith, words)), shown
    fleet.until(lambda: not any(Path(f"/proc/{one}").exists() for one in below))

    done = fleet.fleet(given, "--output", output, "--workers", 2)
    assert done.returncode == 0 and " done before" in done.stdout
    each_once(output, 12)


def _dask(*args: object, folder: Path) -> Any:
    argv = [sys.executable, "-m", "distributed.cli.dask_" + str(args[0])]
    argv += [str(arg) for arg in args[1:]]
    return fleet.started(
        argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_a_scheduler_that_is_there(tmp_path: Path) -> None:
    """Two workers, of which one dies; then the scheduler does."""
    given, output = tmp_path / "in", tmp_path / "out"
    fleet.copies(given, 8)
    about = tmp_path / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", 0, "--no-dashboard")
    of_worker = ("--scheduler-file", about, "--no-dashboard", "--nthreads", 1)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        scheduler = enter(
            _dask("scheduler", *options, "--scheduler-file", about, folder=tmp_path)
        )
        address = fleet.until(
            # Dask makes the file before it writes into it.
            lambda: (
                about.exists()
                and about.read_text()
                and json.loads(about.read_text())["address"]
            )
        )
        argv = fleet.command(given, "--output", output, "--scheduler", address)
        with fleet.started(argv) as process:
            assert process.stderr is not None
            waiting = f"drgn-veth fleet: {address} has no workers yet; waiting for them"
            assert process.stderr.readline() == f"{waiting}\n"
            workers = [
                enter(_dask("worker", *of_worker, "--no-nanny", folder=tmp_path))
                for _ in range(2)
            ]
            fleet.until(lambda: parts_in(output) >= 3, process=process)
            workers[0].kill()
            out, err = process.communicate(timeout=fleet.LONGEST)
        assert (process.returncode, err) == (0, "")
        assert out == f"8 files: 8 read; results: {output}\n"
        each_once(output, 8)

        other = tmp_path / "other"
        with fleet.started([*argv[:-3], str(other), *argv[-2:]]) as process:
            fleet.until(lambda: parts_in(other) >= 2, process=process)
            scheduler.kill()
            out, err = process.communicate(timeout=fleet.LONGEST)
        assert (process.returncode, out) == (3, "")
        assert err == (
            "drgn-veth fleet: the scheduler of Dask is gone; the same command goes on "
            "from here\n"
        )


_FULL = r"""
disk=$1 in=$2 copies=$3; shift 3
mount -t tmpfs -o size=400k tmpfs "$disk" || exit
"$@" "$in" --output "$disk/out" --workers 1; echo "status $?"
cp -r "$disk/out" "$copies/first"
mount -o remount,size=64m "$disk"
"$@" "$in" --output "$disk/out" --workers 1; echo "status $?"
cp -r "$disk/out" "$copies/second"
"""


def test_full_disk(tmp_path: Path) -> None:
    given, disk = tmp_path / "in", tmp_path / "disk"
    disk.mkdir()
    fleet.copies(given, 10)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", _FULL, "sh"]
        + [str(disk), str(given), str(tmp_path), *fleet.command()],
        capture_output=True,
        text=True,
        timeout=240,
        env=fleet.ENVIRONMENT,
    )
    assert done.stderr == (
        f"drgn-veth fleet: {disk}/out: No space left on device; what is written is "
        "complete, and the same command resumes\n"
    )
    first, last, second = done.stdout.splitlines()
    assert (first, second) == ("status 2", "status 0")
    assert last.startswith("10 files: ") and " done before" in last
    # All that is there can be read, and more than nothing is there.
    found = fleet.rows(tmp_path / "first", "devices")
    assert 0 < len(fleet.rows(tmp_path / "first")) < 10 and found
    each_once(tmp_path / "second", 10)


class Here:
    """The command within this process."""

    def __init__(self, capsys: "pytest.CaptureFixture[str]") -> None:
        self._capsys = capsys

    def fails(self, status: int, said: str, *args: object) -> None:
        called("drgn-veth fleet")
        argv = [str(arg) for arg in args]
        assert run(lambda prog: main(prog, argv), None) == status
        out, err = self._capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("drgn-veth fleet: ")
        assert said in line


@pytest.fixture
def here(capsys: "pytest.CaptureFixture[str]") -> Here:
    return Here(capsys)


def test_bad_input(tmp_path: Path, here: Here) -> None:
    given, output = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    to = ("--output", output)
    here.fails(3, "no file is there", given, *to)
    (given / "a.txt").write_text("a")
    here.fails(3, "none of 1 file is a kernel crash dump", given, *to)
    here.fails(2, "No such file", tmp_path / "x", *to)
    here.fails(2, "--output", given)
    (core,) = fleet.copies(given, 1)
    here.fails(2, "is in the output folder", given, "--output", given)
    here.fails(2, "is in the output folder", core, "--output", core)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").write_text("")
    here.fails(2, "not empty", core, "--output", tmp_path / "home")
    for option in (
        *("--workers=0", "--workers=x", "--timeout=0", "--timeout=nan"),
        *("--memory=-1", "--format=csv"),
    ):
        here.fails(2, option.partition("=")[0], core, *to, option)
    two = ("--workers=1", "--scheduler=tcp://127.0.0.1:1")
    here.fails(2, "not allowed with", core, *to, *two)
    assert core.read_bytes() == recorded_core(fleet.SMALLEST).core.read_bytes()
    assert not output.exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "x://y:1", ""])
def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, here: Here, address: str
) -> None:
    fleet.copies(tmp_path / "in", 1)
    args = (tmp_path / "in", "--output", tmp_path / "out", "--scheduler", address)
    here.fails(3, "no scheduler of Dask answers at", *args)


@pytest.mark.parametrize("module", ["distributed", "pyarrow", "cryptography"])
def test_packages_that_are_not_installed(
    tmp_path: Path, here: Here, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    said = f"needs {module}: pip install 'drgn-veth[fleet]'"
    here.fails(2, said, tmp_path, "--output", tmp_path / "out")
