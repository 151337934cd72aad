# SPDX-License-Identifier: LGPL-2.1-or-later
"""BPF maps that XDP programs redirect by, and AF_XDP sockets for one kind of them.

Each raises OSError if the kernel refuses.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from typing import NamedTuple

from bpf import bpf
from libc import checked, libc

__all__ = ("CPUMAP", "DEVMAP", "DEVMAP_HASH", "XSKMAP", "XdpSocket", "counts", "create")

BPF_MAP_CREATE = 0
BPF_MAP_UPDATE_ELEM = 2
BPF_F_MMAPABLE = 1 << 10

ARRAY, DEVMAP, CPUMAP, XSKMAP, DEVMAP_HASH = 2, 14, 16, 17, 25

#: Packets are counted by their length, so the last index is the longest packet.
LENGTHS = 512
_COUNT = struct.Struct("<QII")

AF_XDP = 44
SOL_XDP = 283
XDP_MMAP_OFFSETS = 1
XDP_RX_RING = 2
XDP_UMEM_REG = 4
XDP_UMEM_FILL_RING = 5
XDP_UMEM_COMPLETION_RING = 6
XDP_UMEM_PGOFF_FILL_RING = 0x100000000
XDP_COPY = 1 << 1
CHUNK = 4096
ENTRIES = 64


class Count(NamedTuple):
    """What a program saw of the packets of one length; of the last one, where."""

    packets: int
    rx_queue: int
    cpu: int


def create(
    kind: int, value_size: int, entries: int, name: str = "", flags: int = 0
) -> int:
    """Create a map with keys of 4 bytes, and return its descriptor."""
    attr = struct.pack(
        "<IIIIIII16s", kind, 4, value_size, entries, flags, 0, 0, name.encode()[:15]
    )
    return bpf(BPF_MAP_CREATE, attr)


def update(fd: int, key: int, value: bytes) -> None:
    """Set an entry."""
    key_buffer = ctypes.create_string_buffer(struct.pack("<I", key), 4)
    value_buffer = ctypes.create_string_buffer(value, len(value))
    attr = struct.pack(
        "<IIQQQ",
        fd,
        0,
        ctypes.addressof(key_buffer),
        ctypes.addressof(value_buffer),
        0,
    )
    bpf(BPF_MAP_UPDATE_ELEM, attr)


class Counts:
    """An array with what a program saw, by length, which is read without a call."""

    def __init__(self, name: str) -> None:
        self.fd = create(ARRAY, _COUNT.size, LENGTHS, name, BPF_F_MMAPABLE)
        self._memory = mmap.mmap(
            self.fd, LENGTHS * _COUNT.size, mmap.MAP_SHARED, mmap.PROT_READ
        )

    def read(self) -> dict[int, Count]:
        """Return the packets so far, by length."""
        found = map(Count._make, _COUNT.iter_unpack(self._memory[:]))
        return {length: count for length, count in enumerate(found) if count.packets}


def counts(name: str) -> Counts:
    """Make an array for the packets that a program sees."""
    return Counts(name)


class XdpSocket:
    """An AF_XDP socket in copy mode that is bound to a queue of a device."""

    def __init__(self, ifindex: int, queue: int, filled: bool) -> None:
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        self._umem = mmap.mmap(-1, CHUNK * ENTRIES)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._umem))
        self.socket.setsockopt(
            SOL_XDP,
            XDP_UMEM_REG,
            struct.pack("<QQIII4x", address, len(self._umem), CHUNK, 0, 0),
        )
        for ring in XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING:
            self.socket.setsockopt(SOL_XDP, ring, struct.pack("<I", ENTRIES))
        if filled:
            self._fill()
        place = struct.pack("<HHIII", AF_XDP, XDP_COPY, ifindex, queue, 0)
        buffer = ctypes.create_string_buffer(place, len(place))
        checked(libc.bind(self.socket.fileno(), buffer, len(place)))

    def _fill(self) -> None:
        # Four of {producer, consumer, desc, flags}: RX, TX, fill, completion.
        offsets = self.socket.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128)
        producer, _, first, _ = struct.unpack_from("<4Q", offsets, 64)
        # The mmap of Python takes this offset too, but looks at the size of the file.
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_longlong,
        ]
        ring = libc.mmap(
            None,
            first + 8 * ENTRIES,
            mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_SHARED,
            self.socket.fileno(),
            XDP_UMEM_PGOFF_FILL_RING,
        )
        if ring in (None, ctypes.c_void_p(-1).value):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        frames = (ctypes.c_uint64 * ENTRIES).from_address(ring + first)
        for number in range(ENTRIES):
            frames[number] = number * CHUNK
        ctypes.c_uint32.from_address(ring + producer).value = ENTRIES
