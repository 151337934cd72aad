# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes that the kernel never lets out of a system call.

The memory that the call is given has a page that userfaultfd is to fill, which nobody
does: the kernel waits in the middle of copying, for as long as the process lives, and
keeps what it holds there. A killed process gives it back.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import time
from typing import Callable

from libc import checked, libc

__all__ = ("Call", "address_of", "start_stuck")

SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}[os.uname().machine]
UFFD_API = 0xAA
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_REGISTER_MODE_MISSING = 1

#: Makes a system call with a memory whose last page never comes.
Call = Callable[[mmap.mmap], object]


def address_of(memory: mmap.mmap) -> int:
    """Return where a memory is."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _open_userfaultfd() -> int:
    fd = checked(libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK))
    fcntl.ioctl(fd, UFFDIO_API, struct.pack("<QQQ", UFFD_API, 0, 0))
    return fd


def _watch_last_page(uffd: int, memory: mmap.mmap) -> None:
    page = mmap.PAGESIZE
    last = address_of(memory) + len(memory) - page
    wanted = struct.pack("<QQQQ", last, page, UFFDIO_REGISTER_MODE_MISSING, 0)
    fcntl.ioctl(uffd, UFFDIO_REGISTER, wanted)


def start_stuck(prepare: Callable[[], Call], pages: int = 1) -> int:
    """Start a process that is stuck in a system call; return its id when it is.

    :param prepare: is called in that process; returns what makes the system call
    :param pages: of the memory that the call is given
    """
    # The descriptor shows when the child waits. It watches the memory of the process
    # that made it, so the child makes it and sends it here.
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        os.setsid()
        call = prepare()
        uffd = _open_userfaultfd()
        socket.send_fds(theirs, [b"x"], [uffd])
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        memory = mmap.mmap(-1, pages * mmap.PAGESIZE)
        _watch_last_page(uffd, memory)
        try:
            call(memory)
        finally:
            os._exit(1)
    theirs.close()
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    if not fds:
        raise OSError(errno.EIO, "the child could not prepare itself")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select(fds, [], [], 0.2)[0]:
            # There is a fault to handle. Nobody reads it, so the child is stuck.
            return child
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            raise OSError(errno.EIO, "the system call came back")
    raise OSError(errno.ETIMEDOUT, "the system call did not reach the page")
