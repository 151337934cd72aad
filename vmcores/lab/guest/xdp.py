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
    moved DEV PATH
        The device of the link that is pinned at PATH is in this namespace now.
    in NETNS link|moved ...
        The same in another namespace: a name of ``ip netns``, a process id, or
        the path of a namespace file.

What was made is appended to /run/lab/xdp.jsonl, one object a line::

    {"what": "prog", "id": 7, "name": "...", "frags": false, "returns": 2,
     "expected_attach_type": 0, "pin": "/run/lab/bpf/..."}
    {"what": "link", "id": 3, "prog_id": 7, "netns": 4026531840, "ifindex": 4,
     "name": "...", "mode": "driver", "pin": null, "holder": 312}

A link that has moved has another record, with the place where it is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import ctypes
import json
import os
import shlex
import signal
import socket
import struct
import sys
from typing import NamedTuple, NoReturn

__all__ = (
    "MODES",
    "Batch",
    "LinkInfo",
    "XdpError",
    "bpf",
    "create_link",
    "detach_link",
    "link_ids",
    "link_info",
    "load_program",
    "main",
    "netns_path",
    "object_id",
    "open_link",
    "open_pinned",
    "open_program",
    "pin",
    "record",
    "setns",
    "update_link",
)

Record = dict[str, str | int | bool | None]

RECORDS = "/run/lab/xdp.jsonl"

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

CLONE_NEWNET = 0x40000000

MODES = {"default": 0, "generic": 2, "driver": 4, "offload": 8}

_libc = ctypes.CDLL(None, use_errno=True)


class XdpError(Exception):
    """A command that is wrong, or that the kernel refused."""


class LinkInfo(NamedTuple):
    """What struct bpf_link_info says of an XDP link."""

    link_id: int
    prog_id: int
    #: In the namespace of the device. 0 when the device is gone.
    ifindex: int


def _bpf_read(command: int, attr: bytes) -> tuple[int, bytes]:
    """Return the attributes too, into which the kernel may have written."""
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result: int = _libc.syscall(SYS_BPF, command, buffer, len(attr))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result, buffer.raw


def bpf(command: int, attr: bytes) -> int:
    """Call bpf(2); raise OSError where it fails."""
    return _bpf_read(command, attr)[0]


def setns(fd: int) -> None:
    """Enter the network namespace of a descriptor."""
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _pointer(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


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
        flags,
        name.encode()[:15],
        bound_ifindex,
        attach_type,
    )
    return bpf(BPF_PROG_LOAD, attr)


def create_link(prog_fd: int, ifindex: int, flags: int) -> int:
    """Attach to a device of the current namespace, return the link's descriptor."""
    return bpf(BPF_LINK_CREATE, struct.pack("<IIII", prog_fd, ifindex, BPF_XDP, flags))


def update_link(fd: int, prog_fd: int, old_prog_fd: int | None = None) -> None:
    """Put another program into a link; with an old one, only if it is there."""
    flags = 0 if old_prog_fd is None else BPF_F_REPLACE
    bpf(BPF_LINK_UPDATE, struct.pack("<IIII", fd, prog_fd, flags, old_prog_fd or 0))


def detach_link(fd: int) -> None:
    """Take a link off its device, and leave it to its holders."""
    bpf(BPF_LINK_DETACH, struct.pack("<I", fd))


def open_program(prog_id: int) -> int:
    """Return a descriptor of the program with this number."""
    return bpf(BPF_PROG_GET_FD_BY_ID, struct.pack("<III", prog_id, 0, 0))


def open_link(link_id: int) -> int:
    """Return a descriptor of the link with this number."""
    return bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("<III", link_id, 0, 0))


def link_ids() -> Iterator[int]:
    """The numbers of all links, whatever their type."""
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
    """Give an object of bpf(2) a name in a BPF file system."""
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    bpf(BPF_OBJ_PIN, struct.pack("<QII", _pointer(buffer), fd, 0))


def open_pinned(path: str) -> int:
    """Return a descriptor of what is pinned there."""
    buffer = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(BPF_OBJ_GET, struct.pack("<QII", _pointer(buffer), 0, 0))


