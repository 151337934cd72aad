# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Dumps whose memory begins at physical address 0
-----------------------------------------------

QEMU's ELF dump of a small s390x guest has one segment, from 0 on. drgn takes physical
addresses that are all 0 for none at all, and then cannot walk page tables: modules and
vmalloc() would be lost.
"""

import os
import weakref

from drgn import Program

from .elfcore import segment_from_zero

__all__ = ("add_low_memory",)


def add_low_memory(prog: Program, path: str) -> None:
    """
    Show a program its dump as physical memory, if drgn has not.

    :param path: Of the dump
    :raises OSError: if it cannot be read
    """
    with open(path, "rb") as f:
        found = segment_from_zero(f)
        if found is None:
            return
        start, size = found
        fd = os.dup(f.fileno())

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        return os.pread(fd, count, start + offset)

    # The program may outlive the file's name: close it when the program goes.
    weakref.finalize(read, os.close, fd)

    prog.add_memory_segment(0, size, read, True)
