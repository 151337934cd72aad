# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripts, run as a user runs them."""

from collections.abc import Sequence
from pathlib import Path
import signal
import struct
import subprocess
import sys
import textwrap
from typing import Any, Optional

import pytest

from tests.support.slow import slow_but
from tests.support.warm import run_warm

__all__ = (
    "NO_BYTECODE",
    "REPOSITORY",
    "SCRIPT",
    "SCRIPTS",
    "SLICE_SCRIPT",
    "by_drgn",
    "by_name",
    "one_line",
    "python",
    "run",
    "started",
    "take_signals",
    "user_core",
    "without",
)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = REPOSITORY / "scripts" / "veth_report.py"
SLICE_SCRIPT = REPOSITORY / "scripts" / "vmcore_slice.py"
#: For processes that can write little: the rest of the tests would read half a file.
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
SCRIPTS = [
    REPOSITORY / "scripts" / f"{name}.py"
    for name in ("veth_report", "xdp_attach", "netns_report", "vmcore_slice")
]
by_name = pytest.mark.parametrize(
    "script", slow_but(SCRIPTS[:1], SCRIPTS), ids=lambda path: path.stem
)


def python(*args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
    """Run a Python with some arguments."""
    argv = [sys.executable, *map(str, args)]
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=60, **kwargs)


def without(module: str, script: Path, *args: object) -> Any:
    """Run a script in a Python in which a module is not installed."""
    code = (
        "import runpy, sys; del sys.argv[0]; sys.modules[sys.argv.pop(0)] = None; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return python("-c", code, module, script, *args)


def run(
    *args: object, prefix: Sequence[str] = (), cwd: Optional[Path] = None
) -> "subprocess.CompletedProcess[str]":
    """
    Run the report.

    :param prefix: Words before the command line, which then starts a new Python
    """
    if not prefix:
        return run_warm(SCRIPT, *args, cwd=cwd)
    return subprocess.run(
        [*prefix, sys.executable, str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )


def by_drgn(
    core: Path, script: Path, *args: object
) -> "subprocess.CompletedProcess[str]":
    """Run a script by drgn's command line, in the root folder."""
    options = ("-q", "-c", core, "--no-default-symbols")
    return run_warm("-m", "drgn", *options, script, *args, cwd=Path("/"))


def one_line(done: "subprocess.CompletedProcess[str]", status: int, text: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("veth_report: ")
    assert text in line


def take_signals() -> None:
    """Undo what nohup, or a shell that starts the tests with &, has set."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(code: str, script: Path, *args: object, **kwargs: Any) -> Any:
    """Run a script in a Python that has run some code before."""
    start = "import runpy, sys; del sys.argv[0]; script = sys.argv[0]\n"
    end = "\nrunpy.run_path(script, run_name='__main__')\n"
    argv = [sys.executable, "-c", start + textwrap.dedent(code) + end]
    argv += [str(arg) for arg in (script, *args)]
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=take_signals,
        **kwargs,
    )


def user_core(path: Path) -> None:
    """Write the core of a process: notes as the kernel has them, and a page."""

    def note_of(kind: int, data: bytes) -> bytes:
        return struct.pack("<III8s", 5, len(data), kind, b"CORE\0\0\0\0") + data

    NT_PRSTATUS, NT_AUXV, NT_FILE = 1, 6, 0x46494C45
    note = note_of(NT_PRSTATUS, bytes(336)) + note_of(NT_AUXV, bytes(16))
    note += note_of(NT_FILE, struct.pack("<QQ", 0, 4096))
    offset = 64 + 2 * 56
    header = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0),
        *(4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0),
    )
    notes = struct.pack("<IIQQQQQQ", 4, 4, offset, 0, 0, len(note), 0, 4)
    place = offset + len(note)
    load = struct.pack("<IIQQQQQQ", 1, 6, place, 0x400000, 0, 4096, 4096, 1)
    path.write_bytes(header + notes + load + note + bytes(4096))
