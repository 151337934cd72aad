# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The user half of the address space
----------------------------------

A kernel stores nothing of its own there: a pointer into it is NULL, or damaged. But an
ELF dump without page tables, such as QEMU's, gives all memory the virtual address 0,
and drgn then reads physical memory through a NULL pointer.
"""

from drgn import Architecture, FaultError, Program

from ..core.errors import attempt
from ..core.unreadable import Unreadable

__all__ = ("hide_user_half",)

# On s390x, the kernel's addresses begin at 0.
_SPLIT = (Architecture.X86_64, Architecture.AARCH64, Architecture.PPC64)
_USER_HALF = 1 << 56  # with the most levels of page tables


def _fault(address: int, count: int, offset: int, physical: bool) -> bytes:
    raise FaultError("not a kernel address", address)


def hide_user_half(prog: Program) -> None:
    """
    Make reads of user addresses fail.

    Does nothing where they fail anyway, and on architectures whose kernel may have
    such addresses.
    """
    platform = prog.platform
    if platform is None or platform.arch not in _SPLIT:
        return
    if isinstance(attempt(prog.read, 0, 1), Unreadable):
        return
    prog.add_memory_segment(0, _USER_HALF, _fault, False)
