#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load, pin and link tiny XDP programs with nothing but bpf(2).

The guest has no compiler, and starting a process there is slow, so one call
takes many commands: from its arguments, separated by a ``,`` of its own, or
one a line from standard input when there are no arguments::

    load NAME PATH [frags] [ret N] [attach N]
        Load a program that returns N (default 2, XDP_PASS) and pin it at PATH.
        frags sets BPF_F_XDP_HAS_FRAGS, attach the expected_attach_type.
    link PROG DEV MODE PATH|hold
        BPF_LINK_CREATE of the program pinned at PROG on the device DEV.
        MODE is default, generic, driver or offload. The link is pinned at PATH,
        or kept open by one process that stays behind.
    in NETNS link ...
        The same in another namespace: a name of ``ip netns``, a process id, or
        the path of a namespace file.

What was made is appended to /run/lab/xdp.jsonl, one object a line::

    {"what": "prog", "id": 7, "name": "...", "frags": false, "returns": 2,
     "expected_attach_type": 0, "pin": "/run/lab/bpf/..."}
    {"what": "link", "id": 3, "prog_id": 7, "netns": 4026531840, "ifindex": 4,
     "name": "...", "mode": "driver", "pin": null, "holder": 312}
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import json
import os
import shlex
import signal
import socket
import struct
import sys
from typing import NoReturn

__all__ = ("XdpError", "create_link", "load_program", "main", "netns_path", "pin")

Record = dict[str, str | int | bool | None]

RECORDS = "/run/lab/xdp.jsonl"

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_LOAD = 5
BPF_OBJ_PIN = 6
BPF_OBJ_GET = 7
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_LINK_CREATE = 28

BPF_PROG_TYPE_XDP = 6
BPF_XDP = 37
BPF_F_XDP_HAS_FRAGS = 1 << 5

CLONE_NEWNET = 0x40000000

MODES = {"default": 0, "generic": 2, "driver": 4, "offload": 8}

_libc = ctypes.CDLL(None, use_errno=True)


class XdpError(Exception):
    """A command that is wrong, or that the kernel refused."""


def _bpf(command: int, attr: bytes) -> int:
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result: int = _libc.syscall(SYS_BPF, command, buffer, len(attr))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _pointer(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def load_program(
    name: str, returns: int = 2, frags: bool = False, attach_type: int = 0
) -> int:
    """Load ``r0 = returns; exit`` as an XDP program and return its descriptor."""
    # mov64 r0, imm; exit
    code = struct.pack("<BBhiBBhi", 0xB7, 0, 0, returns, 0x95, 0, 0, 0)
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    attr = struct.pack(
        "<IIQQIIQII16sII",
        BPF_PROG_TYPE_XDP,
        len(code) // 8,
        _pointer(instructions),
        _pointer(licence),
        0,  # log_level
        0,  # log_size
        0,  # log_buf
        0,  # kern_version
        BPF_F_XDP_HAS_FRAGS if frags else 0,
        name.encode()[:15],
        0,  # prog_ifindex
        attach_type,
    )
    return _bpf(BPF_PROG_LOAD, attr)


def create_link(prog_fd: int, ifindex: int, flags: int) -> int:
    """Attach to a device of the current namespace, return the link's descriptor."""
    return _bpf(BPF_LINK_CREATE, struct.pack("<IIII", prog_fd, ifindex, BPF_XDP, flags))


def pin(fd: int, path: str) -> None:
    """Give an object of bpf(2) a name in a BPF file system."""
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(BPF_OBJ_PIN, struct.pack("<QII", _pointer(buffer), fd, 0))


def _open_pinned(path: str) -> int:
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    return _bpf(BPF_OBJ_GET, struct.pack("<QII", _pointer(buffer), 0, 0))


def _object_id(fd: int) -> int:
    """Second word of struct bpf_prog_info and of struct bpf_link_info alike."""
    info = ctypes.create_string_buffer(256)
    _bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, len(info), _pointer(info)))
    (object_id,) = struct.unpack_from("<I", info, 4)
    return int(object_id)


