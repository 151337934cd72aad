# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is printed where, in one line, whatever happens to the streams."""

from collections.abc import Iterator
import os
from pathlib import Path
import resource
import subprocess
import sys
from typing import Any

from drgn_veth.faces import output, status
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import NO_BYTECODE, SCRIPT, one_line, python, run
from tests.support.slow import slow_but


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


def closed(streams: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run the report with streams closed as the shell does it: ``>&-``."""
    return run(*args, prefix=["sh", "-c", f'exec "$@" {streams}', "sh"])


# Standard output


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", [[], ["-u"]], ids=["buffered", "unbuffered"])
def test_output_that_fills_up(core: Path, tmp_path: Path, unbuffered: Any) -> None:
    """The first write is a short one, as on a disk that is almost full."""
    limit = 20_000
    with open(tmp_path / "out", "wb") as out:
        done = python(
            *(*unbuffered, SCRIPT, "-c", core, "--format", "json"),
            stdout=out,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (limit, limit)
            ),
            env={**os.environ, **NO_BYTECODE},
        )
    assert os.path.getsize(tmp_path / "out") == limit
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "truncated" in line


@pytest.mark.slow
def test_unbuffered_output_is_the_same(core: Path) -> None:
    plain = python(SCRIPT, "-c", core)
    unbuffered = python("-u", SCRIPT, "-c", core)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert unbuffered.stdout == plain.stdout


def test_terminal_without_the_letters(monkeypatch: Any, tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        output.write_output("v\xe9th\udcff\n", None)
    assert (tmp_path / "out").read_bytes() == b"v\\xe9th\\udcff\n"


def test_output_is_written_as_it_is_made(monkeypatch: Any, tmp_path: Path) -> None:
    """A report of 10,000 pairs is longer than what one wants in memory."""
    path = tmp_path / "out"

    def parts() -> Iterator[str]:
        for number in range(10):
            yield f"{number}" * 100_000
            assert path.stat().st_size >= number * 100_000

    with open(path, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        output.write_output(parts(), None)
    assert path.stat().st_size == 1_000_000


def test_output_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_output("report\n", None)
    assert capsys.readouterr().out == "report\n"


@pytest.mark.slow
def test_closed_output(core: Path, tmp_path: Path) -> None:
    one_line(closed(">&-", "-c", core), 2, "--output FILE")
    path = tmp_path / "report"
    done = closed(">&-", "-c", core, "--output", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text() == run("-c", core).stdout


# Standard error


@pytest.mark.slow
@pytest.mark.parametrize("args", [["-c", "/nosuch"], ["--nosuch"]], ids=["-c", "usage"])
def test_closed_error(args: list[str]) -> None:
    done = closed("2>&-", *args)
    assert done.returncode in (2, 3)
    assert (done.stdout, done.stderr) == ("", "")


def test_warning_with_closed_error(
    monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    status.warn("hello")
    assert capsys.readouterr().out == ""


def test_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status.warn("veth\n0\x1b[31m\u202e\udcff")
    said = capsys.readouterr().err
    assert said.endswith(": veth\\x0a0\\x1b[31m\\u202e\\udcff\n")


def test_name_of_a_file_is_escaped(tmp_path: Path) -> None:
    one_line(run("-c", tmp_path / "a\nb\x1b[31m"), 3, "a\\x0ab\\x1b[31m")


# --output


@pytest.mark.parametrize(
    "name", slow_but(["new/"], ["", "new/", "new/.", "old/", "old/..", "file/"])
)
def test_output_that_is_no_name(core: Path, tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    (work / "old").mkdir(parents=True)
    (work / "file").write_text("kept")
    done = run("-c", core, "--output", name, cwd=work)
    one_line(done, 2, f"cannot write '{name}'")
    assert sorted(path.name for path in work.rglob("*")) == ["file", "old"]
    assert (work / "file").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [work]
