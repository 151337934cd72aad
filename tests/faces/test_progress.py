# SPDX-License-Identifier: LGPL-2.1-or-later
"""The line that says what takes long."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import pty
import re
import subprocess
import sys
import time

from drgn_veth.faces import progress
from drgn_veth.faces.status import warn
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import SCRIPT, run


class Terminal:
    """A terminal that standard error is, and what was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self._said = b""

    def said(self) -> str:
        while True:
            try:
                self._said += os.read(self._ours, 1 << 16)
            except OSError:
                return self._said.decode()

    def wait_for(self, pattern: str) -> None:
        """Wait until the last line has it, but not for ever."""
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.shows()[-1]):
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)

    def shows(self) -> list[str]:
        """Return the lines as one sees them: a carriage return goes back."""
        lines = []
        for line in self.said().split("\n"):
            cells: list[str] = []
            at = 0
            for letter in line:
                if letter == "\r":
                    at = 0
                    continue
                cells[at : at + 1] = letter
                at += 1
            lines.append("".join(cells).rstrip())
        return lines


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(progress, "AFTER", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    return Terminal()


@contextlib.contextmanager
def stderr_at(terminal: Terminal) -> Iterator[None]:
    # In the test itself: pytest sets sys.stderr again after the fixtures.
    before = sys.stderr
    with open(terminal.theirs, "w", buffering=1, closefd=False) as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = before


def test_the_line_is_erased(terminal: Terminal) -> None:
    with stderr_at(terminal), progress.working("opening a dump"):
        with progress.working("reading types"):
            terminal.wait_for(r"reading types, \d+ s")
        terminal.wait_for(r"opening a dump, \d+ s")
    assert terminal.shows() == [""]


def test_how_far_it_is(terminal: Terminal) -> None:
    with stderr_at(terminal), progress.working("compressing") as reached:
        reached(0.345)
        terminal.wait_for(r"compressing, 34%, \d+ s")


def test_nothing_within_a_second(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AFTER", 60.0)
    with stderr_at(terminal), progress.working("opening a dump"):
        time.sleep(0.1)
    assert terminal.said() == ""


def test_a_warning_has_its_own_line(terminal: Terminal) -> None:
    with stderr_at(terminal), progress.working("opening a dump"):
        terminal.wait_for("opening a dump")
        warn("something is missing")
    first, last = terminal.shows()
    assert first.endswith(": something is missing") and "opening" not in first
    assert last == ""


def test_it_is_no_wider_than_the_terminal(terminal: Terminal) -> None:
    with stderr_at(terminal), progress.working("opening " + "x" * 300 + "\x1b[31m"):
        terminal.wait_for("opening x")
        assert len(terminal.shows()[-1]) == 79
    assert "\x1b" not in terminal.said()


def test_an_error_ends_it(terminal: Terminal) -> None:
    with stderr_at(terminal), pytest.raises(ValueError):
        with progress.working("opening a dump"):
            terminal.wait_for("opening a dump")
            raise ValueError
    assert terminal.shows() == [""]
    assert progress._stages == []


def test_no_line_if_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.working("opening a dump"):
        assert progress._stages == [["opening a dump", ""]]
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_report_in_a_terminal(tmp_path: Path) -> None:
    """The output is the same, and the terminal shows what it would show without."""
    core = smallest_core().core
    terminal = Terminal()
    argv = (SCRIPT, "-c", core, "--format", "csv")
    code = "import runpy, sys; del sys.argv[0]; sys.path.insert(0, sys.argv.pop(0))"
    code += "\nfrom drgn_veth.faces import progress; progress.AFTER = 0.0"
    code += "\nprogress.EVERY = 0.01\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    helpers = Path(progress.__file__).parent.parent.parent
    out = tmp_path / "out"
    with open(out, "w") as f:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(helpers), *map(str, argv)],
            stdout=f,
            stderr=terminal.theirs,
        )
        # Writing to a terminal blocks if nothing reads from it.
        while process.poll() is None:
            terminal.said()
            time.sleep(0.01)
    plain = run(*argv[1:])
    assert (process.returncode, out.read_text()) == (0, plain.stdout)
    assert "opening" in terminal.said() and "reading devices" in terminal.said()
    assert "\n".join(terminal.shows()).strip() == plain.stderr.strip()
