# SPDX-License-Identifier: LGPL-2.1-or-later
"""AF_XDP sockets: one that can be bound, with a umem of a few frames."""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct

from libc import checked, libc

__all__ = ("FLAGS", "XskSocket")

AF_XDP = 44
SOL_XDP = 283
XDP_RX_RING = 2
XDP_UMEM_REG = 4
XDP_UMEM_FILL_RING = 5
XDP_UMEM_COMPLETION_RING = 6
FRAME = 4096
FRAMES = 4

#: sxdp_flags, in the words of a question.
FLAGS = {"copy": 2, "zerocopy": 4, "need-wakeup": 8, "sg": 16, "unknown-flag": 256}


class XskSocket:
    """An AF_XDP socket of the current namespace. It can be bound once."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, FRAME * FRAMES)
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        where = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        region = struct.pack("<QQIII4x", where, FRAME * FRAMES, FRAME, 0, 0)
        self.socket.setsockopt(SOL_XDP, XDP_UMEM_REG, region)
        for ring in (XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING):
            self.socket.setsockopt(SOL_XDP, ring, FRAMES)

    def bind(self, ifindex: int, queue: int, flags: int) -> None:
        """Bind the socket.

        :raises OSError: the kernel refused
        """
        # Python cannot make a struct sockaddr_xdp.
        address = struct.pack("<HHIII", AF_XDP, flags, ifindex, queue, 0)
        checked(libc.bind(self.socket.fileno(), address, len(address)))

    def close(self) -> None:
        """Close the socket. The kernel lets go of the queue a moment later."""
        self.socket.close()
