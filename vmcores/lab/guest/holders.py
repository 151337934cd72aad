#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave processes behind that hold a network namespace in each way that there is.

Use: ``holders.py NAME:WAY...`` where NAME is one of ``ip netns``, which may be removed
afterwards, and WAY:

fd
    one process has the file of the namespace open twice, another one once
socket, netlink
    a process has a socket of the namespace
tun
    a process opened /dev/net/tun there
inflight
    the file of the namespace is in the queue of a socket, where nobody has it open
thread
    the second thread of a process is in it
orphan
    likewise, and the first thread has ended
iouring
    likewise, and that thread is one that the kernel made for io_uring (mainline before
    v5.12 makes a kernel thread instead, which is in the initial namespace)
zombie
    a process was in it that has ended, and that nobody has reaped

A record of each goes to WHOSE_RECORDS::

    {"what": "holder", "netns": 4026532529, "kind": "fd", "pid": 300, "comm": "...",
     "fd": 5}

where the kind is WAY, but socket for netlink, and fd is null where the process has none
of the namespace's.
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import os
import socket
import struct
import sys
import threading
import time

from libc import checked, libc, setns
from stay import record, set_comm, stay_behind

__all__ = ("main",)

SYS_IO_URING_SETUP = 425
IORING_SETUP_SQPOLL = 2
# struct io_uring_params: sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle
PARAMS = struct.Struct("<IIIII100x")
IDLE_MS = 100
SYS_EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
NETLINK_ROUTE = 0


class _Way:
    """One way to hold a namespace."""

    def __init__(self, name: str, way: str) -> None:
        self.path = f"/run/netns/{name}"
        self.netns = os.stat(self.path).st_ino
        self.way = way
        self.fds: list[int] = []

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def _inside(self, make: str) -> int:
        """Make something in the namespace, and come back."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = self._open()
        setns(there)
        if make == "tun":
            fd = os.open("/dev/net/tun", os.O_RDWR)
        elif make == "iouring":
            values = PARAMS.pack(0, 0, IORING_SETUP_SQPOLL, 0, IDLE_MS)
            params = ctypes.create_string_buffer(values, PARAMS.size)
            fd = checked(libc.syscall(SYS_IO_URING_SETUP, 4, params))
        elif make == "netlink":
            family = socket.AF_NETLINK
            fd = socket.socket(family, socket.SOCK_RAW, NETLINK_ROUTE).detach()
        else:
            fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
        setns(home)
        os.close(home)
        os.close(there)
        return fd

    def _thread(self) -> None:
        there = self._open()
        ready = threading.Event()

        def run() -> None:
            setns(there)
            set_comm(b"in the thread")
            ready.set()
            while True:
                time.sleep(3600)

        threading.Thread(target=run, daemon=True).start()
        ready.wait()
        os.close(there)

    def process(self, fds: int) -> tuple[int, list[int]]:
        """Start a process; return its id and the descriptors that it has."""
        read_end, write_end = os.pipe()

        def prepare() -> Sequence[int]:
            if self.way == "fd":
                self.fds = [self._open() for _ in range(fds)]
            elif self.way in ("socket", "netlink", "tun", "iouring"):
                self.fds = [self._inside(self.way)]
            elif self.way == "inflight":
                ours, theirs = socket.socketpair()
                there = self._open()
                socket.send_fds(ours, [b"x"], [there])
                os.close(there)
                self.fds = [ours.detach(), theirs.detach()]
            elif self.way == "thread":
                self._thread()
            elif self.way == "zombie":
                self._zombie()
            os.write(write_end, bytes(self.fds) + b"\0")
            return self.fds

        pid = stay_behind(f"holds {self.way}".encode(), prepare)
        said = os.read(read_end, 256)
        os.close(read_end)
        os.close(write_end)
        return pid, [fd for fd in said if fd]

    def _zombie(self) -> None:
        child = os.fork()
        if child == 0:
            there = self._open()
            setns(there)
            set_comm(b"was in it")
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    def orphan(self) -> int:
        """Start a process whose first thread ends; return its id."""
        child = os.fork()
        if child == 0:
            os.setsid()
            set_comm(b"ended")
            self._thread()
            libc.syscall(SYS_EXIT, 0)
        stat = f"/proc/{child}/stat"
        while True:
            with open(stat, encoding="utf-8") as f:
                if f.read().rsplit(") ", 1)[1][0] == "Z":
                    return child
            time.sleep(0.01)


def main(arguments: Sequence[str]) -> int:
    """Make what the arguments ask for."""
    for argument in arguments:
        name, _, kind = argument.partition(":")
        way = _Way(name, kind)
        if kind == "orphan":
            no_fds: list[int] = []
            made = [(way.orphan(), no_fds)]
        else:
            made = [way.process(2)]
            if kind == "fd":
                made.append(way.process(1))
        for pid, fds in made:
            for fd in (*fds,) or (None,):
                record(
                    {
                        "what": "holder",
                        "netns": way.netns,
                        "kind": "socket" if kind == "netlink" else kind,
                        "pid": pid,
                        "comm": f"holds {kind}"[:15],
                        "fd": None if kind == "iouring" else fd,
                    }
                )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
