#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave a process behind that the kernel never lets out of a system call.

Its buffer is a page that userfaultfd is to fill, which nobody does: the kernel waits in
the middle of copying, for as long as the process lives, and keeps what it holds there.

Use: ``stall.py send DEVICE``: it sends a packet, and holds a reference to the device.
Once the device is deleted, netdev_run_todo() waits for that reference.

Use: ``stall.py read NETNS FILE``: it reads a file below /proc/net of a namespace, from
outside of the namespace. Whoever removes that file waits for it: with the file of a
device in dev_snmp6, whoever unregisters the device.

Prints the process's id once the kernel waits.
"""

from __future__ import annotations

from collections.abc import Sequence
import errno
import mmap
import os
import select
import socket
import sys
import time
from typing import Callable

from hold_rtnl import open_userfaultfd, watch
from libc import setns

__all__ = ("main", "stall")

_ETH_P_IP = 0x0800


def _send(device: str) -> Callable[[mmap.mmap], object]:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    return lambda page: s.sendto(memoryview(page)[:100], (device, _ETH_P_IP, 0, 0, b""))


def _read(netns: str, file: str) -> Callable[[mmap.mmap], object]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    setns(there)
    fd = os.open("/proc/thread-self/net/" + file, os.O_RDONLY)
    setns(home)
    os.close(there)
    os.close(home)
    return lambda page: os.readv(fd, [page])


def stall(prepare: Callable[[], Callable[[mmap.mmap], object]]) -> int:
    """Start a process that stalls; return its id when it does.

    :param prepare: returns what makes the system call, with a buffer
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        os.setsid()
        call = prepare()
        uffd = open_userfaultfd()
        socket.send_fds(theirs, [b"x"], [uffd])
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        page = mmap.mmap(-1, mmap.PAGESIZE)
        watch(uffd, page, 0)
        try:
            call(page)
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
    raise OSError(errno.ETIMEDOUT, "the system call did not reach its buffer")


def main(arguments: Sequence[str]) -> int:
    """Print the id of the process that stalls."""
    how, *where = arguments
    prepare: dict[str, Callable[..., Callable[[mmap.mmap], object]]]
    prepare = {"send": _send, "read": _read}
    try:
        print(stall(lambda: prepare[how](*where)), flush=True)
    except OSError as e:
        print(f"stall.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
