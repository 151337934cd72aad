# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the output goes: never over an input, and whole or not at all."""

import argparse
import hashlib
import os
from pathlib import Path
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable

from drgn import Program
from drgn_veth.faces import opening, output
from drgn_veth.faces.status import UsageError
from drgn_veth_start import at_signal
import pytest

from tests.support.recorded import first_core
from tests.support.scripts import SCRIPT, SCRIPTS, by_name, started, take_signals
from tests.support.warm import Running, run_warm, start_warm

SLICE = SCRIPTS[2]
BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def recorded_core() -> Path:
    return first_core("6.12").core


@pytest.fixture
def core(recorded_core: Path, tmp_path: Path) -> Path:
    """A copy, which may be lost."""
    return Path(shutil.copy(recorded_core, tmp_path / "vmcore"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command(script: Path, output: object, *args: object, drgn: Any = ()) -> list[str]:
    """Return the command line that writes to a file, by python3 or by drgn."""
    argv: list[object] = [sys.executable]
    if drgn:
        argv += ["-m", "drgn", "-q", "--no-default-symbols", *drgn]
    argv += [
        script,
        *([output, "--force"] if script == SLICE else ["--output", output]),
    ]
    if script.stem == "xdp_attach":
        argv += ["lo", "--netns", "pod1"]
    return [str(arg) for arg in (*argv, *args)]


def run(argv: list[str], **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    # Scripts look at the command line of drgn, which a run that is warm does not have.
    if argv[1] != "-m" and kwargs.keys() <= {"stdout", "cwd"}:
        return run_warm(*argv[1:], timeout=120, **kwargs)
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        argv, stderr=subprocess.PIPE, text=True, timeout=120, **kwargs
    )


def refused(
    done: "subprocess.CompletedProcess[str]",
    script: Path,
    text: str = "it is the input",
) -> None:
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script.stem}: ") and text in line


# The output is the input


def by_itself(core: Path) -> object:
    return core


def by_a_relative_path(core: Path) -> object:
    return os.path.relpath(core, core.parent)


def by_a_hard_link(core: Path) -> object:
    os.link(core, core.parent / "hard")
    return core.parent / "hard"


def by_a_link(core: Path) -> object:
    (core.parent / "one").symlink_to(core.name)
    (core.parent / "two").symlink_to("one")
    return core.parent / "two"


def by_a_folder(core: Path) -> object:
    (core.parent / "here").symlink_to(".")
    return core.parent / "here" / "." / core.name


@pytest.mark.parametrize("drgn", [False, True], ids=["python", "drgn"])
@pytest.mark.parametrize(
    "name", [by_itself, by_a_relative_path, by_a_hard_link, by_a_link, by_a_folder]
)
@by_name
def test_output_is_the_core(
    script: Path, name: Callable[[Path], object], drgn: bool, core: Path
) -> None:
    before, inode = digest(core), core.stat().st_ino
    path = name(core)
    there = sorted(core.parent.iterdir())
    if drgn:
        argv = command(script, path, drgn=["-c", core])
    else:
        argv = command(script, path, "-c", core)
    refused(run(argv, cwd=core.parent), script)
    assert (digest(core), core.stat().st_ino) == (before, inode)
    assert sorted(core.parent.iterdir()) == there


@by_name
def test_output_is_a_descriptor_of_the_core(script: Path, core: Path) -> None:
    before = digest(core)
    with open(core, "r+b") as f:
        for path in (f"/proc/self/fd/{f.fileno()}", f"/dev/fd/{f.fileno()}"):
            argv = command(script, path, "-c", core)
            refused(run(argv, pass_fds=[f.fileno()]), script)
    assert digest(core) == before


@by_name
def test_standard_output_is_the_core(script: Path, core: Path) -> None:
    """As ``>>vmcore`` makes it."""
    before = digest(core)
    argv = command(script, core.parent / "new", "-c", core)
    if script != SLICE:
        argv.remove("--output")
        argv.remove(str(core.parent / "new"))
    with open(core, "ab") as f:
        done = run(argv, stdout=f)
    refused(done, script)
    assert digest(core) == before
    assert list(core.parent.iterdir()) == [core]


@pytest.mark.parametrize("option", ["-s", "--system-map"])
@by_name
def test_output_is_what_tells_symbols(script: Path, option: str, core: Path) -> None:
    symbols = core.parent / "symbols"
    symbols.write_text("ffffffff81000000 T _stext\n")
    argv = command(script, symbols, "-c", core, option, symbols)
    refused(run(argv), script)
    # --system-map is an option of the script, -s one of drgn.
    if option == "-s":
        argv = command(script, symbols, drgn=["-c", core, "-s", symbols])
        refused(run(argv), script)
        argv = command(script, symbols, drgn=["-c", core, f"--symbols={symbols}"])
        refused(run(argv), script)
    else:
        argv = command(script, symbols, option, symbols, drgn=["-c", core])
        refused(run(argv), script)
    assert symbols.read_text() == "ffffffff81000000 T _stext\n"


def test_explanation_over_the_core(core: Path) -> None:
    before = digest(core)
    argv = command(SCRIPT, core, "-c", core, "--explain", "no-peer")
    refused(run(argv), SCRIPT)
    assert digest(core) == before


def test_input_that_comes_to_be_the_output(core: Path) -> None:
    """What was another file at first is looked at once more."""
    path = core.parent / "new"
    with pytest.raises(UsageError, match="it is the input"):
        with output.replacing(str(path), [str(core)]) as f:
            f.write(b"report")
            os.link(core, path)
    assert os.path.samefile(core, path)
    assert sorted(core.parent.iterdir()) == [path, core]


def test_files_that_symbols_were_loaded_from() -> None:
    """drgn finds some by itself: the modules of the program say which."""
    prog = Program()
    prog.set_pid(os.getpid())
    prog.create_loaded_modules()
    path = os.path.realpath(sys.executable)
    prog.main_module().try_file(path, force=True)
    args = argparse.Namespace(core=None, system_map=None, symbols=[])
    assert path in opening.inputs(prog, args)


# Output that exists already, or is not a file


@by_name
def test_output_that_replaces_another_file(script: Path, core: Path) -> None:
    path = core.parent / "report"
    path.write_text("old")
    path.chmod(0o640)
    done = run(command(script, path, "-c", core))
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_size > 100
    assert sorted(core.parent.iterdir()) == [path, core]


def test_slice_does_not_replace_a_file(core: Path) -> None:
    path = core.parent / "slice.xz"
    argv = command(SLICE, path, "-c", core)
    argv.remove("--force")
    for kind in ("file", "link"):
        if kind == "file":
            path.write_text("old")
        else:
            path.unlink()
            (core.parent / "other").write_text("old")
            path.symlink_to("other")
        refused(run(argv), SLICE, f"{path} already exists; --force replaces it")
        assert path.read_text() == "old"
    path.unlink()
    assert run(argv).returncode == 0
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


@by_name
def test_output_to_a_pipe(script: Path, core: Path) -> None:
    """/dev/stdout and a FIFO are written to, and need no --force."""
    fifo = core.parent / "fifo"
    os.mkfifo(fifo)
    argv = command(script, "/dev/stdout", "-c", core)
    if script == SLICE:
        argv.remove("--force")
    status, said, error = written(start_warm(*argv[1:]))
    assert status == 0
    argv[argv.index("/dev/stdout")] = str(fifo)
    child = start_warm(*argv[1:])
    assert fifo.read_bytes() == said
    assert written(child)[0] == 0
    assert len(said) > 100
    if script == SLICE:
        # The summary is not in the output.
        assert said.startswith(b"\x7fELF") and b" devices in " in error
    else:
        assert error == b""


def test_output_to_dev_stdout_that_is_a_file(core: Path, tmp_path: Path) -> None:
    """It is appended to, where the shell had it open, and stays the same file."""
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as f:
        f.write(b"before\n")
        done = run(command(SCRIPT, "/dev/stdout", "-c", core), stdout=f)
        f.write(b"after\n")
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text()
    assert text.startswith("before\nnetns ") and text.endswith("\nafter\n")


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


# Signals


def test_what_is_done_at_a_signal() -> None:
    code = f"""
        import os, signal
        sys.path.insert(0, {str(SCRIPT.parent.parent / "helpers")!r})
        import drgn_veth_start
        drgn_veth_start._end_at_signals()
        def undo():
            print("undone", flush=True)
        with drgn_veth_start.at_signal(undo):
            pass
        with drgn_veth_start.at_signal(undo):
            os.kill(os.getpid(), signal.SIGTERM)
    """
    done = started(code, SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (143, "undone\n", "")
    with at_signal(lambda: None):
        pass


@pytest.mark.parametrize(
    "fails, again, status", [(False, False, 0), (False, True, 129), (True, False, 143)]
)
def test_signal_in_the_last_step(fails: bool, again: bool, status: int) -> None:
    """
    Once the output has its name, a signal changes neither it nor the status. A second
    one ends what hangs.
    """
    code = f"""
        import os, signal
        sys.path.insert(0, {str(SCRIPT.parent.parent / "helpers")!r})
        import drgn_veth_start
        drgn_veth_start._end_at_signals()
        with drgn_veth_start.last_step():
            os.kill(os.getpid(), signal.SIGTERM)
            if {fails}:
                raise OSError
        if {again}:
            os.kill(os.getpid(), signal.SIGHUP)
        drgn_veth_start.restore_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        print("done")
        sys.exit()
    """
    done = started(code, SCRIPT)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout == ("" if status else "done\n")


def test_shell_goes_on_after_the_last_step() -> None:
    code = f"""
        import signal
        sys.path.insert(0, {str(SCRIPT.parent.parent / "helpers")!r})
        import drgn_veth_start
        sys.ps1 = "> "
        before = signal.getsignal(signal.SIGINT)
        drgn_veth_start._end_at_signals()
        with drgn_veth_start.last_step():
            pass
        drgn_veth_start.restore_signals()
        print(signal.getsignal(signal.SIGINT) is before)
        sys.exit()
    """
    done = started(code, SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def pieces(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.iterdir())


@pytest.mark.parametrize(
    "name, number",
    [
        ("slice.xz", signal.SIGTERM),
        ("slice.xz", signal.SIGHUP),
        ("slice.xz", signal.SIGKILL),
        ("slice", signal.SIGTERM),
    ],
)
def test_ended_slice_leaves_nothing(
    name: str, number: signal.Signals, recorded_core: Path, tmp_path: Path
) -> None:
    """At whatever moment: while the core is written, checked, packed."""
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    argv = [sys.executable, str(SLICE), str(out / name), "-c", str(recorded_core)]
    env = {**os.environ, "TMPDIR": str(temporary)}
    ended = 0
    for delay in (0.2, 0.4, 0.6, 0.9, 1.4):
        with subprocess.Popen(
            argv,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=take_signals,
        ) as child:
            time.sleep(delay)
            assert pieces(temporary) == []
            child.send_signal(number)
            said, error = child.communicate()
        assert error == ""
        if child.returncode == 0:
            (path,) = pieces(out, temporary)
            path.unlink()
            continue
        wanted = -number if number == signal.SIGKILL else 128 + number
        assert child.returncode in (wanted, -number)
        assert (said, pieces(out, temporary)) == ("", [])
        ended += 1
    assert ended


# A reader that goes away


def part(child: Any, count: int) -> bytes:
    """Read some of what a process writes; return what it says of that."""
    assert len(child.stdout.read(count)) == count
    child.stdout.close()
    with child.stderr:
        said: bytes = child.stderr.read()
    return said


ENOUGH: list[tuple[str, list[str]]] = [
    ("veth_report", ["--all"]),
    ("veth_report", ["--all", "--format", "json"]),
    ("veth_report", ["--all", "--format", "csv"]),
    ("veth_report", ["--explain", "no-peer"]),
    ("veth_report", ["-h"]),
    ("xdp_attach", ["--all"]),
    ("xdp_attach", ["--all", "--format", "json"]),
    ("xdp_attach", ["-h"]),
    ("vmcore_slice", ["-h"]),
    ("vmcore_slice", []),
    ("vmcore_slice", ["/dev/stdout"]),
]


@pytest.mark.parametrize(
    "name, args, unbuffered",
    [(*one, False) for one in ENOUGH] + [(*ENOUGH[n], True) for n in (1, 4)],
)
def test_reader_that_goes_away(
    name: str, args: list[str], unbuffered: bool, core: Path
) -> None:
    """One that reads a byte, and one that reads nothing, as ``| head`` may."""
    argv = [sys.executable, *["-u"][: int(unbuffered)]]
    argv += [str(SCRIPT.parent / f"{name}.py"), "-c", str(core), *args]
    if name == "vmcore_slice" and not args:
        argv.append(str(core.parent / "slice"))
        argv.append("--force")
    for count in (1, 0):
        if unbuffered:
            with subprocess.Popen(
                argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=BUFFERED,
            ) as child:
                said = part(child, count)
            status = child.returncode
        else:
            run = start_warm(*argv[1:])
            said, status = part(run, count), run.wait()
        if args == ["/dev/stdout"]:
            said = b""  # The summary is on standard error.
        assert (status, said) == (0, b"")


def test_reader_of_a_check_that_goes_away(core: Path) -> None:
    """The exit status is that of the check."""
    argv = [sys.executable, str(SCRIPT), "-c", str(core), "--check"]
    whole = run(argv)
    child = start_warm(*argv[1:])
    said = part(child, 0).decode()
    assert (child.wait(), said) == (whole.returncode, whole.stderr)


def test_reader_of_a_fifo_that_goes_away(core: Path) -> None:
    fifo = core.parent / "fifo"
    os.mkfifo(fifo)

    def read_one() -> None:
        with open(fifo, "rb", buffering=0) as f:
            f.read(1)

    reader = threading.Thread(target=read_one)
    reader.start()
    done = run(command(SCRIPT, fifo, "-c", core, "--all", "--format", "json"))
    reader.join()
    assert (done.returncode, done.stderr) == (0, "")


def test_help_that_does_not_fit(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        done = run(
            [sys.executable, str(SLICE), "-h"],
            stdout=out,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
            env=BUFFERED,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == "vmcore_slice: standard output: File too large"


# A core without a name


def test_core_that_is_deleted_meanwhile(core: Path) -> None:
    code = f"import os; os.unlink({str(core)!r})"
    argv = [sys.executable, "-m", "drgn", "-q", "-c", str(core)]
    wrapper = core.parent / "wrapper.py"
    wrapper.write_text(
        f"{code}\nimport runpy, sys\nsys.argv[0] = {str(SCRIPT)!r}\n"
        f"runpy.run_path({str(SCRIPT)!r}, init_globals={{'prog': prog}}, "
        "run_name='__main__')\n"
    )
    done = run([*argv, "--no-default-symbols", str(wrapper)])
    assert (done.returncode, done.stderr) == (0, "")
    assert "veth_xxx0" in done.stdout
