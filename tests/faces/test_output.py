# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the output goes: whole or not at all."""

import os
from pathlib import Path
import resource
import sys
from typing import Any

from drgn_veth.faces import output
from drgn_veth.faces.status import UsageError
import pytest

from tests.support.scripts import NO_BYTECODE, SCRIPT, SLICE_SCRIPT, by_name
from tests.support.warm import Running, start_warm
from tests.support.writing import BUFFERED, command, refused, run_command

# Output that exists already, or is not a file


@by_name
def test_output_that_replaces_another_file(script: Path, core: Path) -> None:
    path = core.parent / "report"
    path.write_text("old")
    path.chmod(0o640)
    done = run_command(command(script, path, "-c", core))
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_size > 100
    assert sorted(core.parent.iterdir()) == [path, core]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0])
def test_mode_of_a_new_file(tmp_path: Path, mask: int) -> None:
    """As a shell's > makes it."""
    path = tmp_path / "new"
    before = os.umask(mask)
    try:
        with output.replacing(str(path)) as f:
            f.write(b"text")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.slow
def test_slice_does_not_replace_a_file(core: Path) -> None:
    path = core.parent / "slice.xz"
    argv = command(SLICE_SCRIPT, path, "-c", core)
    argv.remove("--force")
    for kind in ("file", "link"):
        if kind == "file":
            path.write_text("old")
        else:
            path.unlink()
            (core.parent / "other").write_text("old")
            path.symlink_to("other")
        refused(
            run_command(argv),
            SLICE_SCRIPT,
            f"{path} already exists; --force replaces it",
        )
        assert path.read_text() == "old"
    path.unlink()
    assert run_command(argv).returncode == 0
    assert path.read_bytes().startswith(b"\xfd7zXZ")


def test_file_that_appears_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "slice"
    with pytest.raises(UsageError, match="already exists"):
        with output.replacing(str(path), [], replace=False) as f:
            f.write(b"slice")
            path.write_text("other")
    assert path.read_text() == "other"
    assert list(tmp_path.iterdir()) == [path]


def written(child: Running) -> tuple[int, bytes, bytes]:
    """Return the status of a run, and what it wrote; little to standard error."""
    assert child.stdout and child.stderr
    with child.stdout, child.stderr:
        said, error = child.stdout.read(), child.stderr.read()
    return child.wait(), said, error


@pytest.mark.slow
@by_name
def test_output_to_a_pipe(script: Path, core: Path) -> None:
    """/dev/stdout and a FIFO are written to, and need no --force."""
    fifo = core.parent / "fifo"
    os.mkfifo(fifo)
    argv = command(script, "/dev/stdout", "-c", core)
    if script == SLICE_SCRIPT:
        argv.remove("--force")
    status, said, error = written(start_warm(*argv[1:]))
    assert status == 0
    argv[argv.index("/dev/stdout")] = str(fifo)
    child = start_warm(*argv[1:])
    assert fifo.read_bytes() == said
    assert written(child)[0] == 0
    assert len(said) > 100
    if script == SLICE_SCRIPT:
        # The summary is not in the output.
        assert said.startswith(b"\x7fELF") and b" devices in " in error
    else:
        assert error == b""


def test_standard_output_that_is_an_input(monkeypatch: Any, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_text("input")
    with open(path, "a") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(UsageError, match="^cannot write to standard output: it is"):
            output.check_output(None, [str(path)])
        with pytest.raises(UsageError, match=f"^cannot write to {path}: it is the"):
            output.check_output(str(path), [str(path)])


@pytest.mark.slow
def test_output_to_dev_stdout_that_is_a_file(core: Path, tmp_path: Path) -> None:
    """It is appended to, where the shell had it open, and stays the same file."""
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as f:
        f.write(b"before\n")
        done = run_command(command(SCRIPT, "/dev/stdout", "-c", core), stdout=f)
        f.write(b"after\n")
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text()
    assert text.startswith("before\nvmcore (ELF)  Linux ")
    assert text.endswith("\nafter\n")


def test_file_system_without_unnamed_files(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(output, "_unnamed_file", lambda folder: None)
    path = tmp_path / "report"
    for replace in (False, True):
        with output.replacing(str(path), [], replace) as f:
            f.write(b"report")
            (beside,) = (p for p in tmp_path.iterdir() if p != path)
            assert beside.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == b"report"
        assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyError):
        with output.replacing(str(path), []) as f:
            raise KeyError
    assert list(tmp_path.iterdir()) == [path]


def test_file_system_without_links(monkeypatch: Any, tmp_path: Path) -> None:
    """As FAT, which has no unnamed files either."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(output, "_unnamed_file", lambda folder: None)
    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "slice"
    with output.replacing(str(path), [], replace=False) as f:
        f.write(b"slice")
    assert path.read_bytes() == b"slice"
    with pytest.raises(PermissionError):
        with output._new_file(str(path), replace=False) as f:
            f.write(b"other")
    assert path.read_bytes() == b"slice"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_help_that_does_not_fit(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        done = run_command(
            [sys.executable, str(SLICE_SCRIPT), "-h"],
            stdout=out,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
            env={**BUFFERED, **NO_BYTECODE},
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == "vmcore_slice: standard output: File too large"


# A core without a name


@pytest.mark.slow
def test_core_that_is_deleted_meanwhile(core: Path) -> None:
    code = f"import os; os.unlink({str(core)!r})"
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(core)]
    wrapper = core.parent / "wrapper.py"
    wrapper.write_text(
        f"{code}\nimport runpy, sys\nsys.argv[0] = {str(SCRIPT)!r}\n"
        f"runpy.run_path({str(SCRIPT)!r}, init_globals={{'prog': prog}}, "
        "run_name='__main__')\n"
    )
    done = run_command([*argv, "--no-default-symbols", str(wrapper)])
    assert (done.returncode, done.stderr) == (0, "")
    assert "veth_xxx0" in done.stdout
