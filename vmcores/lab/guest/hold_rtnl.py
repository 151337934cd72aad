#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave a process behind that holds rtnl_mutex forever.

It asks for ETHTOOL_SFEATURES, which every device answers and which the kernel reads
from user memory while it holds the mutex. The request lies across two pages, and the
second is one that userfaultfd is to fill, which nobody does: the kernel waits, in the
middle of copy_from_user(), for as long as the process lives. A killed process gives
the mutex back, and nothing has changed then.

Use: ``hold_rtnl.py [DEVICE]`` (default lo). Prints the process's id once the kernel
waits. Whoever asks the kernel for anything under that mutex after this waits as well.
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import time
from typing import NoReturn

from libc import checked, libc

__all__ = ("hold", "main", "open_userfaultfd", "watch")

SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}[os.uname().machine]
UFFD_API = 0xAA
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_REGISTER_MODE_MISSING = 1

SIOCETHTOOL = 0x8946
ETHTOOL_SFEATURES = 0x3B


def open_userfaultfd() -> int:
    """Return a descriptor of userfaultfd."""
    fd = checked(libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK))
    fcntl.ioctl(fd, UFFDIO_API, struct.pack("<QQQ", UFFD_API, 0, 0))
    return fd


def watch(uffd: int, memory: mmap.mmap, offset: int) -> int:
    """Let the kernel wait for a page of a memory; return where the memory is."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(
        uffd,
        UFFDIO_REGISTER,
        struct.pack(
            "<QQQQ", start + offset, mmap.PAGESIZE, UFFDIO_REGISTER_MODE_MISSING, 0
        ),
    )
    return start


def _blocking_request(uffd: int, memory: mmap.mmap) -> int:
    """Return the address of an ethtool_sfeatures whose second page never comes."""
    page = mmap.PAGESIZE
    # Its head, cmd and size, is in the first page; cmd is read without the mutex.
    struct.pack_into("<II", memory, page - 8, ETHTOOL_SFEATURES, 2)
    return watch(uffd, memory, page) + page - 8


def _block(device: str, uffd: int) -> NoReturn:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    address = _blocking_request(uffd, memory)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sQ16x", os.fsencode(device), address)
        try:
            fcntl.ioctl(s.fileno(), SIOCETHTOOL, request)
        finally:
            os._exit(1)


def hold(device: str) -> int:
    """Start the process that holds the mutex; return its id when it does."""
    # The descriptor shows when the child waits. It watches the memory of the process
    # that made it, so the child makes it and sends it here.
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        uffd = open_userfaultfd()
        socket.send_fds(theirs, [b"x"], [uffd])
        _block(device, uffd)
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
            raise OSError(errno.EIO, "the request came back: nothing holds rtnl_mutex")
    raise OSError(errno.ETIMEDOUT, "the request did not reach its second page")


def main(arguments: Sequence[str]) -> int:
    """Print the id of the process that now holds rtnl_mutex."""
    try:
        print(hold(arguments[0] if arguments else "lo"), flush=True)
    except OSError as e:
        print(f"hold_rtnl.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
