# SPDX-License-Identifier: LGPL-2.1-or-later
"""XDP programs that count packets by length, and programs of tc."""

from __future__ import annotations

import struct
from typing import Optional

from bpf import instruction, load, object_id

from .counting import Counts

__all__ = ("FRAGS", "Program", "chooser", "order", "tc_program")

BPF_PROG_TYPE_SCHED_CLS = 3
BPF_PSEUDO_MAP_FD = 1
FRAGS = 1 << 5

# Helpers, by number.
MAP_LOOKUP_ELEM, GET_SMP_PROCESSOR_ID, REDIRECT, REDIRECT_MAP = 1, 8, 23, 51

TC_ACT_UNSPEC, TC_ACT_SHOT = -1, 2
#: Where a packet has what chooser() reads.
ORDER_OFFSET = 42


def _map(fd: int, register: int) -> bytes:
    return instruction(0x18, register, BPF_PSEUDO_MAP_FD, imm=fd) + instruction(0)


def _verdict(code: bytes) -> bytes:
    return code + instruction(0x95)


def returns(action: int) -> bytes:
    """Code that returns a number."""
    return _verdict(instruction(0xB7, imm=action))


def redirects(ifindex: int) -> bytes:
    """Code that calls bpf_redirect()."""
    return _verdict(
        instruction(0xB7, 1, imm=ifindex)
        + instruction(0xB7, 2)
        + instruction(0x85, imm=REDIRECT)
    )


def redirects_by(map_fd: int, key: int) -> bytes:
    """Code that calls bpf_redirect_map(); XDP_ABORTED where there is no entry."""
    return _verdict(
        _map(map_fd, 1)
        + instruction(0xB7, 2, imm=key)
        + instruction(0xB7, 3)
        + instruction(0x85, imm=REDIRECT_MAP)
    )


class Program:
    """An XDP program that counts packets, by their length, and then does something."""

    def __init__(
        self, name: str, then: bytes, flags: int = 0, attach_type: int = 0
    ) -> None:
        self.counts = Counts(name)
        code = b"".join(
            (
                instruction(0xBF, 6, 1),  # r6 = ctx
                instruction(0x61, 2, 6, 0),  # r2 = ctx->data
                instruction(0x61, 3, 6, 4),  # r3 = ctx->data_end
                instruction(0x1F, 3, 2),  # r3 -= r2
                instruction(0x57, 3, imm=511),  # r3 &= 511
                instruction(0x63, 10, 3, -4),  # *(u32 *)(fp - 4) = r3
                instruction(0xBF, 2, 10),  # r2 = fp
                instruction(0x07, 2, imm=-4),  # r2 += -4
                _map(self.counts.fd, 1),
                instruction(0x85, imm=MAP_LOOKUP_ELEM),
                instruction(0x15, 0, off=7),  # if r0 == 0 goto then
                instruction(0xBF, 7, 0),  # r7 = r0
                instruction(0xB7, 1, imm=1),  # r1 = 1
                instruction(0xDB, 7, 1, 0),  # lock *(u64 *)(r7 + 0) += r1
                instruction(0x61, 2, 6, 16),  # r2 = ctx->rx_queue_index
                instruction(0x63, 7, 2, 8),  # *(u32 *)(r7 + 8) = r2
                instruction(0x85, imm=GET_SMP_PROCESSOR_ID),
                instruction(0x63, 7, 0, 12),  # *(u32 *)(r7 + 12) = r0
                then,
            )
        )
        self.fd = load(name, code, flags=flags, attach_type=attach_type)
        self.id = object_id(self.fd)


def chooser() -> int:
    """Load the program that gives a packet the TX queue that the packet names.

    It is for an egress hook. netdev_pick_tx() then takes the RX queue that it finds
    recorded, unless XPS says otherwise. A packet that came by bpf_redirect() would not
    do: since v6.4 it skips generic XDP, on the next device too.
    """
    code = b"".join(
        (
            instruction(0xBF, 6, 1),  # r6 = ctx
            instruction(0x61, 2, 6, 76),  # r2 = ctx->data
            instruction(0x61, 3, 6, 80),  # r3 = ctx->data_end
            instruction(0xBF, 4, 2),  # r4 = r2
            instruction(0x07, 4, imm=ORDER_OFFSET + 4),  # r4 += ...
            instruction(0x2D, 4, 3, 2),  # if r4 > r3 goto out
            instruction(0x61, 1, 2, ORDER_OFFSET),  # r1 = the TX queue plus one
            instruction(0x63, 6, 1, 12),  # ctx->queue_mapping = r1
            instruction(0xB7, 0, imm=TC_ACT_UNSPEC),  # out: on to the next filter
            instruction(0x95),
        )
    )
    return load("chooser", code, kind=BPF_PROG_TYPE_SCHED_CLS)


def tc_program(name: str, action: int) -> int:
    """Load a program for a tc hook that returns a number."""
    return load(name, returns(action), kind=BPF_PROG_TYPE_SCHED_CLS)


def order(queue: Optional[int]) -> bytes:
    """What chooser() reads in a packet; None for no queue in particular."""
    return struct.pack("<I", 0 if queue is None else queue + 1)
