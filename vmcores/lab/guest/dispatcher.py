#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load a dispatcher as libxdp has it: an XDP program that calls functions of its own,
which programs of type EXT replace.

Use: ``dispatcher.py PATH LINK``: ``xdp_dispatcher`` with one function, prog0, is pinned
at PATH; what replaces that function is a BPF link, pinned at LINK.
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import os
import struct
import sys

from bpf import BPF_PROG_TYPE_XDP, bpf, instruction, load, object_id, pin
from xdp import record

__all__ = (
    "BPF_PROG_TYPE_EXT",
    "BPF_PSEUDO_CALL",
    "BPF_RAW_TRACEPOINT_OPEN",
    "NAME",
    "Types",
    "load_typed",
    "main",
)

BPF_RAW_TRACEPOINT_OPEN = 17
BPF_BTF_LOAD = 18
BPF_PROG_TYPE_EXT = 28
BPF_PSEUDO_CALL = 1
BTF_MAGIC = 0xEB9F
# Kinds of include/uapi/linux/btf.h, and a function's linkage.
INT, PTR, STRUCT, FUNC, FUNC_PROTO = 1, 2, 4, 12, 13
GLOBAL = 1

NAME = "xdp_dispatcher"
XDP_PASS = 2


class Types:
    """BTF under construction."""

    def __init__(self) -> None:
        self._strings = b"\0"
        self._types = b""
        self._count = 0

    def _string(self, text: str) -> int:
        at = len(self._strings)
        self._strings += text.encode() + b"\0"
        return at

    def add(
        self, name: str, kind: int, size_or_type: int, more: bytes = b"", many: int = 0
    ) -> int:
        """Add a type and return its number. ``many`` is its vlen."""
        at = self._string(name) if name else 0
        self._types += struct.pack("<III", at, kind << 24 | many, size_or_type) + more
        self._count += 1
        return self._count

    def parameter(self, name: str, type_id: int) -> bytes:
        """What follows a FUNC_PROTO."""
        return struct.pack("<II", self._string(name), type_id)

    def functions(self, *names: str) -> Sequence[int]:
        """Add functions of an XDP program's type, and return their numbers."""
        number = self.add("int", INT, 4, struct.pack("<I", 1 << 24 | 32))
        context = self.add("", PTR, self.add("xdp_md", STRUCT, 24))
        parameter = self.parameter("ctx", context)
        prototype = self.add("", FUNC_PROTO, number, parameter, 1)
        return [self.add(name, FUNC, prototype, many=GLOBAL) for name in names]

    def load(self) -> int:
        """Load it into the kernel and return its descriptor."""
        header = struct.pack(
            "<HBBIIIII",
            BTF_MAGIC,
            1,  # version
            0,  # flags
            24,  # hdr_len
            0,
            len(self._types),
            len(self._types),
            len(self._strings),
        )
        data = header + self._types + self._strings
        buffer = ctypes.create_string_buffer(data, len(data))
        attr = struct.pack("<QQIII", ctypes.addressof(buffer), 0, len(data), 0, 0)
        return bpf(BPF_BTF_LOAD, attr)


def load_typed(
    kind: int,
    name: str,
    code: bytes,
    btf_fd: int,
    functions: Sequence[tuple[int, int]],
    replaces: tuple[int, int] = (0, 0),
) -> int:
    """Load a program: ``functions`` are (instruction, type), ``replaces`` is (type,
    descriptor of the program that has it).
    """
    packed = b"".join(struct.pack("<II", *function) for function in functions)
    infos = ctypes.create_string_buffer(packed, len(packed))
    more = struct.pack(
        "<IIQIIQIII",
        btf_fd,
        8,  # func_info_rec_size
        ctypes.addressof(infos),
        len(functions),
        0,  # line_info_rec_size
        0,  # line_info
        0,  # line_info_cnt
        *replaces,
    )
    return load(name, code, kind=kind, more=more)


def main(arguments: Sequence[str]) -> int:
    """Load both programs, and let one replace a function of the other."""
    path, link_path = arguments
    types = Types()
    main_type, slot_type = types.functions(NAME, "prog0")
    btf_fd = types.load()
    returns = instruction(0xB7, imm=XDP_PASS) + instruction(0x95)
    call = instruction(0x85, src=BPF_PSEUDO_CALL, imm=1) + instruction(0x95)
    dispatcher = load_typed(
        BPF_PROG_TYPE_XDP,
        NAME,
        call + returns,
        btf_fd,
        ((0, main_type), (2, slot_type)),
    )
    extension = load_typed(
        BPF_PROG_TYPE_EXT,
        "at_ext",
        returns,
        btf_fd,
        ((0, slot_type),),
        (slot_type, dispatcher),
    )
    pin(dispatcher, path)
    pin(bpf(BPF_RAW_TRACEPOINT_OPEN, struct.pack("<QII", 0, extension, 0)), link_path)
    record(
        {
            "what": "prog",
            "id": object_id(dispatcher),
            "name": NAME,
            "frags": False,
            "returns": XDP_PASS,
            "expected_attach_type": 0,
            "pin": path,
        }
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as e:
        print(f"dispatcher.py: {e}", file=sys.stderr)
        os._exit(1)
