# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much memory a program takes
-------------------------------

``ru_maxrss`` of a process counts the memory of its parent too, which it has until it
calls execve(). So a small process starts the program::

    python peak_memory.py FILE PROGRAM [ARGUMENT...]

It writes the peak in KiB to the file, and exits as the program did.
"""

import os
from pathlib import Path
import subprocess
import sys

__all__ = ("main", "measuring")


def measuring(peak: Path, *command: str) -> list[str]:
    """Return the command that runs another one and writes its peak memory to a file."""
    return [sys.executable, "-I", "-S", __file__, str(peak), *command]


def main() -> int:
    """Run the program."""
    peak, *command = sys.argv[1:]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    Path(peak).write_text(str(used.ru_maxrss))
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


if __name__ == "__main__":
    sys.exit(main())
