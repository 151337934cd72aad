#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Eight loops that change devices and namespaces, until /run/lab/moving.stop exists.

Each is a process of its own. What it makes is called by its number: the pair 17 is m17a
and m17b, the namespace 17 is n17. This program ends when all have been round for a
while; they go on. In the end, /run/lab/moving.json has how often each was round, and
the IDs of the programs of the loop that attaches them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
import os
import struct
import subprocess
import sys
import time
import traceback
from typing import Callable

from bpf import MODES, load_program, object_id
from devices import Routing, ifinfomsg, reply_to
from ethtool import set_channels
from libc import checked, libc, setns
from netlink import NLA_F_NESTED, attribute
from places import RUN, lines, whole_file

__all__ = ("LOOPS", "main")

STOP = RUN + "/moving.stop"
COUNTS = RUN + "/moving.json"

RTM_NEWLINK, RTM_DELLINK = 16, 17
NLM_F_CREATE_EXCL = 0x600
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 3, 10, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 31, 32
VETH_INFO_PEER = 1
IFF_UP = 1
CLONE_NEWNET = 0x40000000

#: Numbers of pairs that one loop may use.
_EACH = 1000

_Loop = Callable[[int], Iterator[None]]


def _name(name: str) -> bytes:
    return attribute(IFLA_IFNAME, name.encode() + b"\0")


def _place(fd: int | None) -> bytes:
    return b"" if fd is None else attribute(IFLA_NET_NS_FD, struct.pack("<i", fd))


def _netns(name: str) -> int:
    return os.open("/run/netns/" + name, os.O_RDONLY | os.O_CLOEXEC)


