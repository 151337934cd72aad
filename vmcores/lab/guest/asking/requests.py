# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests to the kernel that are no XDP attach. Each returns what it said."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
import os
import struct

from bpf import bpf
from devices import Reply, Routing, ifinfomsg, reply_to
from netlink import NLA_F_NESTED, GenericSocket, attribute, attributes, text

__all__ = (
    "Channels",
    "Devmap",
    "Link",
    "add_altname",
    "link_of",
    "make_link",
    "move",
    "remove_link",
    "rename",
    "set_master",
    "set_mtu",
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_NEWLINKPROP = 108
NLM_F_CREATE_EXCL = 0x600
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_INFO_KIND = 1
IFLA_NET_NS_FD = 28
IFLA_NEW_IFINDEX = 49
IFLA_MIN_MTU = 50
IFLA_PROP_LIST = 52
IFLA_ALT_IFNAME = 53

ETHTOOL_MSG_CHANNELS_SET = 18
ETHTOOL_A_CHANNELS_HEADER = 1
ETHTOOL_A_CHANNELS = {"rx": 6, "tx": 7, "other": 8, "combined": 9}
ETHTOOL_A_HEADER_DEV_INDEX = 1

BPF_MAP_CREATE = 0
BPF_MAP_UPDATE_ELEM = 2
BPF_MAP_DELETE_ELEM = 3
BPF_MAP_TYPE_DEVMAP = 14
BPF_MAP_TYPE_DEVMAP_HASH = 25


@dataclass(frozen=True)
class Link:
    """More about a device: what RTM_GETLINK says of the devices around it."""

    link: int | None
    master: int | None
    min_mtu: int
    altnames: tuple[str, ...]


def link_of(route: Routing, ifindex: int) -> Link:
    """Return more about a device."""
    (data,) = route.ask(RTM_GETLINK, 0, ifinfomsg(ifindex))
    numbers = {IFLA_LINK: 0, IFLA_MASTER: 0, IFLA_MIN_MTU: 0}
    altnames: list[str] = []
    for kind, value in attributes(data[16:]):
        if kind in numbers:
            (numbers[kind],) = struct.unpack("<I", value)
        elif kind == IFLA_PROP_LIST:
            altnames += [text(v) for k, v in attributes(value) if k == IFLA_ALT_IFNAME]
    return Link(
        numbers[IFLA_LINK] or None,
        numbers[IFLA_MASTER] or None,
        numbers[IFLA_MIN_MTU],
        tuple(altnames),
    )


def _string(name: str) -> bytes:
    return os.fsencode(name) + b"\0"


def make_link(route: Routing, name: str, kind: str) -> int:
    """Make a device and return its ifindex, 0 if the kernel cannot."""
    info = attribute(IFLA_INFO_KIND, kind.encode())
    body = ifinfomsg(0) + attribute(IFLA_IFNAME, _string(name))
    body += attribute(IFLA_LINKINFO | NLA_F_NESTED, info)
    if reply_to(route, RTM_NEWLINK, NLM_F_CREATE_EXCL, body).errno:
        return 0
    found = route.ask(
        RTM_GETLINK, 0, ifinfomsg(0) + attribute(IFLA_IFNAME, _string(name))
    )
    (ifindex,) = (struct.unpack_from("<i", data, 4)[0] for data in found)
    return int(ifindex)


def remove_link(route: Routing, ifindex: int) -> None:
    """Remove a device."""
    route.tell(RTM_DELLINK, 0, ifinfomsg(ifindex))


def rename(route: Routing, ifindex: int, name: str) -> Reply:
    """Give a device another name."""
    return route.set_link(ifindex, attribute(IFLA_IFNAME, _string(name)))


def add_altname(route: Routing, ifindex: int, name: str) -> Reply:
    """Give a device one more name."""
    nest = attribute(IFLA_ALT_IFNAME, _string(name))
    body = ifinfomsg(ifindex) + attribute(IFLA_PROP_LIST | NLA_F_NESTED, nest)
    return reply_to(route, RTM_NEWLINKPROP, NLM_F_CREATE_EXCL, body)


def set_mtu(route: Routing, ifindex: int, mtu: int) -> Reply:
    """Ask for another MTU."""
    return route.set_link(ifindex, attribute(IFLA_MTU, struct.pack("<I", mtu)))


def set_master(route: Routing, ifindex: int, master: int) -> Reply:
    """Ask for a master; 0 for none."""
    return route.set_link(ifindex, attribute(IFLA_MASTER, struct.pack("<I", master)))


def move(route: Routing, ifindex: int, fd: int, new_ifindex: int = 0) -> Reply:
    """Ask to move a device to the namespace of a descriptor."""
    more = attribute(IFLA_NET_NS_FD, struct.pack("<I", fd))
    if new_ifindex:
        more += attribute(IFLA_NEW_IFINDEX, struct.pack("<i", new_ifindex))
    return route.set_link(ifindex, more)


class Channels:
    """ETHTOOL_MSG_CHANNELS_SET in one network namespace."""

    def __init__(self) -> None:
        self._socket = GenericSocket()
        self._family = self._socket.family("ethtool")

    def set(self, ifindex: int, counts: dict[str, int]) -> Reply:
        """Ask for other numbers of queues."""
        index = attribute(ETHTOOL_A_HEADER_DEV_INDEX, struct.pack("<I", ifindex))
        body = attribute(ETHTOOL_A_CHANNELS_HEADER | NLA_F_NESTED, index)
        for word, count in counts.items():
            body += attribute(ETHTOOL_A_CHANNELS[word], struct.pack("<I", count))
        head = struct.pack("<BBH", ETHTOOL_MSG_CHANNELS_SET, 1, 0)
        return reply_to(self._socket, self._family, 0, head + body)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Devmap:
    """A map of devices with one entry."""

    def __init__(self, hashed: bool) -> None:
        self.hashed = hashed
        kind = BPF_MAP_TYPE_DEVMAP_HASH if hashed else BPF_MAP_TYPE_DEVMAP
        self._fd = bpf(BPF_MAP_CREATE, struct.pack("<IIIII", kind, 4, 8, 1, 0))

    def update(self, key: int, ifindex: int, program: int | None, flags: int) -> Reply:
        """Ask for an entry, and remove it again."""
        at = struct.pack("<I", key)
        value = struct.pack("<Ii", ifindex, 0 if program is None else program)
        try:
            self._call(BPF_MAP_UPDATE_ELEM, at, value, flags)
        except OSError as e:
            return Reply(e.errno or 0, None)
        self._call(BPF_MAP_DELETE_ELEM, at, b"", 0)
        return Reply(0, None)

    def _call(self, command: int, key: bytes, value: bytes, flags: int) -> None:
        k, v = ctypes.create_string_buffer(key, 4), ctypes.create_string_buffer(value)
        where = (ctypes.addressof(k), ctypes.addressof(v) if value else 0)
        bpf(command, struct.pack("<IxxxxQQQ", self._fd, *where, flags))

    def close(self) -> None:
        """Let go of the map."""
        os.close(self._fd)
