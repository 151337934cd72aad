# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a picture goes, and the commands on its page."""

import os
from pathlib import Path
import pty
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tests.support.recorded import recorded_core, smallest_core
from tests.support.scripts import REPOSITORY, SCRIPT, by_drgn, one_line, run, without

PAGE = REPOSITORY / "docs" / "picture.md"
FORMATS = ("html", "svg", "dot")


def on_terminal(*args: object) -> tuple[int, str, str]:
    """Run the report with a terminal as standard output; return what is there."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, args)],
        stdout=slave,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(slave)
        said = b""
        while True:
            try:
                more = os.read(master, 1 << 16)
            except OSError:  # The terminal has no other end any more.
                break
            if not more:
                break
            said += more
        os.close(master)
        assert process.stderr is not None
        errors = process.stderr.read()
    return process.returncode, said.decode(), errors


@pytest.mark.slow
@pytest.mark.parametrize("format", ["html", "svg"])
def test_a_terminal_is_no_browser(format: str) -> None:
    """It says so before it opens the dump."""
    status, said, errors = on_terminal("-c", "/nosuch", "--format", format)
    assert (status, said) == (2, "")
    (line,) = errors.splitlines()
    assert f"--format {format} is for a browser" in line
    assert "--output FILE" in line


@pytest.mark.slow
def test_a_graph_may_go_to_a_terminal() -> None:
    core = smallest_core().core
    status, said, errors = on_terminal("-c", core, "--format", "dot")
    assert (status, errors) == (0, "")
    assert said.startswith('graph "drgn-veth" {')


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_same_in_a_file_and_a_pipe(format: str, tmp_path: Path) -> None:
    core = smallest_core().core
    path = tmp_path / "picture"
    done = run("-c", core, "--format", format, "--output", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert path.read_text() == run("-c", core, "--format", format).stdout


@pytest.mark.slow
def test_output_that_cannot_be_written() -> None:
    core = smallest_core().core
    argv = ("-c", core, "--format", "html", "--output", "/nosuch/report.html")
    one_line(run(*argv), 2, "cannot write /nosuch/report.html")


@pytest.mark.slow
def test_without_tabulate() -> None:
    core = smallest_core().core
    done = without("tabulate", SCRIPT, "-c", core, "--format", "html")
    one_line(done, 2, "pip install tabulate")
    for format in ("svg", "dot"):
        done = without("tabulate", SCRIPT, "-c", core, "--format", format)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_filters_and_check() -> None:
    core = recorded_core("6.12-zoo").core
    done = run("-c", core, "--format", "svg", "--netns", "pod3", "--check")
    assert done.returncode == 0
    svg = ElementTree.fromstring(done.stdout)
    shown = "".join(svg.itertext())
    assert "to_pod3" in shown
    assert "veth_xxx0" not in shown


COMMANDS = [
    line.strip()
    for line in PAGE.read_text().splitlines()
    if line.startswith("    drgn-veth vmcore ")
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_page(command: str, tmp_path: Path) -> None:
    core = recorded_core("6.12-zoo").core
    words = shlex.split(command.partition("|")[0])
    assert words[:2] == ["drgn-veth", "vmcore"]
    options = [
        str(tmp_path / word) if before == "--output" else word
        for before, word in zip(words[1:], words[2:])
    ]
    done = by_drgn(core, SCRIPT, *options)
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = (
        [done.stdout] if done.stdout else [p.read_text() for p in tmp_path.iterdir()]
    )
    assert "to_pod1" in made


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 4
    # Git keeps each version of it.
    assert (PAGE.parent / "picture.png").stat().st_size < 150_000
