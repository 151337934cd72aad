# SPDX-License-Identifier: LGPL-2.1-or-later
"""``drgn-veth fleet``, run as a user runs it, and what is left of it."""

from collections.abc import Iterator, Sequence
import contextlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time
from typing import Any, Callable, Optional

from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY, take_signals

__all__ = (
    "ENVIRONMENT",
    "SMALLEST",
    "children",
    "command",
    "copies",
    "fleet",
    "readers",
    "rows",
    "started",
    "until",
)

#: The core that takes the least time.
SMALLEST = "5.10-zoo"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(REPOSITORY / "helpers"),
    "PYTHONPYCACHEPREFIX": str(REPOSITORY / "build" / "bytecode"),
}
LONGEST = 300.0  # seconds


def copies(folder: Path, count: int, name: str = SMALLEST) -> list[Path]:
    """Return copies of a recorded core in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    core = recorded_core(name).core
    return [Path(shutil.copy(core, folder / f"{i}.core")) for i in range(count)]


def command(*args: object) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "drgn_veth", "fleet", *map(str, args)]


def fleet(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    kwargs.setdefault("env", ENVIRONMENT)
    return subprocess.run(
        command(*args), capture_output=True, text=True, timeout=LONGEST, **kwargs
    )


@contextlib.contextmanager
def started(argv: Sequence[str], **kwargs: Any) -> "Iterator[subprocess.Popen[str]]":
    """Start a command, and end it afterwards, should it still run."""
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("stderr", subprocess.PIPE)
    with subprocess.Popen(
        argv, text=True, env=ENVIRONMENT, preexec_fn=take_signals, **kwargs
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(
    what: Callable[[], Any],
    seconds: float = LONGEST,
    process: "Optional[subprocess.Popen[str]]" = None,
) -> Any:
    """
    Return what a function returns, once that is true.

    :param process: It has to run until then
    """
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate())
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Return the processes below a process."""
    below: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
            for child in map(int, text.split()):
                below += [child, *children(child)]
    return below


def readers(pid: int) -> list[int]:
    """Return the processes below a process that read dumps."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"fleet_reader" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def rows(output: Path, table: str = "dumps") -> list[dict[str, Any]]:
    """Return the rows of a table, by source."""
    import pyarrow.parquet as pq

    found = [
        row
        for part in sorted((output / table).glob("*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]
    return sorted(found, key=lambda row: str(row["source"]))
