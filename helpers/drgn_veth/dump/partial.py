# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Kdump files that were cut off
-----------------------------

libkdumpfile maps the file into memory, and SIGBUS may kill the process when it reads a
page beyond the end of the file. So a child process first tries to open the file. Then a
second program sees the physical memory up to the cut: drgn walks the page tables in it
itself, and never reads beyond the cut.
"""

import contextlib
import faulthandler
import os
import resource
from typing import Optional

from drgn import FaultError, Program

__all__ = ("can_be_opened", "core_of", "without_memory_from")

_PHYSICAL = 1 << 52  # as far as x86-64, arm64 and ppc64 go
_CORE = "drgn_veth.core"


def core_of(prog: Program) -> Optional[str]:
    """Return the path of the dump that a program reads, None if it reads no dump."""
    path: Optional[str] = prog.cache.get(_CORE)
    return path or prog.core_dump_path


def can_be_opened(path: str) -> bool:
    """Return whether a process survives opening a dump."""
    child = os.fork()
    if not child:
        try:
            # No core: 0 does not keep one from a program that core_pattern names.
            # Where the hard limit is 0, only root may set another.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
            faulthandler.disable()  # Its death is an answer, not an error.
            prog = Program()
            prog.set_core_dump(path)
            prog["VMCOREINFO"].string_()
        finally:
            os._exit(0)  # What else is wrong is said by who opens it after this.
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def without_memory_from(whole: Program, end: int) -> Optional[Program]:
    """
    Return a program that sees the memory of a dump up to a physical address.

    :param whole: The dump
    :return: None if drgn is older than 0.1, which has no such programs, or if
        VMCOREINFO is lost
    """
    try:
        part = Program(whole.platform)
        part.set_linux_kernel_custom(whole["VMCOREINFO"].string_(), False)
    except (AttributeError, LookupError, FaultError):
        return None

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        if address + count > end:
            raise FaultError("beyond the end of the truncated dump", max(address, end))
        return whole.read(address, count, True)

    part.add_memory_segment(0, _PHYSICAL, read, True)
    part.cache[_CORE] = core_of(whole)
    return part
