# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals while a script writes: before its last step, in it, and after it."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from drgn_veth_start import at_signal
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import SCRIPT, SLICE_SCRIPT, started, take_signals

COMPARE_SCRIPT = SCRIPT.with_name("veth_compare.py")


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


def test_signal_before_there_is_more() -> None:
    """The command ends without a traceback while it still imports Python's modules."""
    code = f"""
        import os, signal
        sys.path.insert(0, {str(SCRIPT.parent.parent / "helpers")!r})
        sys.argv[0] = "bin/drgn-veth"
        class Interrupted:
            def find_spec(self, name, *_):
                if name == "contextlib":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.modules.pop("contextlib", None)
        sys.meta_path.insert(0, Interrupted())
        import drgn_veth_start
    """
    done = started(code, SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


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


def ended_after(
    argv: list[str], delay: float, number: signal.Signals, temporary: Path
) -> tuple[int, str]:
    """Send a signal to a process; return its status, and what it said."""
    with subprocess.Popen(
        argv,
        env={**os.environ, "TMPDIR": str(temporary)},
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
    by_signal = -number if number == signal.SIGKILL else 128 + number
    assert child.returncode in (0, by_signal, -number)
    return child.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, number",
    [
        ("slice.xz", signal.SIGTERM),
        ("slice.xz", signal.SIGINT),
        ("slice.xz", signal.SIGHUP),
        ("slice.xz", signal.SIGKILL),
        ("slice", signal.SIGTERM),
    ],
)
def test_ended_slice_leaves_nothing(
    name: str, number: signal.Signals, kept_core: Path, tmp_path: Path
) -> None:
    """At whatever moment: while the core is written, checked, packed."""
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    out.mkdir()
    temporary.mkdir()
    argv = [sys.executable, str(SLICE_SCRIPT), str(out / name), "-c", str(kept_core)]
    ended = 0
    for delay in (0.2, 0.4, 0.6, 0.9, 1.4):
        status, said = ended_after(argv, delay, number, temporary)
        if status == 0:
            (path,) = pieces(out, temporary)
            path.unlink()
            continue
        assert (said, pieces(out, temporary)) == ("", [])
        ended += 1
    assert ended


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_compare_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """At whatever moment: while a core is unpacked, or read."""
    packed = str(smallest_core().packed)
    argv = [sys.executable, str(COMPARE_SCRIPT), packed, packed]
    ended = 0
    for delay in (0.1, 0.3, 0.5, 0.8):
        status, _ = ended_after(argv, delay, number, tmp_path)
        assert pieces(tmp_path) == []
        ended += status != 0
    assert ended
