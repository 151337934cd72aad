# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets as a local stack makes them: with work left to the device that sends them.

Packet sockets with PACKET_VNET_HDR send them. The kernel does what the device does not:
it finishes checksums, and cuts long packets into segments.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from typing import Optional

from softirqs import drained
from traffic import ETH_P_ALL, PACKET_IGNORE_OUTGOING, PORT, SOL_PACKET, netns

__all__ = (
    "lengths_received",
    "send_gso",
    "send_into_tun",
    "send_unfinished",
    "sent_on",
    "udp_is_right",
)

PACKET_VNET_HDR = 15
VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4 = 0, 1
ETHERNET, IPV4, TCP, UDP = 14, 20, 20, 8
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
PATIENCE = 1.0


def _sum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _ip(protocol: int, payload: bytes) -> bytes:
    length = IPV4 + len(payload)
    fields = (0x45, 0, length, 1, 0, 64, protocol)
    head = struct.pack("!BBHHHBBH", *fields, 0)
    right = ~_sum(head + ADDRESSES) & 0xFFFF
    return struct.pack("!BBHHHBBH", *fields, right) + ADDRESSES + payload


def _frame(packet: bytes) -> bytes:
    # To another host, which the stack leaves alone.
    return b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01" + b"\x08\0" + packet


def _pseudo(protocol: int, length: int) -> int:
    return _sum(ADDRESSES + struct.pack("!HH", protocol, length))


def _send(device: str, where: Optional[str], header: bytes, frame: bytes) -> None:
    with netns(where), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        s.bind((device, 0x0800))
        s.send(header + frame)


def send_unfinished(device: str, where: Optional[str], size: int) -> None:
    """Send an UDP packet with the checksum left to the device."""
    length = size - ETHERNET - IPV4
    pseudo = _pseudo(socket.IPPROTO_UDP, length)
    udp = struct.pack("!HHHH", 20000, PORT, length, pseudo)
    udp += b"x" * (length - UDP)
    header = struct.pack(
        "<BBHHHH",
        *(VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE),
        *(ETHERNET + IPV4 + UDP, 0, ETHERNET + IPV4, 6),
    )
    _send(device, where, header, _frame(_ip(socket.IPPROTO_UDP, udp)))


def send_gso(device: str, where: Optional[str], size: int, segment: int) -> None:
    """Send a TCP packet of many segments."""
    length = size - ETHERNET - IPV4
    pseudo = _pseudo(socket.IPPROTO_TCP, length)
    tcp = struct.pack("!HHIIBBHHH", 20000, PORT, 1, 1, 0x50, 0x10, 1000, pseudo, 0)
    tcp += b"x" * (length - TCP)
    header = struct.pack(
        "<BBHHHH",
        *(VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4),
        *(ETHERNET + IPV4 + TCP, segment, ETHERNET + IPV4, 16),
    )
    _send(device, where, header, _frame(_ip(socket.IPPROTO_TCP, tcp)))


def send_into_tun(device: str, where: Optional[str], size: int, tap: bool) -> None:
    """Let a tun or tap device receive an IPv4 packet of this size.

    A tap gets it with an Ethernet header.
    """
    tunsetiff, iff_tun, iff_tap, iff_no_pi = 0x400454CA, 1, 2, 0x1000
    packet = _ip(socket.IPPROTO_UDP, bytes(size - IPV4))
    with netns(where):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            flags = (iff_tap if tap else iff_tun) | iff_no_pi
            fcntl.ioctl(fd, tunsetiff, struct.pack("16sH22x", device.encode(), flags))
            os.write(fd, _frame(packet) if tap else packet)
        finally:
            os.close(fd)


def udp_is_right(frame: bytes) -> bool:
    """Return whether the checksum of an UDP packet is right."""
    udp = frame[ETHERNET + IPV4 :]
    return (
        _sum(struct.pack("!H", _pseudo(socket.IPPROTO_UDP, len(udp))) + udp) == 0xFFFF
    )


def lengths_received(
    receiver: tuple[str, Optional[str]],
    sender: tuple[str, Optional[str]],
    size: int,
    segment: int,
) -> list[int]:
    """Send a TCP packet of many segments, and return how long the receiver's are.

    :param receiver: A device and its namespace
    """
    lengths: list[int] = []
    with netns(receiver[1]):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with s:
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        s.settimeout(PATIENCE)
        with netns(receiver[1]):
            s.bind((receiver[0], ETH_P_ALL))
        send_gso(*sender, size, segment)
        drained()
        while sum(lengths) < size:
            try:
                frame = s.recv(1 << 17)
            except socket.timeout:
                break
            if frame[36:38] == struct.pack("!H", PORT):
                lengths.append(len(frame))
    return lengths


def sent_on(
    device: str, where: Optional[str], size: int, receiver: str
) -> Optional[bytes]:
    """Send an UDP packet with an unfinished checksum; return it as it arrives.

    :param receiver: A device of the same namespace
    """
    with netns(where), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        s.settimeout(PATIENCE)
        s.bind((receiver, ETH_P_ALL))
        send_unfinished(device, None, size)
        deadline = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline:
            try:
                frame = s.recv(65536)
            except socket.timeout:
                continue
            if len(frame) == size and frame[36:38] == struct.pack("!H", PORT):
                return frame
    return None
