#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Send packets, so that there is something to count.

Use: ``send.py COMMAND [, COMMAND]...``; a COMMAND is one of::

    to DEVICE COUNT [CPU...]   send UDP packets: COUNT from each of the CPUs, by default
                               from CPU 0; they pass by the qdisc
    queue DEVICE COUNT         the same from CPU 0, through the qdisc
    tun DEVICE COUNT           write packets to a tun or tap, as its program does
    redirect PATH DEVICE       where the ``redirect`` program at PATH sends to

A DEVICE in another namespace is NETNS/DEVICE. What the kernel does not take is its
matter: it counts that, too.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import fcntl
import os
import socket
import struct
import sys

from programs import set_redirect
from traffic import frame, netns, send

__all__ = ("main",)

TUNSETIFF = 0x400454CA
IFF_TUN = 1
IFF_TAP = 2
IFF_NO_PI = 0x1000
ETHERNET = 14


def _tun(device: str, count: int) -> None:
    with open("/dev/net/tun", "r+b", buffering=0) as f:
        with open(f"/sys/class/net/{device}/tun_flags", encoding="ascii") as flags:
            tap = int(flags.read(), 0) & IFF_TAP
        mode = (IFF_TAP if tap else IFF_TUN) | IFF_NO_PI
        request = device.encode().ljust(16, b"\0") + struct.pack("<H22x", mode)
        fcntl.ioctl(f, TUNSETIFF, request)
        for flow in range(count):
            packet = frame(400, flow)
            with contextlib.suppress(OSError):
                f.write(packet if tap else packet[ETHERNET:])


def _command(words: Sequence[str]) -> None:
    what, device, *rest = words
    if what == "redirect":
        (target,) = rest
        set_redirect(device, socket.if_nametoindex(target))
        return
    where, _, name = device.rpartition("/")
    count, *cpus = map(int, rest)
    if what == "tun":
        with netns(where or None):
            _tun(name, count)
        return
    for cpu in cpus or [0]:
        send(name, cpu, count, where or None, bypass={"to": True, "queue": False}[what])


def main(arguments: Sequence[str]) -> int:
    """Carry out the commands."""
    os.sched_setaffinity(0, {0})
    words: list[str] = []
    for word in (*arguments, ","):
        if word != ",":
            words.append(word)
        elif words:
            _command(words)
            words = []
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
