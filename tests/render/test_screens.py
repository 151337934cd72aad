# SPDX-License-Identifier: LGPL-2.1-or-later
"""The screens of the recorded cores, at every width, in a terminal and not."""

from collections.abc import Sequence
import fcntl
import os
from pathlib import Path
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import Optional

from drgn_veth.faces import veth_report
from drgn_veth.faces.terminal import style_for
from drgn_veth.render.native import names
from drgn_veth.render.style import Style
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core, smallest_core
from tests.support.screens import WIDTHS, assert_fits, pairs_screen, screens
from tests.support.scripts import NO_BYTECODE, SCRIPT
from tests.support.slow import slow_but

_UTF8 = {"PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("name", slow_but(EVERY_CORE[-1:], EVERY_CORE))
@pytest.mark.parametrize("width", slow_but([80], WIDTHS))
def test_no_line_is_too_wide(name: str, width: int) -> None:
    snapshot = recorded_core(name).snapshot
    for encoding in ("utf-8", "ascii"):
        style = Style(width, encoding=encoding)
        for screen in screens(snapshot, style).values():
            assert_fits(screen, width)
            screen.encode(encoding)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_question_that_it_began_with(width: int) -> None:
    screen = pairs_screen(recorded_core("6.12-zoo").snapshot, Style(width))
    (row,) = (line for line in screen.splitlines() if "\u2500veth_xxx0" in line)
    assert row.startswith("W ")
    assert "EEXIST," in row
    assert "then ENOSPC" in screen
    said = " ".join(screen.split())
    assert (
        'ENOSPC No space left on device: "veth: XDP expects number of rx queues not '
        'less than peer tx queues" veth_xxx0, q24b, q24a, onea'
    ) in said


def test_a_single_device_with_a_program_is_listed() -> None:
    screen = pairs_screen(recorded_core("6.12-zoo").snapshot)
    for name in ("dum_xdp", "tap0", "bond_xdp", "mv0"):
        assert re.search(rf"^  host +{name} ", screen, re.M)
    assert "dum_plain" not in screen


def _in_terminal(
    width: int, *args: object, env: Optional[dict[str, str]] = None
) -> tuple[int, str, str]:
    """Run the report in a terminal of so many columns; return what it shows there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, args)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, **NO_BYTECODE, "TERM": "xterm", **(env or {})},
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                chunk = os.read(ours, 1 << 16)
            except OSError:  # EIO: nobody has the other end.
                break
            if not chunk:
                break
            said += chunk
        os.close(ours)
        assert process.stderr is not None
        error = process.stderr.read().decode()
    text = said.decode().replace("\r\n", "\n")
    return process.returncode, text, error


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [[], ["--notes"], ["--tree"], ["--all"], ["veth_xxx0"]],
    ids=lambda args: "".join(args) or "pairs",
)
@pytest.mark.parametrize("width", WIDTHS)
def test_in_a_terminal(core: Path, width: int, args: Sequence[str]) -> None:
    status, text, error = _in_terminal(width, "-c", core, *args, env=_UTF8)
    assert (status, error) == (0, "")
    assert "\x1b[" in text
    assert_fits(text, width)
    longest = max(len(re.sub("\x1b\\[[0-9;]*m", "", one)) for one in text.splitlines())
    assert longest > width // 2


@pytest.mark.parametrize(
    "columns, expected",
    [("120", 120), ("60", 60), ("20", 60), ("900", 200), ("", 80), ("wide", 80)],
)
def test_columns_of_a_pipe(
    columns: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for argv in ([], ["--output", "report.txt"]):
        assert style_for(veth_report.parser().parse_args(argv)).width == expected


@pytest.mark.slow
def test_in_a_narrow_terminal(core: Path) -> None:
    status, text, error = _in_terminal(20, "-c", core)
    assert (status, text) == (2, "")
    (line,) = error.splitlines()
    assert "the terminal has 20 columns" in line


@pytest.mark.slow
def test_in_a_terminal_without_the_letters(core: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    status, text, error = _in_terminal(60, "-c", core, "--all-pairs", env=env)
    assert (status, error) == (0, "")
    assert text.isascii()
    assert_fits(text, 60)
    assert "+-veth_xxx0" in text
    assert "h\\xf6ker\\u2" in text


@pytest.mark.slow
def test_a_terminal_that_wants_no_colour(core: Path) -> None:
    status, text, _ = _in_terminal(80, "-c", core, env={**_UTF8, "NO_COLOR": "1"})
    assert status == 0
    assert "\x1b[" not in text
    assert re.search("^W ", text, re.M)


@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_name_that_is_wider_than_the_screen(number: int) -> None:
    long = "eth0 (cni-9d0a2a3b-1111-2222-3333-444455556666)"
    for columns in (46, 30, len(long), len(long) + 12):
        line = names([long] * number, columns, "~")
        assert len(line) <= columns
        assert line.startswith("eth0 (cni-9d")
        if number > 1:
            assert line.endswith(f" and {number - 1} more") or columns > 2 * len(long)
