# SPDX-License-Identifier: LGPL-2.1-or-later
"""drgn-veth fleet without its workers: options, files, what is said at the end."""

from collections import Counter
from collections.abc import Sequence
import importlib.util
import json
import os
from pathlib import Path
from typing import Any, Optional

from drgn import Program
from drgn_veth.faces import fleet, fleet_reader
from drgn_veth.faces.status import TargetError, UsageError
from drgn_veth.fleet.dumps import Dump, dumps_in
from drgn_veth.fleet.folder import Folder
from drgn_veth.fleet.reader import Limits
from drgn_veth.fleet.results import write_file
from drgn_veth.fleet.told import (
    CRASHED,
    MEMORY,
    NO_DUMP,
    READ,
    TIMEOUT,
    UNREADABLE,
    Told,
)
from drgn_veth.fleet.writing import JSONL, PARQUET
import pytest

from tests.support.recorded import smallest_core

#: What every kdump begins with.
DUMP = b"KDUMP   " + bytes(4096)
LIMITS = Limits(60.0, 4096)


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Packages that are not installed; to be changed."""
    lacking: set[str] = set()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in lacking else name
    )
    return lacking


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch, packages: set[str]) -> list[Any]:
    """The jobs that workers were given: each of these dumps is read."""
    given: list[Any] = []

    def run(args: Any, folder: Any, jobs: Any, counts: "Counter[str]") -> None:
        given.extend(jobs)
        counts.update([READ] * len(jobs))

    monkeypatch.setattr(fleet, "_run", run)
    return given


def _dumps(folder: Path, *names: str) -> Path:
    there = folder / "crash"
    there.mkdir(exist_ok=True)
    for name in names:
        (there / name).write_bytes(DUMP)
    return there


def _main(*argv: object) -> int:
    return fleet.main(None, [*map(os.fspath, argv), "--format", "jsonl"])  # type: ignore[arg-type]


def _parsed(*argv: str) -> Any:
    return fleet.parser().parse_args(["x", "--output", "y", *argv])


@pytest.mark.parametrize("option", ["workers", "memory"])
def test_numbers(option: str) -> None:
    for number in (1, (1 << 31) - 1):
        assert getattr(_parsed(f"--{option}={number}"), option) == number
    for text in ("0", "-1", str(1 << 31), "\N{SUPERSCRIPT TWO}", "1.5", "x", ""):
        with pytest.raises(UsageError, match=f"{text!r} is not a number above 0"):
            _parsed(f"--{option}={text}")


def test_seconds() -> None:
    for text in ("0.001", "1", "86400"):
        assert _parsed("--timeout", text).timeout == float(text)
    for text in ("0", "-1", "86400.1", "86401", "nan", "inf", "x"):
        with pytest.raises(UsageError, match="is not a number of seconds up to 86400"):
            _parsed(f"--timeout={text}")


def test_what_is_not_given() -> None:
    args = _parsed()
    assert (args.timeout, args.memory, args.format) == (600.0, 2048, PARQUET)
    assert (args.workers, args.scheduler, args.again) == (None, None, False)


@pytest.mark.parametrize(
    ("lacking", "options", "said"),
    [
        ("distributed", [], "distributed"),
        ("pyarrow", [], "pyarrow"),
        ("cryptography", [], "cryptography"),
        ("distributed pyarrow", [], "distributed and pyarrow"),
        ("pyarrow", ["--format", "jsonl"], None),
        ("cryptography", ["--scheduler", "tcp://head:8786"], None),
    ],
)
def test_packages_that_are_not_there(
    lacking: str, options: list[str], said: Optional[str], packages: set[str]
) -> None:
    packages.update(lacking.split())
    argv = ["/does/not/exist", "--output", "/does/not/exist/either", *options]
    with pytest.raises(UsageError) as raised:
        fleet.main(None, argv)
    assert ("pip install" in str(raised.value)) == (said is not None)
    if said is not None:
        assert str(raised.value) == (
            f"fleet needs {said}: pip install 'drgn-veth[fleet]'"
        )


def test_an_open_dump_is_none_of_these(jobs: list[Any], tmp_path: Path) -> None:
    there = os.fspath(_dumps(tmp_path, "a"))
    with pytest.raises(UsageError, match="this opens the dumps itself"):
        fleet.main(Program(), [there, "--output", os.fspath(tmp_path / "out")])


def test_a_run(
    jobs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, out = _dumps(tmp_path, "a", "b"), tmp_path / "out"
    assert _main(there, "--output", out, "--timeout", "5", "--memory", "9") == 0
    assert [Path(job.dump.path).name for job in jobs] == ["a", "b"]
    assert {job.limits for job in jobs} == {Limits(5.0, 9)}
    said = capsys.readouterr()
    assert said.out == f"2 files: 2 read; results: {out}\n"
    assert said.err == ""


def test_a_run_that_goes_on(
    jobs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is done is counted, and read again only if it failed and that is wanted."""
    there, out = _dumps(tmp_path, "a", "b"), tmp_path / "out"
    assert _main(there, "--output", out) == 0
    folder = Folder(os.fspath(out), JSONL)
    for job, status in zip(list(jobs), (READ, TIMEOUT)):
        write_file(folder, job.dump, Told(status, "why"))
    capsys.readouterr()
    for options, left, said in (
        ((), [], "2 files: 2 done before;"),
        (("--again",), ["b"], "2 files: 1 read, 1 done before;"),
    ):
        jobs.clear()
        assert _main(there, "--output", out, *options) == 0
        assert [Path(job.dump.path).name for job in jobs] == left
        assert capsys.readouterr().out.startswith(said)


