#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Put words into packets and into a process's memory, and keep them there.

What is made of a dump for others to see must not have them. The words are put
together here, so that the page cache of this file does not have them as well.
"""

import os
import socket
import sys
import time

__all__ = ("main",)

PACKETS = 16


def main() -> int:
    """Go to the background once everything is in place."""
    words = {what: "-".join(("DRGN", "VETH", what)) for what in ("PACKET", "USER")}
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    payload = (words["PACKET"] * 40).encode()
    for _ in range(PACKETS):
        sender.sendto(payload, receiver.getsockname())
    memory = bytearray((words["USER"] * 40000).encode())
    if os.fork():
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    while memory and receiver:
        time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
