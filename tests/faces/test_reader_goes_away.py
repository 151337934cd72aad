# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reader of the output that goes away: that is no error."""

import os
from pathlib import Path
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.support.scripts import SCRIPT
from tests.support.warm import start_warm
from tests.support.writing import BUFFERED, command, run_command


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_reader_of_a_check_that_goes_away(core: Path) -> None:
    """The exit status is that of the check."""
    argv = [sys.executable, str(SCRIPT), "-c", str(core), "--check"]
    whole = run_command(argv)
    child = start_warm(*argv[1:])
    said = part(child, 0).decode()
    assert (child.wait(), said) == (whole.returncode, whole.stderr)


@pytest.mark.slow
def test_reader_of_a_fifo_that_goes_away(core: Path) -> None:
    fifo = core.parent / "fifo"
    os.mkfifo(fifo)

    def read_one() -> None:
        with open(fifo, "rb", buffering=0) as f:
            f.read(1)

    reader = threading.Thread(target=read_one)
    reader.start()
    done = run_command(command(SCRIPT, fifo, "-c", core, "--all", "--format", "json"))
    reader.join()
    assert (done.returncode, done.stderr) == (0, "")
