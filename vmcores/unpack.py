#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unpack a recorded core, for drgn to open: ``unpack.py NAME.core.xz FOLDER``.

Prints the path of the core. Needs nothing but Python.
"""

import lzma
import os
from pathlib import Path
import shutil
import sys
import tempfile

__all__ = ("main", "unpack")


def unpack(packed: Path, folder: Path) -> Path:
    """Return the core, unpacked into a folder unless it is there already."""
    goal = folder / packed.name[: -len(".xz")]
    if not goal.exists() or goal.stat().st_mtime < packed.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
            with lzma.open(packed) as core:
                shutil.copyfileobj(core, out)
        os.replace(out.name, goal)
    return goal


def main(arguments: list[str]) -> int:
    """Unpack what the arguments name."""
    if len(arguments) != 2:
        print("usage: unpack.py NAME.core.xz FOLDER", file=sys.stderr)
        return 2
    print(unpack(Path(arguments[0]), Path(arguments[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
