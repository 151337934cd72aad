#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Leave a process behind that the kernel never lets out of a system call.

Use: ``stall.py send DEVICE``: it sends a packet, and holds a reference to the device.
Once the device is deleted, netdev_run_todo() waits for that reference.

Use: ``stall.py read NETNS FILE``: it reads a file below /proc/net of a namespace, from
outside of the namespace. Whoever removes that file waits for it: with the file of a
device in dev_snmp6, whoever unregisters the device.

Prints the process's id once the kernel waits: see stuck.py.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import socket
import sys
from typing import Callable

from libc import setns
from stuck import Call, start_stuck

__all__ = ("main",)

_ETH_P_IP = 0x0800


def _send(device: str) -> Call:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    return lambda page: s.sendto(memoryview(page)[:100], (device, _ETH_P_IP, 0, 0, b""))


def _read(netns: str, file: str) -> Call:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    setns(there)
    fd = os.open("/proc/thread-self/net/" + file, os.O_RDONLY)
    setns(home)
    os.close(there)
    os.close(home)
    return lambda page: os.readv(fd, [page])


def main(arguments: Sequence[str]) -> int:
    """Print the id of the process that stalls."""
    how, *where = arguments
    prepare: dict[str, Callable[..., Call]] = {"send": _send, "read": _read}
    try:
        print(start_stuck(lambda: prepare[how](*where)), flush=True)
    except OSError as e:
        print(f"stall.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
