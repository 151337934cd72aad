# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripts, told to write to a file."""

import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from tests.support.scripts import SLICE_SCRIPT
from tests.support.warm import run_warm

__all__ = ("BUFFERED", "command", "refused", "run_command")

#: The environment of a user: Python buffers its output.
BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


def command(script: Path, output: object, *args: object, drgn: Any = ()) -> list[str]:
    """Return the command line that writes to a file, by python3 or by drgn."""
    argv: list[object] = [sys.executable]
    if drgn:
        argv += ["-m", "drgn", "-q", "--no-default-symbols", *drgn]
    argv += [
        script,
        *([output, "--force"] if script == SLICE_SCRIPT else ["--output", output]),
    ]
    if script.stem == "xdp_attach":
        argv += ["lo", "--netns", "pod1"]
    return [str(arg) for arg in (*argv, *args)]


def run_command(argv: list[str], **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command line; warm, where it does not matter how it starts."""
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
    """See that a script wrote nothing, and said why in one line."""
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script.stem}: ") and text in line
