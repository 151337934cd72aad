# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of bpf(2) about maps, and programs that redirect by them.

Each raises OSError if the kernel refuses.
"""

from __future__ import annotations

import ctypes
import struct

from bpf import bpf, instruction

__all__ = (
    "ARRAY",
    "ARRAY_OF_MAPS",
    "BPF_CPUMAP",
    "BPF_DEVMAP",
    "CPUMAP",
    "DEVMAP",
    "DEVMAP_HASH",
    "HASH_OF_MAPS",
    "PROG_ARRAY",
    "XSKMAP",
    "by_queue",
    "create_map",
    "inner_redirect",
    "jump",
    "leave",
    "redirect",
    "touch",
    "update_map",
)

BPF_MAP_CREATE = 0
BPF_MAP_UPDATE_ELEM = 2

# enum bpf_map_type
ARRAY, PROG_ARRAY, ARRAY_OF_MAPS, HASH_OF_MAPS = 2, 3, 12, 13
DEVMAP, CPUMAP, XSKMAP, DEVMAP_HASH = 14, 16, 17, 25
# enum bpf_attach_type
BPF_DEVMAP, BPF_CPUMAP = 33, 35
BPF_FUNC_MAP_LOOKUP = 1
BPF_FUNC_TAIL_CALL = 12
BPF_FUNC_REDIRECT_MAP = 51
BPF_PSEUDO_MAP_FD = 1
XDP_PASS = 2


def create_map(
    kind: int,
    name: str,
    max_entries: int,
    value_size: int = 4,
    inner: int = 0,
) -> int:
    """Create a map with keys of four bytes, and return its descriptor.

    :param inner: of a map of maps, a map like those in it
    """
    attr = struct.pack(
        "<IIIIIII16sI",
        kind,
        4,
        value_size,
        max_entries,
        0,  # map_flags
        inner,
        0,  # numa_node
        name.encode()[:15],
        0,
    )
    return bpf(BPF_MAP_CREATE, attr)


def update_map(fd: int, key: int, *value: int) -> None:
    """Set an entry; its value is made of words of four bytes."""
    keys = ctypes.create_string_buffer(struct.pack("<I", key), 4)
    data = struct.pack(f"<{len(value)}I", *value)
    values = ctypes.create_string_buffer(data, len(data))
    attr = struct.pack(
        "<IIQQQ", fd, 0, ctypes.addressof(keys), ctypes.addressof(values), 0
    )
    bpf(BPF_MAP_UPDATE_ELEM, attr)


def _map_in(register: int, fd: int) -> bytes:
    return instruction(0x18, register, BPF_PSEUDO_MAP_FD, imm=fd) + instruction(0)


def _call(function: int) -> bytes:
    return instruction(0x85, imm=function)


def redirect(fd: int, key: int) -> bytes:
    """bpf_redirect_map(map, key, XDP_PASS)"""
    keys = instruction(0xB7, 2, imm=key) + instruction(0xB7, 3, imm=XDP_PASS)
    return _map_in(1, fd) + keys + _call(BPF_FUNC_REDIRECT_MAP)


def jump(fd: int, index: int) -> bytes:
    """bpf_tail_call(ctx, map, index), at the begin of a program"""
    return _map_in(2, fd) + instruction(0xB7, 3, imm=index) + _call(BPF_FUNC_TAIL_CALL)


def by_queue(fd: int) -> bytes:
    """return bpf_redirect_map(map, ctx->rx_queue_index, XDP_PASS)"""
    keys = instruction(0x61, 2, 1, off=16) + instruction(0xB7, 3, imm=XDP_PASS)
    return keys + _map_in(1, fd) + _call(BPF_FUNC_REDIRECT_MAP) + instruction(0x95)


def _look_up(fd: int, key: int) -> bytes:
    # *(u32 *)(r10 - 4) = key; r2 = r10 - 4; r0 = bpf_map_lookup_elem(map, r2)
    keys = (
        instruction(0x62, 10, off=-4, imm=key)
        + instruction(0xBF, 2, 10)
        + instruction(0x07, 2, imm=-4)
    )
    return keys + _map_in(1, fd) + _call(BPF_FUNC_MAP_LOOKUP)


def inner_redirect(outer: int, key: int) -> bytes:
    """Redirect by entry 0 of a map in a map of maps."""
    code = (
        instruction(0xBF, 1, 0)
        + instruction(0xB7, 2, imm=0)
        + instruction(0xB7, 3, imm=XDP_PASS)
        + _call(BPF_FUNC_REDIRECT_MAP)
    )
    # if (!r0) skip that
    return _look_up(outer, key) + instruction(0x15, 0, off=len(code) // 8) + code


def touch(fd: int) -> bytes:
    """Look something up in a map that has nothing to do with redirects."""
    return _look_up(fd, 0)


def leave() -> bytes:
    """return XDP_PASS"""
    return instruction(0xB7, imm=XDP_PASS) + instruction(0x95)
