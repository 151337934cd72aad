# SPDX-License-Identifier: LGPL-2.1-or-later
"""xdp_attach.py, run on the newest recorded core of all kinds of devices."""

from pathlib import Path
import subprocess

from tests.support.recorded import CORES
from tests.support.scripts import REPOSITORY
from tests.support.warm import run_warm

__all__ = ("NEWEST", "refused", "run", "screen")

_SCRIPT = REPOSITORY / "scripts" / "xdp_attach.py"
NEWEST = max(
    (name for name in CORES if name.endswith("-zoo")),
    key=lambda name: [int(part) for part in name.split("-")[0].split(".")],
)


def run(core: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run it."""
    return run_warm(_SCRIPT, *args, core=core, cwd=Path("/"))


def screen(core: Path, *args: str) -> str:
    """Return what it shows, in one line; see that it fits."""
    done = run(core, *args)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return " ".join(done.stdout.split())


def refused(core: Path, *args: str) -> str:
    """Return the line with which it refuses wrong use."""
    done = run(core, *args)
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.splitlines()[-1]
    assert line.startswith("xdp_attach: ")
    return line
