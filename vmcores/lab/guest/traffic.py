# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that leave on a chosen TX queue, and on which CPU they arrive.

The packets are IPv4/UDP, so they have a flow hash, and nobody answers them. Packet
sockets with PACKET_QDISC_BYPASS send them: without XPS, the TX queue is then the CPU of
the sender modulo the number of queues.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import ctypes
from dataclasses import dataclass
import errno
import os
import socket
import struct
import time
from types import TracebackType
from typing import Optional

from libc import setns
from softirqs import drained

__all__ = (
    "ETH_P_ALL",
    "PACKET_IGNORE_OUTGOING",
    "PORT",
    "SMALL",
    "SOL_PACKET",
    "Arrived",
    "Listener",
    "frame",
    "netns",
    "send",
)

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_QDISC_BYPASS = 20
PACKET_IGNORE_OUTGOING = 23
SO_ATTACH_FILTER = 26
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33

# What the filter of a socket can read about a packet beyond its bytes.
SKF_AD_OFF = -0x1000
SKF_AD_QUEUE = 24
SKF_AD_CPU = 36

# "discard".
PORT = 9
# The filter truncates a packet to a length that encodes its CPU and queue_mapping.
BASE = 100
SMALL = 400
PATIENCE = 0.4


@dataclass(frozen=True)
class Arrived:
    """Where a packet was when it reached the socket; ``queue`` is queue_mapping."""

    cpu: int
    queue: int


@contextlib.contextmanager
def netns(name: Optional[str]) -> Iterator[None]:
    """Enter a namespace of ``ip netns``; None for the current one."""
    if name is None:
        yield
        return
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open("/run/netns/" + name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            setns(home)
    finally:
        os.close(home)


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(size: int, flow: int) -> bytes:
    """Return a packet of that many bytes, of one of many flows."""
    length = size - 14
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    fields = (0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP)
    head = struct.pack("!BBHHHBBH", *fields, 0)
    head = struct.pack("!BBHHHBBH", *fields, _checksum(head + addresses))
    udp = struct.pack("!HHHH", 20000 + flow, PORT, length - 20, 0)
    # The stack takes the frame for one to another host, which goes through the same
    # receive queues.
    ethernet = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01" + struct.pack("!H", 0x0800)
    packet = ethernet + head + addresses + udp
    return packet + bytes(size - len(packet))


def send(
    device: str,
    cpu: int,
    count: int,
    where: Optional[str] = None,
    size: int = SMALL,
    bypass: bool = True,
) -> int:
    """Send packets from a CPU, and return how many the kernel accepted.

    ``where`` is the namespace of the device, ``size`` counts the Ethernet header;
    ``bypass``: past the qdisc.
    """
    before = os.sched_getaffinity(0)
    taken = 0
    with netns(where), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
        # Packets that wait in a ring must not stop the sender.
        s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
        s.bind((device, 0))
        os.sched_setaffinity(0, {cpu})
        try:
            for flow in range(count):
                try:
                    s.send(frame(size, flow))
                    taken += 1
                except OSError:
                    # The returned number shows it.
                    pass
        finally:
            os.sched_setaffinity(0, before)
    return taken


class Listener:
    """Sees the packets of send() that a device receives, as a context manager."""

    def __init__(self, device: str, where: Optional[str] = None) -> None:
        with netns(where):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            code = b"".join(
                struct.pack("<HBBI", op, jt, jf, k & 0xFFFFFFFF)
                for op, jt, jf, k in (
                    (0x28, 0, 0, 12),  # ldh [12]
                    (0x15, 0, 11, 0x0800),  # IPv4
                    (0x30, 0, 0, 23),  # ldb [23]
                    (0x15, 0, 9, socket.IPPROTO_UDP),
                    (0x28, 0, 0, 36),  # ldh [36]
                    (0x15, 0, 7, PORT),
                    (0x20, 0, 0, SKF_AD_OFF + SKF_AD_QUEUE),
                    (0x64, 0, 0, 4),  # lsh 4
                    (0x07, 0, 0, 0),  # tax
                    (0x20, 0, 0, SKF_AD_OFF + SKF_AD_CPU),
                    (0x0C, 0, 0, 0),  # add x
                    (0x04, 0, 0, BASE),  # add
                    (0x16, 0, 0, 0),  # ret a
                    (0x06, 0, 0, 0),  # ret 0
                )
            )
            buffer = ctypes.create_string_buffer(code, len(code))
            self._socket.setsockopt(
                socket.SOL_SOCKET,
                SO_ATTACH_FILTER,
                struct.pack("@HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer)),
            )
            self._socket.bind((device, ETH_P_ALL))

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._socket.close()

    def arrived(self, expected: int, patience: float = PATIENCE) -> list[Arrived]:
        """
        Return the packets since the last call: ``expected``, or as many as come until
        none has come for that many seconds.
        """
        drained()
        self._socket.settimeout(patience)
        found: list[Arrived] = []
        deadline = time.monotonic() + 20 * patience
        while len(found) < expected and time.monotonic() < deadline:
            try:
                length = len(self._socket.recv(65536)) - BASE
            except socket.timeout:
                break
            except OSError as e:
                # Nothing can arrive at a device that is down.
                if e.errno == errno.ENETDOWN:
                    break
                raise
            found.append(Arrived(length & 15, length >> 4))
        return found
