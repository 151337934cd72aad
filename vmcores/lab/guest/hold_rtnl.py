#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave a process behind that holds rtnl_mutex forever.

It asks for ETHTOOL_SFEATURES, which every device answers and which the kernel reads
from user memory while it holds the mutex. The request lies across two pages, and the
second is one that never comes: see stuck.py. A killed process gives the mutex back, and
nothing has changed then.

Use: ``hold_rtnl.py [DEVICE]`` (default lo). Prints the process's id once the kernel
waits. Whoever asks the kernel for anything under that mutex after this waits as well.
"""

from __future__ import annotations

from collections.abc import Sequence
import fcntl
import mmap
import os
import socket
import struct
import sys

from stuck import Call, address_of, start_stuck

__all__ = ("hold", "main")

SIOCETHTOOL = 0x8946
ETHTOOL_SFEATURES = 0x3B


def _request(device: str) -> Call:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def call(memory: mmap.mmap) -> None:
        at = mmap.PAGESIZE - 8
        # Its head, cmd and size, is in the first page; cmd is read without the mutex.
        struct.pack_into("<II", memory, at, ETHTOOL_SFEATURES, 2)
        request = struct.pack("16sQ16x", os.fsencode(device), address_of(memory) + at)
        fcntl.ioctl(s.fileno(), SIOCETHTOOL, request)

    return call


def hold(device: str) -> int:
    """Start the process that holds the mutex; return its id when it does."""
    return start_stuck(lambda: _request(device), pages=2)


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
