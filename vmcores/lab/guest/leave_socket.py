#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave a process behind that has a socket in a network namespace that it is not in.

Use: ``leave_socket.py NETNS``. Prints the id of the process and the socket's
descriptor.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import signal
import socket
import sys

from libc import setns

__all__ = ("leave", "main")


def leave(netns: str) -> tuple[int, int]:
    """Return the id of a process with a socket in a namespace, and the descriptor."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    setns(there)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    setns(home)
    os.close(there)
    os.close(home)
    child = os.fork()
    if child == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        while True:
            signal.pause()
    return child, s.fileno()


def main(arguments: Sequence[str]) -> int:
    """Print the id of the process, and the number of its descriptor."""
    print(*leave(arguments[0]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
