#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Send packets both ways through all pairs of the scene "scale".

Use: ``scale_traffic.py PAIRS NAMESPACES PACKETS``. It fails unless every packet
arrives, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
import socket
import sys
import time

from paths.packets import frame
from traffic import SO_SNDBUFFORCE, netns

__all__ = ("main",)


def _received(devices: Sequence[str]) -> int:
    total = 0
    for device in devices:
        path = f"/sys/class/net/{device}/statistics/rx_packets"
        with open(path, encoding="ascii") as f:
            total += int(f.read())
    return total


def _send(devices: Sequence[str], count: int) -> int:
    """Send from devices of this namespace, by one socket: to close one takes long."""
    packets = [frame(0, 20000 + n, None) for n in range(count)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
        for device in devices:
            for packet in packets:
                s.sendto(packet, (device, 0))
    return len(devices) * count


def main(arguments: Sequence[str]) -> int:
    """Send."""
    pairs, namespaces, packets = map(int, arguments)
    ends = [f"veth{n}" for n in range(pairs)]
    before = _received(ends)
    taken = _send(ends, packets)
    # They are known here by what their peers have received.
    back = 0
    for where in range(namespaces):
        with netns(f"ns{where}"):
            numbers = range(where, pairs, namespaces)
            back += _send([f"eth{n // namespaces}" for n in numbers], packets)
    for _ in range(50):  # Other CPUs may have some of them.
        arrived = _received(ends) - before
        if arrived == back:
            break
        time.sleep(0.1)
    print(f"traffic: {taken} sent, {back} sent back, {arrived} of those arrived")
    return 0 if taken == back == arrived == pairs * packets else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
