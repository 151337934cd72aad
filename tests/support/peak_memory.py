# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much memory and CPU a program takes
---------------------------------------

``ru_maxrss`` of a process counts the memory of its parent too, which it has until it
calls execve(). So a small process starts the program::

    python peak_memory.py FILE PROGRAM [ARGUMENT...]

It writes the peak in KiB and the seconds of CPU to the file, and exits as the program
did.
"""

import os
from pathlib import Path
import subprocess
import sys
from typing import NamedTuple

__all__ = ("Used", "main", "measuring")


class Used(NamedTuple):
    """What a program took."""

    mb: float
    cpu_seconds: float

    @classmethod
    def of(cls, file: Path) -> "Used":
        """Return what was written to a file."""
        peak, seconds = file.read_text().split()
        return cls(int(peak) / 1024, float(seconds))


def measuring(used: Path, *command: str) -> list[str]:
    """Return the command that runs another one and writes what it took to a file."""
    return [sys.executable, "-I", "-S", __file__, str(used), *command]


def main() -> int:
    """Run the program."""
    file, *command = sys.argv[1:]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    Path(file).write_text(f"{used.ru_maxrss} {used.ru_utime + used.ru_stime:.2f}")
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


if __name__ == "__main__":
    sys.exit(main())