class Links:
    """The devices of one namespace, which this process enters."""

    def __init__(self, netns: int | None = None) -> None:
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.fd = home if netns is None else netns
        setns(self.fd)
        self._routing = Routing()
        if netns is not None:
            setns(home)
            os.close(home)

    def pair(
        self, number: int, netns: int | None = None, queues: int = 1, flags: int = 0
    ) -> tuple[int, int]:
        """Make a pair; the second end may be in another namespace."""
        count = struct.pack("<I", queues)
        counts = attribute(IFLA_NUM_TX_QUEUES, count)
        counts += attribute(IFLA_NUM_RX_QUEUES, count)
        other = ifinfomsg(0) + _name(f"m{number}b") + _place(netns) + counts
        info = attribute(IFLA_INFO_KIND, b"veth\0")
        info += attribute(
            IFLA_INFO_DATA | NLA_F_NESTED,
            attribute(VETH_INFO_PEER | NLA_F_NESTED, other),
        )
        self.ask(
            RTM_NEWLINK,
            ifinfomsg(0)
            + _name(f"m{number}a")
            + counts
            + attribute(IFLA_LINKINFO | NLA_F_NESTED, info),
            NLM_F_CREATE_EXCL,
        )
        first = self.index(f"m{number}a")
        return first, 0 if netns is not None else self.index(f"m{number}b")

    def ask(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send a request."""
        reply = reply_to(self._routing, kind, flags, body)
        if reply.errno:
            raise OSError(reply.errno, f"{os.strerror(reply.errno)} {reply.message}")

    def index(self, name: str) -> int:
        """Return the ifindex of a device."""
        found = self._routing.ask(18, 0, ifinfomsg(0) + _name(name))
        return int(struct.unpack_from("<4xi", next(found))[0])

    def set(self, index: int, more: bytes) -> None:
        """Change a device."""
        self.ask(RTM_NEWLINK, ifinfomsg(index) + more)

    def up(self, index: int) -> None:
        """Set a device up."""
        self.ask(RTM_NEWLINK, struct.pack("<BxHiII", 0, 0, index, IFF_UP, IFF_UP))

    def xdp(self, index: int, program: int, mode: str) -> None:
        """Attach a program, or detach what is there (-1)."""
        reply = self._routing.set_xdp(index, program, MODES[mode])
        if reply.errno:
            raise OSError(reply.errno, f"XDP: {reply.message}")

    def delete(self, index: int) -> None:
        """Delete a device, and its peer."""
        self.ask(RTM_DELLINK, ifinfomsg(index))


def _numbers(first: int) -> Iterator[int]:
    while True:
        yield from range(first, first + _EACH)


def births(first: int) -> Iterator[None]:
    """Make pairs and delete them: the next gets the memory of the last."""
    links = Links()
    for number in _numbers(first):
        one, _ = links.pair(number)
        yield
        links.delete(one)


def births_afar(first: int) -> Iterator[None]:
    """The same, with the second end in another namespace."""
    links, netns = Links(), _netns("stay1")
    for number in _numbers(first):
        one, _ = links.pair(number, netns)
        yield
        links.delete(one)


def names(first: int) -> Iterator[None]:
    """Rename both ends of one pair."""
    links = Links()
    ends = links.pair(first)
    for number in _numbers(0):
        for index, end in zip(ends, "ab"):
            links.set(index, _name(f"m{first}{end}{number}"))
            yield


def moves(first: int) -> Iterator[None]:
    """Move one end of a pair from namespace to namespace."""
    places = [Links(), Links(_netns("stay2")), Links(_netns("stay3"))]
    places[0].pair(first)
    while True:
        for here, there in zip(places, places[1:] + places[:1]):
            here.set(here.index(f"m{first}b"), _place(there.fd))
            yield


def programs(first: int) -> Iterator[None]:
    """Attach two programs in turn, of both modes."""
    links = Links()
    one, other = links.pair(first)
    links.up(other)
    links.up(one)
    fds = [load_program(f"turn_{i}") for i in range(2)]
    _note({f"turn_{i}": object_id(fd) for i, fd in enumerate(fds)})
    while True:
        for mode in ("generic", "driver"):
            for fd in (*fds, -1):
                links.xdp(one, fd, mode)
                yield


def queues(first: int) -> Iterator[None]:
    """Change queues. One end has a program: the other never has more TX queues."""
    links = Links()
    one, other = links.pair(first, queues=4)
    a, b = f"m{first}a", f"m{first}b"
    set_channels(b, 1, 1)
    links.xdp(one, load_program("queues"), "driver")
    links.up(other)
    links.up(one)
    while True:
        for name, rx, tx in ((a, 4, 1), (b, 1, 4), (b, 1, 1), (a, 1, 1)):
            if not set_channels(name, rx, tx):
                raise OSError(f"{name} does not take {rx} and {tx} channels")
            yield


def namespaces(first: int) -> Iterator[None]:
    """Make namespaces with one end of a pair, and end them."""
    links = Links()
    for number in _numbers(first):
        name = f"n{number}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        netns = _netns(name)
        links.pair(number, netns)
        os.close(netns)
        yield
        subprocess.run(["ip", "netns", "delete", name], check=True)
        yield


def ports(first: int) -> Iterator[None]:
    """Make a device a port of a bridge, and start processes in their own namespaces."""
    links = Links()
    one, _ = links.pair(first)
    bridge = links.index("stay_br")
    while True:
        for master in (bridge, 0):
            links.set(one, attribute(IFLA_MASTER, struct.pack("<I", master)))
            yield
        child = os.fork()
        if not child:
            checked(libc.unshare(CLONE_NEWNET))
            time.sleep(0.05)
            os._exit(0)
        os.waitpid(child, 0)
        yield


LOOPS: tuple[_Loop, ...] = (
    *(births, births_afar, names, moves, programs, queues, namespaces, ports),
)


def _note(more: Mapping[str, int]) -> None:
    with open(f"{COUNTS}.{os.getpid()}", "a", encoding="ascii") as f:
        f.write(json.dumps(more) + "\n")


def _run(loop: _Loop, first: int, ready: int) -> None:
    # A cycle is long enough to see all states of the other loops.
    count = 0
    began = False
    for _ in loop(first):
        count += 1
        if not began and count == 8:
            began = True
            os.write(ready, b".")
        if os.path.exists(STOP):
            break
    _note({loop.__name__: count})


def _run_all(ready: int) -> None:
    children = {}
    for i, loop in enumerate(LOOPS):
        child = os.fork()
        if not child:
            status = 1
            try:
                _run(loop, (i + 1) * _EACH, ready)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        children[child] = loop.__name__
    os.close(ready)
    failed = []
    for child, name in children.items():
        if os.waitpid(child, 0)[1]:
            failed.append(name)
    found: dict[str, object] = {"failed": failed}
    for child in children:
        for line in lines(f"{COUNTS}.{child}"):
            found.update(json.loads(line))
    with whole_file(COUNTS) as out:
        json.dump(found, out)


def main() -> int:
    """Start all loops, and return when they have been round."""
    read, write = os.pipe()
    sys.stdout.flush()
    if not os.fork():
        os.setsid()
        os.close(read)
        _run_all(write)
        os._exit(0)
    os.close(write)
    began = 0
    while data := os.read(read, len(LOOPS)):
        began += len(data)
        if began == len(LOOPS):
            return 0
    print("a loop ended")
    return 1


if __name__ == "__main__":
    sys.exit(main())