def _info(fd: int) -> bytes:
    info = ctypes.create_string_buffer(256)
    bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", fd, len(info), _pointer(info)))
    return info.raw


def object_id(fd: int) -> int:
    """Return the number of a program or of a link."""
    # The second word of struct bpf_prog_info and of struct bpf_link_info alike.
    (number,) = struct.unpack_from("<I", _info(fd), 4)
    return int(number)


def link_info(fd: int) -> LinkInfo | None:
    """Return what the kernel says of a link, or None when it is none of XDP."""
    kind, link_id, prog_id, _, ifindex = struct.unpack_from("<IIIII", _info(fd))
    if kind != BPF_LINK_TYPE_XDP:
        return None
    return LinkInfo(link_id, prog_id, ifindex)


def netns_path(netns: str) -> str:
    """Return the file of a namespace that is named as ``in`` names it."""
    if "/" in netns:
        return netns
    if netns.isdigit():
        return f"/proc/{netns}/ns/net"
    return "/run/netns/" + netns


def record(*made: Record) -> None:
    """Append what was made to RECORDS."""
    os.makedirs(os.path.dirname(RECORDS), exist_ok=True)
    with open(RECORDS, "a", encoding="ascii") as f:
        for one in made:
            f.write(json.dumps(one) + "\n")


class Batch:
    """Commands, and the records of what they made."""

    def __init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.records: list[Record] = []
        self.held: list[tuple[int, Record]] = []

    def _load(self, words: Sequence[str]) -> None:
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
                "id": object_id(fd),
                "name": name,
                "frags": frags,
                "returns": returns,
                "expected_attach_type": attach_type,
                "pin": path,
            }
        )
        os.close(fd)

    def _link(self, words: Sequence[str], netns: str | None) -> None:
        prog_path, device, mode, place = words
        prog_fd = open_pinned(prog_path)
        if netns is not None:
            fd = os.open(netns_path(netns), os.O_RDONLY | os.O_CLOEXEC)
            setns(fd)
            os.close(fd)
        try:
            ifindex = socket.if_nametoindex(device)
            inum = os.stat("/proc/self/ns/net").st_ino
            link_fd = create_link(prog_fd, ifindex, MODES[mode])
        finally:
            if netns is not None:
                setns(self.home)
        made: Record = {
            "what": "link",
            "id": object_id(link_fd),
            "prog_id": object_id(prog_fd),
            "netns": inum,
            "ifindex": ifindex,
            "name": device,
            "mode": mode,
            "pin": None,
            "holder": None,
        }
        os.close(prog_fd)
        self.records.append(made)
        if place == "hold":
            self.held.append((link_fd, made))
        else:
            pin(link_fd, place)
            made["pin"] = place
            os.close(link_fd)

    def _moved(self, words: Sequence[str], netns: str | None) -> None:
        device, path = words
        fd = open_pinned(path)
        info = link_info(fd)
        os.close(fd)
        if info is None:
            raise XdpError("this is no XDP link")
        inum = os.stat(netns_path(netns) if netns else "/proc/self/ns/net").st_ino
        # Its mode is the one it was made with.
        (mode,) = {r["mode"] for r in _records() if r["id"] == info.link_id}
        self.records.append(
            {
                "what": "link",
                "id": info.link_id,
                "prog_id": info.prog_id,
                "netns": inum,
                "ifindex": info.ifindex,
                "name": device,
                "mode": mode,
                "pin": path,
                "holder": None,
            }
        )

    def run(self, words: Sequence[str]) -> None:
        """Run one command."""
        try:
            if words[0] == "load":
                self._load(words[1:])
            elif words[0] == "link":
                self._link(words[1:], None)
            elif words[0] == "moved":
                self._moved(words[1:], None)
            elif words[0] == "in" and words[2] == "link":
                self._link(words[3:], words[1])
            elif words[0] == "in" and words[2] == "moved":
                self._moved(words[3:], words[1])
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
            for fd, made in self.held:
                made["holder"] = child
                os.close(fd)
        record(*self.records)


def _records() -> Iterator[Record]:
    with open(RECORDS, encoding="ascii") as f:
        for line in f:
            made = json.loads(line)
            if made["what"] == "link":
                yield made


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
    batch = Batch()
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
