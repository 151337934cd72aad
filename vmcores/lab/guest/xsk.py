# SPDX-License-Identifier: LGPL-2.1-or-later
"""AF_XDP sockets, with nothing but the system calls."""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
from typing import NamedTuple

from libc import checked, libc

__all__ = ("Ring", "Socket")

AF_XDP = 44
SOL_XDP = 283
XDP_MMAP_OFFSETS = 1
XDP_RX_RING, XDP_TX_RING, XDP_UMEM_REG = 2, 3, 4
XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 5, 6
XDP_STATISTICS, XDP_OPTIONS = 7, 8
XDP_SHARED_UMEM, XDP_COPY, XDP_USE_NEED_WAKEUP = 1, 2, 8
XDP_RING_NEED_WAKEUP = 1
XDP_OPTIONS_ZEROCOPY = 1

CHUNK = 2048
CHUNKS = 64
_OPTIONS = {
    "rx": XDP_RX_RING,
    "tx": XDP_TX_RING,
    "fill": XDP_UMEM_FILL_RING,
    "completion": XDP_UMEM_COMPLETION_RING,
}
_PAGE_OFFSETS = {
    "rx": 0,
    "tx": 0x80000000,
    "fill": 0x100000000,
    "completion": 0x180000000,
}
_DESCRIPTOR = {"rx": 16, "tx": 16, "fill": 8, "completion": 8}


class Ring(NamedTuple):
    """A ring, mapped."""

    size: int
    memory: mmap.mmap
    producer: int
    consumer: int
    desc: int
    flags: int

    def word(self, at: int) -> int:
        """Return a number of it."""
        (value,) = struct.unpack_from("<I", self.memory, at)
        return int(value)

    @property
    def used(self) -> int:
        """How much was produced and not yet consumed."""
        return (self.word(self.producer) - self.word(self.consumer)) & 0xFFFFFFFF

    @property
    def needs_wakeup(self) -> bool:
        """Whether the kernel waits for a system call."""
        return bool(self.word(self.flags) & XDP_RING_NEED_WAKEUP)

    def fill(self, count: int) -> None:
        """Produce addresses of chunks."""
        for i in range(count):
            struct.pack_into("<Q", self.memory, self.desc + 8 * i, i * CHUNK)
        struct.pack_into("<I", self.memory, self.producer, count)


class Socket:
    """An AF_XDP socket of the current network namespace.

    :param sizes: entries of its rings, by name: rx, tx, fill, completion
    """

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW)
        self.wakeup = False
        self.umem: mmap.mmap | None = None
        if "fill" in sizes:
            self.umem = mmap.mmap(-1, CHUNK * CHUNKS)
            address = ctypes.addressof(ctypes.c_char.from_buffer(self.umem))
            region = struct.pack("<QQIIQ", address, len(self.umem), CHUNK, 0, 0)
            self._set(XDP_UMEM_REG, region)
        for name, size in sizes.items():
            self._set(_OPTIONS[name], struct.pack("<i", size))
        self.rings = {name: self._map(name, size) for name, size in sizes.items()}

    def _set(self, option: int, value: bytes) -> None:
        self.socket.setsockopt(SOL_XDP, option, value)

    def _map(self, name: str, size: int) -> Ring:
        offsets = self.socket.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128)
        index = ("rx", "tx", "fill", "completion").index(name)
        # producer, consumer, desc, flags
        each = struct.unpack_from("<4Q", offsets, 32 * index)
        length = each[2] + size * _DESCRIPTOR[name]
        memory = mmap.mmap(
            self.socket.fileno(),
            length,
            mmap.MAP_SHARED,
            offset=_PAGE_OFFSETS[name],
        )
        return Ring(size, memory, each[0], each[1], each[2], each[3])

    def bind(
        self,
        device: str,
        queue: int,
        *,
        copy: bool = True,
        wakeup: bool = False,
        shared: int = 0,
    ) -> None:
        """Bind it to a queue.

        :param shared: descriptor of the socket whose umem it uses
        """
        self.wakeup = wakeup
        flags = XDP_SHARED_UMEM if shared else 0
        if not shared:
            flags |= XDP_COPY if copy else 0
            flags |= XDP_USE_NEED_WAKEUP if wakeup else 0
        index = socket.if_nametoindex(device)
        address = struct.pack("<HHIII", AF_XDP, flags, index, queue, shared)
        buffer = ctypes.create_string_buffer(address, len(address))
        checked(libc.bind(self.socket.fileno(), buffer, len(address)))

    @property
    def zero_copy(self) -> bool:
        """Whether its packets are not copied."""
        options = self.socket.getsockopt(SOL_XDP, XDP_OPTIONS, 4)
        return bool(struct.unpack("<I", options)[0] & XDP_OPTIONS_ZEROCOPY)

    @property
    def statistics(self) -> tuple[int, ...]:
        """rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full, ..."""
        data = self.socket.getsockopt(SOL_XDP, XDP_STATISTICS, 48)
        return struct.unpack(f"<{len(data) // 8}Q", data)
