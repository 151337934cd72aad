# SPDX-License-Identifier: LGPL-2.1-or-later
"""The arrays in which XDP programs count packets, by their length."""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

from bpf import bpf
from bpf_map import ARRAY, BPF_MAP_CREATE

__all__ = ("LENGTHS", "Count", "Counts")

BPF_F_MMAPABLE = 1 << 10

#: The last index is the longest packet.
LENGTHS = 512
_COUNT = struct.Struct("<QII")


class Count(NamedTuple):
    """What a program saw of the packets of one length; of the last one, where."""

    packets: int
    rx_queue: int
    cpu: int


class Counts:
    """An array with what a program saw, by length, which is read without a call."""

    def __init__(self, name: str) -> None:
        attr = struct.pack(
            "<IIIIIII16s",
            *(ARRAY, 4, _COUNT.size, LENGTHS, BPF_F_MMAPABLE, 0, 0),
            name.encode()[:15],
        )
        self.fd = bpf(BPF_MAP_CREATE, attr)
        self._memory = mmap.mmap(
            self.fd, LENGTHS * _COUNT.size, mmap.MAP_SHARED, mmap.PROT_READ
        )

    def read(self) -> dict[int, Count]:
        """Return the packets so far, by length."""
        found = map(Count._make, _COUNT.iter_unpack(self._memory[:]))
        return {length: count for length, count in enumerate(found) if count.packets}
