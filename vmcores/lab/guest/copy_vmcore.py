# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copy /proc/vmcore as it is: copy_vmcore.py /proc/vmcore FILE.

It is mapped, as for read() the kernel maps and unmaps each page of the old memory by
itself. Zeros become holes.
"""

import mmap
import os
import sys

__all__ = ("copy", "main")

CHUNK = 16 << 20
BLOCK = 64 << 10
ZEROS = bytes(BLOCK)


def copy(source: str, goal: str) -> None:
    """Copy a file that can be mapped, but for blocks of zeros."""
    with open(source, "rb") as old, open(goal, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        for start in range(0, size, CHUNK):
            length = min(CHUNK, size - start)
            with mmap.mmap(
                old.fileno(), length, mmap.MAP_PRIVATE, mmap.PROT_READ, offset=start
            ) as part:
                for at in range(0, length, BLOCK):
                    block = part[at : at + BLOCK]
                    if block != ZEROS[: len(block)]:
                        new.seek(start + at)
                        new.write(block)
        new.truncate(size)


def main() -> None:
    """Copy what the arguments name."""
    copy(*sys.argv[1:])


if __name__ == "__main__":
    main()
