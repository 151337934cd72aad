#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""XDP programs that do more than return a number, each with a map, both pinned.

Use: ``programs.py KIND PATH [, KIND PATH]...``: the program is pinned at PATH, its map
at PATH_map. ``fill PATH DEVICE`` puts a device into the map. The kinds::

    observe   XDP_PASS; counts the packets by CPU, and keeps how many bytes it saw of
              the last one (data_end - data)
    redirect  bpf_redirect() to the ifindex that is in the map, XDP_PASS while that is 0
    devmap    bpf_redirect_map() to the device in the map, XDP_PASS while there is none
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from dataclasses import dataclass
import os
import resource
import socket
import struct
import sys

from bpf import bpf, instruction, load, open_pinned, pin
from bpf_map import redirect

__all__ = ("Seen", "main", "observed", "set_redirect")

BPF_MAP_CREATE = 0
BPF_MAP_LOOKUP_ELEM = 1
BPF_MAP_UPDATE_ELEM = 2

BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_DEVMAP = 2, 14
BPF_PSEUDO_MAP_FD = 1

# Helpers, by number.
MAP_LOOKUP_ELEM, GET_SMP_PROCESSOR_ID, REDIRECT = 1, 8, 23

XDP_PASS = 2
CPUS = 64


@dataclass(frozen=True)
class Seen:
    """What an ``observe`` program saw on one CPU."""

    packets: int
    last_bytes: int


def _lookup(map_fd: int) -> bytes:
    """r0 = the entry whose index is at fp - 4."""
    return b"".join(
        (
            instruction(0xBF, 2, 10),  # r2 = fp
            instruction(0x07, 2, imm=-4),  # r2 += -4
            instruction(0x18, 1, BPF_PSEUDO_MAP_FD, imm=map_fd),  # r1 = map
            instruction(0),
            instruction(0x85, imm=MAP_LOOKUP_ELEM),
        )
    )


def _observe(map_fd: int) -> bytes:
    return b"".join(
        (
            instruction(0xBF, 6, 1),  # r6 = ctx
            instruction(0x85, imm=GET_SMP_PROCESSOR_ID),
            instruction(0x63, 10, 0, -4),  # *(u32 *)(fp - 4) = r0
            _lookup(map_fd),
            instruction(0x15, 0, off=6),  # if r0 == 0 goto out
            instruction(0xB7, 1, imm=1),  # r1 = 1
            instruction(0xDB, 0, 1, 0),  # lock *(u64 *)(r0 + 0) += r1
            instruction(0x61, 2, 6, 4),  # r2 = ctx->data_end
            instruction(0x61, 3, 6, 0),  # r3 = ctx->data
            instruction(0x1F, 2, 3),  # r2 -= r3
            instruction(0x7B, 0, 2, 8),  # *(u64 *)(r0 + 8) = r2
            instruction(0xB7, 0, imm=XDP_PASS),  # out: r0 = XDP_PASS
            instruction(0x95),
        )
    )


def _redirect(map_fd: int) -> bytes:
    return b"".join(
        (
            instruction(0x62, 10, 0, -4),  # *(u32 *)(fp - 4) = 0
            _lookup(map_fd),
            instruction(0x15, 0, off=5),  # if r0 == 0 goto pass
            instruction(0x61, 1, 0, 0),  # r1 = *(u32 *)(r0 + 0)
            instruction(0x15, 1, off=3),  # if r1 == 0 goto pass
            instruction(0xB7, 2),  # r2 = 0
            instruction(0x85, imm=REDIRECT),
            instruction(0x95),
            instruction(0xB7, 0, imm=XDP_PASS),  # pass: r0 = XDP_PASS
            instruction(0x95),
        )
    )


def _devmap(map_fd: int) -> bytes:
    return redirect(map_fd, 0) + instruction(0x95)


_KINDS = {
    "observe": (_observe, 16, CPUS, BPF_MAP_TYPE_ARRAY),
    "redirect": (_redirect, 4, 1, BPF_MAP_TYPE_ARRAY),
    "devmap": (_devmap, 4, 1, BPF_MAP_TYPE_DEVMAP),
}


def _load(kind: str, path: str) -> None:
    make, value_size, entries, map_type = _KINDS[kind]
    name = os.path.basename(path)
    map_fd = bpf(
        BPF_MAP_CREATE,
        struct.pack(
            "<IIIIIII16s",
            map_type,
            4,
            value_size,
            entries,
            0,
            0,
            0,
            name.encode()[:15],
        ),
    )
    fd = load(name, make(map_fd))
    pin(fd, path)
    pin(map_fd, path + "_map")
    os.close(fd)
    os.close(map_fd)


def observed(path: str) -> dict[int, Seen]:
    """Return what the ``observe`` program pinned at ``path`` saw, by CPU."""
    fd = open_pinned(path + "_map")
    try:
        seen = {}
        for cpu in range(min(os.cpu_count() or 1, CPUS)):
            key = ctypes.create_string_buffer(struct.pack("<I", cpu), 4)
            value = ctypes.create_string_buffer(16)
            attr = struct.pack(
                "<IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0
            )
            bpf(BPF_MAP_LOOKUP_ELEM, attr)
            seen[cpu] = Seen(*struct.unpack("<QQ", value.raw))
        return seen
    finally:
        os.close(fd)


def set_redirect(path: str, ifindex: int) -> None:
    """Set the device to which the ``redirect`` program pinned at ``path`` sends."""
    fd = open_pinned(path + "_map")
    try:
        key = ctypes.create_string_buffer(4)
        value = ctypes.create_string_buffer(struct.pack("<I", ifindex), 4)
        attr = struct.pack(
            "<IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0
        )
        bpf(BPF_MAP_UPDATE_ELEM, attr)
    finally:
        os.close(fd)


def main(arguments: Sequence[str]) -> int:
    """Load the programs named by the arguments."""
    # Before 5.11, maps count as locked memory.
    resource.setrlimit(
        resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    for words in " ".join(arguments).split(","):
        try:
            kind, path, *device = words.split()
            if kind == "fill":
                set_redirect(path, socket.if_nametoindex(device[0]))
            else:
                _load(kind, path)
        except (KeyError, ValueError, OSError) as e:
            print(f"programs.py: {words.strip()}: {e!r}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