def netns_path(netns: str) -> str:
    """Return the file of a namespace that is named as ``in`` names it."""
    if "/" in netns:
        return netns
    if netns.isdigit():
        return f"/proc/{netns}/ns/net"
    return "/run/netns/" + netns


class _Batch:
    def __init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.records: list[Record] = []
        self.held: list[tuple[int, Record]] = []

    def load(self, words: Sequence[str]) -> None:
        name, path = words[0], words[1]
        returns, frags, attach_type = 2, False, 0
        options = list(words[2:])
        while options:
            option = options.pop(0)
            if option == "frags":
                frags = True
            elif option == "ret":
                returns = int(options.pop(0))
            elif option == "attach":
                attach_type = int(options.pop(0))
            else:
                raise XdpError("unknown option: " + option)
        fd = load_program(name, returns, frags, attach_type)
        pin(fd, path)
        self.records.append(
            {
                "what": "prog",
                "id": _object_id(fd),
                "name": name,
                "frags": frags,
                "returns": returns,
                "expected_attach_type": attach_type,
                "pin": path,
            }
        )
        os.close(fd)

    def link(self, words: Sequence[str], netns: str | None) -> None:
        prog_path, device, mode, place = words
        prog_fd = _open_pinned(prog_path)
        if netns is not None:
            fd = os.open(netns_path(netns), os.O_RDONLY | os.O_CLOEXEC)
            _setns(fd)
            os.close(fd)
        try:
            ifindex = socket.if_nametoindex(device)
            inum = os.stat("/proc/self/ns/net").st_ino
            link_fd = create_link(prog_fd, ifindex, MODES[mode])
        finally:
            if netns is not None:
                _setns(self.home)
        record: Record = {
            "what": "link",
            "id": _object_id(link_fd),
            "prog_id": _object_id(prog_fd),
            "netns": inum,
            "ifindex": ifindex,
            "name": device,
            "mode": mode,
            "pin": None,
            "holder": None,
        }
        os.close(prog_fd)
        self.records.append(record)
        if place == "hold":
            self.held.append((link_fd, record))
        else:
            pin(link_fd, place)
            record["pin"] = place
            os.close(link_fd)

    def run(self, words: Sequence[str]) -> None:
        try:
            if words[0] == "load":
                self.load(words[1:])
            elif words[0] == "link":
                self.link(words[1:], None)
            elif words[0] == "in" and words[2] == "link":
                self.link(words[3:], words[1])
            else:
                raise XdpError("unknown command")
        except (KeyError, IndexError, ValueError) as e:
            raise XdpError(f"wrong use: {e!r}") from e

    def finish(self) -> None:
        """Leave a process behind for the links that are held; write the records."""
        if self.held:
            child = os.fork()
            if child == 0:
                _hold()
            for fd, record in self.held:
                record["holder"] = child
                os.close(fd)
        os.makedirs(os.path.dirname(RECORDS), exist_ok=True)
        with open(RECORDS, "a", encoding="ascii") as f:
            for record in self.records:
                f.write(json.dumps(record) + "\n")


def _hold() -> NoReturn:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    while True:
        signal.pause()


def _commands(arguments: Sequence[str]) -> list[list[str]]:
    if not arguments:
        return [
            words
            for words in (shlex.split(line, comments=True) for line in sys.stdin)
            if words
        ]
    commands: list[list[str]] = [[]]
    for word in arguments:
        if word == ",":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def main(arguments: Sequence[str]) -> int:
    """Run the commands; what was made before one that fails stays, and is recorded."""
    batch = _Batch()
    status = 0
    for words in _commands(arguments):
        try:
            batch.run(words)
        except (XdpError, OSError) as e:
            print("xdp.py: {}: {}".format(" ".join(words), e), file=sys.stderr)
            status = 1
            break
    batch.finish()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
