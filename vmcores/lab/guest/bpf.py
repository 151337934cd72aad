# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls of bpf(2): XDP programs, and BPF links that attach them.

Each raises OSError if the kernel refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
import ctypes
import os
import struct
from typing import NamedTuple

from libc import checked, libc

__all__ = (
    "BPF_F_REPLACE",
    "MODES",
    "LinkInfo",
    "bpf",
    "create_link",
    "detach_link",
    "instruction",
    "link_ids",
    "link_info",
    "load",
    "load_program",
    "object_id",
    "open_link",
    "open_pinned",
    "open_program",
    "pin",
    "update_link",
)

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_LOAD = 5
BPF_OBJ_PIN = 6
BPF_OBJ_GET = 7
BPF_PROG_GET_FD_BY_ID = 13
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_LINK_CREATE = 28
BPF_LINK_UPDATE = 29
BPF_LINK_GET_FD_BY_ID = 30
BPF_LINK_GET_NEXT_ID = 31
BPF_LINK_DETACH = 34

BPF_PROG_TYPE_XDP = 6
BPF_XDP = 37
BPF_LINK_TYPE_XDP = 6
BPF_F_XDP_HAS_FRAGS = 1 << 5
BPF_F_XDP_DEV_BOUND_ONLY = 1 << 6
BPF_F_REPLACE = 1 << 2

#: The flags of an attach, by mode.
MODES = {"default": 0, "generic": 2, "driver": 4, "offload": 8}


class LinkInfo(NamedTuple):
    """struct bpf_link_info of an XDP link."""

    link_id: int
    prog_id: int
    #: In the namespace of the device. 0 when the device is gone.
    ifindex: int


def _bpf_read(command: int, attr: bytes) -> tuple[int, bytes]:
    """Call bpf(2), and return the attributes as well: the kernel may write to them."""
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result = checked(libc.syscall(SYS_BPF, command, buffer, len(attr)))
    return result, buffer.raw


def bpf(command: int, attr: bytes) -> int:
    """Call bpf(2)."""
    return _bpf_read(command, attr)[0]


def instruction(
    code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0
) -> bytes:
    """Return one instruction of eBPF."""
    return struct.pack("<BBhi", code, dst | src << 4, off, imm)


def load(
    name: str,
    code: bytes,
    *,
    kind: int = BPF_PROG_TYPE_XDP,
    flags: int = 0,
    ifindex: int = 0,
    attach_type: int = 0,
    more: bytes = b"",
    log_bytes: int = 65536,
) -> int:
    """Load a program and return its descriptor.

    :param more: what follows expected_attach_type in union bpf_attr
    :param log_bytes: how much of the verifier's log an error may have; 0 for no log
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(log_bytes)
    attr = struct.pack(
        "<IIQQIIQII16sII",
        kind,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        1 if log_bytes else 0,  # log_level
        log_bytes,
        ctypes.addressof(log) if log_bytes else 0,
        0,  # kern_version
        flags,
        name.encode()[:15],
        ifindex,
        attach_type,
    )
    try:
        return bpf(BPF_PROG_LOAD, attr + more)
    except OSError as e:
        if not log_bytes:
            raise
        said = log.value.decode(errors="replace")
        raise OSError(e.errno, f"{e.strerror}: {name}: {said}") from e


def load_program(
    name: str,
    returns: int = 2,
    frags: bool = False,
    attach_type: int = 0,
    bound_ifindex: int = 0,
) -> int:
    """Load ``r0 = returns; exit`` as an XDP program and return its descriptor.

    With an ifindex it is bound to that device of the current namespace.
    """
    flags = BPF_F_XDP_HAS_FRAGS if frags else 0
    if bound_ifindex:
        flags |= BPF_F_XDP_DEV_BOUND_ONLY
    return load(
        name,
        instruction(0xB7, imm=returns) + instruction(0x95),  # mov64 r0, imm; exit
        flags=flags,
        ifindex=bound_ifindex,
        attach_type=attach_type,
        log_bytes=0,
    )


def create_link(prog_fd: int, ifindex: int, flags: int) -> int:
    """Attach to a device of the current namespace, and return the link's descriptor."""
    return bpf(BPF_LINK_CREATE, struct.pack("<IIII", prog_fd, ifindex, BPF_XDP, flags))


def update_link(fd: int, prog_fd: int, old_prog_fd: int | None = None) -> None:
    """Replace the program of a link; given an old one, only if the link has that."""
    flags = 0 if old_prog_fd is None else BPF_F_REPLACE
    bpf(BPF_LINK_UPDATE, struct.pack("<IIII", fd, prog_fd, flags, old_prog_fd or 0))


def detach_link(fd: int) -> None:
    """Detach a link from its device. The link lives as long as something holds it."""
    bpf(BPF_LINK_DETACH, struct.pack("<I", fd))


def open_program(prog_id: int) -> int:
    """Return a descriptor of the program with this id."""
    return bpf(BPF_PROG_GET_FD_BY_ID, struct.pack("<III", prog_id, 0, 0))


def open_link(link_id: int) -> int:
    """Return a descriptor of the link with this id."""
    return bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("<III", link_id, 0, 0))


def link_ids() -> Iterator[int]:
    """Yield the ids of all links, of any type."""
    link_id = 0
    while True:
        try:
            _, attr = _bpf_read(
                BPF_LINK_GET_NEXT_ID, struct.pack("<III", link_id, 0, 0)
            )
        except FileNotFoundError:
            return
        (link_id,) = struct.unpack_from("<I", attr, 4)
        yield link_id


def pin(fd: int, path: str) -> None:
    """Pin an object at a path in a BPF file system."""
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    bpf(BPF_OBJ_PIN, struct.pack("<QII", ctypes.addressof(buffer), fd, 0))


def open_pinned(path: str) -> int:
    """Return a descriptor of the object pinned at a path."""
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(buffer), 0, 0))


def _info(fd: int) -> bytes:
    info = ctypes.create_string_buffer(256)
    bpf(
        BPF_OBJ_GET_INFO_BY_FD,
        struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)),
    )
    return info.raw


def object_id(fd: int) -> int:
    """Return the id of a program or a link."""
    # The second word both of struct bpf_prog_info and of struct bpf_link_info.
    (number,) = struct.unpack_from("<I", _info(fd), 4)
    return int(number)


def link_info(fd: int) -> LinkInfo | None:
    """Return what the kernel says about a link, or None if it is not an XDP link."""
    kind, link_id, prog_id, _, ifindex = struct.unpack_from("<IIIII", _info(fd))
    if kind != BPF_LINK_TYPE_XDP:
        return None
    return LinkInfo(link_id, prog_id, ifindex)
