# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets whose length says which flow they belong to, and the sockets to send them.

They are IPv4/UDP to another host, so they have a flow hash, and the stack drops them
where it looks at the address. They can name a TX queue, for a program that reads it.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Optional

from traffic import SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_PACKET, netns

from .programs import order

__all__ = ("FIRST_LENGTH", "STRANGER", "Sender", "Watch", "frame", "length_of")

#: The length of flow 0, with the Ethernet header.
FIRST_LENGTH = 80
PACKET_QDISC_BYPASS = 20
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
STRANGER = "02:00:00:00:00:02"


def length_of(flow: int) -> int:
    """Return the length of the packets of a flow, with the Ethernet header."""
    return FIRST_LENGTH + flow


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(
    flow: int, port: int, queue: Optional[int], to: str = STRANGER, tag: int = 0
) -> bytes:
    """Return a packet.

    :param queue: The TX queue that it names
    :param tag: The number of a VLAN, 0 for no tag
    """
    size = length_of(flow)
    vlan = struct.pack("!HH", 0x8100, tag) if tag else b""
    length = size - 14 - len(vlan)
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    fields = (0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP)
    head = struct.pack("!BBHHHBBH", *fields, 0)
    head = struct.pack("!BBHHHBBH", *fields, _checksum(head + addresses))
    udp = struct.pack("!HHHH", port, 9, length - 20, 0)
    mac = bytes.fromhex(to.replace(":", "")) + b"\x02\0\0\0\0\x01"
    packet = mac + vlan + struct.pack("!H", 0x0800) + head + addresses + udp
    packet += order(queue)
    return packet + bytes(size - len(packet))


class Sender:
    """A packet socket on a device of the current namespace."""

    def __init__(self, device: str, bypass: bool) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if bypass:
            self.socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
        self.socket.bind((device, 0))

    def send(self, packets: list[bytes], cpu: int) -> int:
        """Send from a CPU, and return how many the kernel took."""
        os.sched_setaffinity(0, {cpu})
        taken = 0
        for packet in packets:
            try:
                self.socket.send(packet)
                taken += 1
            except OSError:
                # The returned number shows it.
                pass
        return taken

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Watch:
    """Counts the packets that a device receives, by length."""

    def __init__(self, device: str, where: Optional[str] = None) -> None:
        with netns(where):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self.socket.bind((device, ETH_P_ALL))
            self.socket.setblocking(False)

    def read(self) -> dict[int, int]:
        """Return how many packets came since the last call, by length."""
        found: dict[int, int] = {}
        while True:
            try:
                length = len(self.socket.recv(4096))
            except OSError:
                return found
            found[length] = found.get(length, 0) + 1

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