def test_no_dump_is_there(jobs: list[Any], tmp_path: Path) -> None:
    there = tmp_path / "crash"
    there.mkdir()
    for name, said in (
        (None, f"{there}: no file is there; expected kernel crash dumps"),
        ("a", f"{there}: none of 1 file is a kernel crash dump"),
        ("b", f"{there}: none of 2 files is a kernel crash dump"),
    ):
        if name is not None:
            (there / name).write_text("text\n")
        with pytest.raises(TargetError) as raised:
            _main(there, "--output", tmp_path / "out")
        assert str(raised.value) == said
    assert not (tmp_path / "out").exists() and not jobs
    # One that is a dump is enough.
    _dumps(tmp_path, "c")
    assert _main(there, "--output", tmp_path / "out") == 0
    assert len(jobs) == 3


@pytest.mark.parametrize("number", [1, 10, 11, 12])
def test_files_that_cannot_be_read(
    number: int,
    jobs: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten have a line each, the others are counted."""
    there = _dumps(tmp_path, "a")

    def some(paths: Sequence[str], output: str, refused: Any) -> list[Dump]:
        for i in range(number):
            refused(PermissionError(13, "Permission denied", f"/root/{i}"))
        return dumps_in(paths, output, refused)

    monkeypatch.setattr(fleet, "dumps_in", some)
    assert _main(there, "--output", tmp_path / "out") == 0
    lines = capsys.readouterr().err.splitlines()
    each = [line for line in lines if "Permission denied: left out" in line]
    assert len(each) == min(number, 10)
    rest = [line for line in lines if "more files and folders left out" in line]
    assert len(lines) == len(each) + len(rest)
    assert [line.split(": ")[-1] for line in rest] == (
        [f"{number - 10} more files and folders left out"] if number > 10 else []
    )


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({READ: 3, NO_DUMP: 2}, None),
        ({READ: 1, CRASHED: 1}, "1 dump could not be read; "),
        ({UNREADABLE: 1, TIMEOUT: 1, MEMORY: 1}, "3 dumps could not be read; "),
    ],
)
def test_where_the_reasons_are(counts: dict[str, int], said: Optional[str]) -> None:
    for format, where in (
        (JSONL, "reason in the first lines of out/reports/* says why"),
        (PARQUET, "reason in out/dumps/*.parquet says why"),
    ):
        advice = fleet._advice(Counter(counts), format, "out")
        assert advice == (None if said is None else f"{said}{where}")


# A process that reads dumps


def _asked(dump: Path, out: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    folder = Folder(os.fspath(out), JSONL)
    (out / "reports").mkdir(parents=True, exist_ok=True)
    status = dump.stat() if dump.exists() else None
    question = Dump(os.fspath(dump), status.st_size if status else 0, 0), folder
    return fleet_reader._answer(json.loads(json.dumps(question)), limits)


def _written(out: Path) -> list[dict[str, Any]]:
    (report,) = (out / "reports").iterdir()
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_a_dump_is_read(tmp_path: Path) -> None:
    answer = _asked(smallest_core().core, tmp_path)
    assert answer["told"].status == READ and answer["told"].reason is None
    assert answer["written"] is True and answer["last"] is False
    first, *others = _written(tmp_path)
    assert first["status"] == READ
    assert sum(one.get("record") == "device" for one in others) == len(
        smallest_core().snapshot.devices
    )


def test_a_file_that_is_no_dump(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("text\n")
    # A process that is too large by now is not asked again.
    assert _asked(text, tmp_path, Limits(60.0, 1))["last"] is True
    answer = _asked(text, tmp_path)
    assert answer["written"] is True and answer["last"] is False
    told = answer["told"]
    assert told.status == NO_DUMP and told.reason.startswith("it is ")
    (line,) = _written(tmp_path)
    assert (line["status"], line["reason"]) == (NO_DUMP, told.reason)


def test_a_dump_that_is_damaged(tmp_path: Path) -> None:
    dump = tmp_path / "vmcore"
    dump.write_bytes(DUMP)
    told = _asked(dump, tmp_path)["told"]
    assert told.status == UNREADABLE
    assert told.reason and not told.reason.startswith(os.fspath(dump))
    (line,) = _written(tmp_path)
    assert (line["status"], line["reason"]) == (UNREADABLE, told.reason)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (OSError(28, "No space left on device"), {"output": "No space left on device"}),
        (OSError("odd"), {"output": "odd"}),
        (OSError(12, "Cannot allocate memory"), None),
        (MemoryError(), None),
    ],
)
def test_results_that_cannot_be_written(
    error: Exception,
    answer: Optional[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk ends the run; results that are too large are those of one dump."""

    def fails(*args: Any) -> None:
        raise error

    monkeypatch.setattr(fleet_reader, "write_file", fails)
    text = tmp_path / "notes.txt"
    text.write_text("text\n")
    found = _asked(text, tmp_path)
    if answer is not None:
        assert found == answer
        return
    assert found["told"].status == MEMORY and found["last"] is True
    assert found["told"].reason == (
        "its results take more than 4096 MB; --memory allows more"
    )


def test_a_dump_that_takes_too_much_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str) -> None:
        raise MemoryError

    monkeypatch.setattr(fleet_reader, "_taken", fails)
    dump = tmp_path / "vmcore"
    dump.write_bytes(DUMP)
    answer = _asked(dump, tmp_path)
    assert answer["told"].status == MEMORY and answer["last"] is True
    assert answer["told"].reason == (
        "it takes more than 4096 MB of memory; --memory allows more"
    )


def test_what_was_printed_of_a_dump() -> None:
    """Each line without the command and the path, which a row in dumps has anyway."""
    text = "drgn-veth fleet: /d: a: b\n/d: c\nd\n"
    assert fleet_reader._lines(text, "/d") == ["a: b", "c", "d"]
