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

A link whose device has moved has a second record, with its new place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import json
import os
import shlex
import signal
import socket
import sys
from typing import NoReturn

from bpf import (
    MODES,
    create_link,
    link_info,
    load_program,
    object_id,
    open_pinned,
    pin,
)
from libc import setns
from places import XDP_RECORDS, lines

__all__ = ("Batch", "XdpError", "main", "netns_path", "record")

Record = dict[str, str | int | bool | None]


class XdpError(Exception):
    """The command is wrong, or the kernel refused it."""


def netns_path(netns: str) -> str:
    """Return the file of a namespace, named as for ``in``."""
    if "/" in netns:
        return netns
    if netns.isdigit():
        return f"/proc/{netns}/ns/net"
    return "/run/netns/" + netns


def record(*made: Record) -> None:
    """Append what was made to XDP_RECORDS."""
    os.makedirs(os.path.dirname(XDP_RECORDS), exist_ok=True)
    with open(XDP_RECORDS, "a", encoding="ascii") as f:
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
        # A link keeps its mode.
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
    for line in lines(XDP_RECORDS):
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
    """Run the commands. If one fails, what the others before it made is recorded."""
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
