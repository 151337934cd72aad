# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network devices by RTM_GETLINK, and XDP programs on them by RTM_SETLINK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import struct

from netlink import (
    NLA_F_NESTED,
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP,
    NLMSG_ERROR,
    NetlinkSocket,
    RoutingSocket,
    attribute,
    attributes,
    text,
)

__all__ = ("Device", "Reply", "Routing", "ifinfomsg", "reply_to")

NLMSGERR_ATTR_MSG = 1
RTM_GETLINK = 18
RTM_SETLINK = 19
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINKINFO = 18
IFLA_INFO_KIND = 1
IFLA_EXT_MASK = 29
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_XDP = 43
IFLA_MAX_MTU = 51
IFLA_XDP_FD = 1
IFLA_XDP_FLAGS = 3
IFLA_XDP_PROG_IDS = {"driver": 5, "generic": 6, "offload": 7}
IFLA_XDP_EXPECTED_FD = 8


@dataclass(frozen=True)
class Reply:
    """What the kernel said to a request."""

    errno: int
    message: str | None


@dataclass(frozen=True)
class Device:
    """A device as RTM_GETLINK shows it."""

    ifindex: int
    name: str
    kind: str | None
    type: int
    flags: int
    mtu: int
    max_mtu: int
    #: Ids of the attached programs, by mode.
    xdp: Mapping[str, int]


class Routing(RoutingSocket):
    """The devices of the namespace in which it is made."""

    def _devices(self, flags: int, ifindex: int) -> Iterator[Device]:
        mask = attribute(IFLA_EXT_MASK, struct.pack("<I", RTEXT_FILTER_SKIP_STATS))
        return map(_device, self.ask(RTM_GETLINK, flags, ifinfomsg(ifindex) + mask))

    def devices(self) -> list[Device]:
        """Return all devices of the namespace."""
        return list(self._devices(NLM_F_DUMP, 0))

    def device(self, ifindex: int) -> Device:
        """Return one device as it is now."""
        (device,) = self._devices(0, ifindex)
        return device

    def set_xdp(
        self, ifindex: int, fd: int, flags: int, expected_fd: int | None = None
    ) -> Reply:
        """Attach a program, or detach what is there (-1)."""
        nest = attribute(IFLA_XDP_FD, struct.pack("<i", fd))
        if flags:
            nest += attribute(IFLA_XDP_FLAGS, struct.pack("<I", flags))
        if expected_fd is not None:
            nest += attribute(IFLA_XDP_EXPECTED_FD, struct.pack("<i", expected_fd))
        return self.set_link(ifindex, attribute(IFLA_XDP | NLA_F_NESTED, nest))

    def set_link(self, ifindex: int, more: bytes) -> Reply:
        """Ask for RTM_SETLINK with some attributes."""
        return reply_to(self, RTM_SETLINK, NLM_F_ACK, ifinfomsg(ifindex) + more)


def ifinfomsg(ifindex: int) -> bytes:
    """Return a struct ifinfomsg that names a device."""
    return struct.pack("<BxHiII", 0, 0, ifindex, 0, 0)


def reply_to(socket: NetlinkSocket, kind: int, flags: int, body: bytes) -> Reply:
    """Send a request, and return the acknowledgement with its message."""
    socket.send(kind, flags | NLM_F_ACK, body)
    while True:
        for answer, head, data in socket.receive():
            if answer == NLMSG_ERROR:
                (error,) = struct.unpack_from("<i", data)
                return Reply(-error, _message(head, data))


def _message(flags: int, data: bytes) -> str | None:
    """Return the message of an extended acknowledgement."""
    if not flags & NLM_F_ACK_TLVS:
        return None
    # The kernel returns the header of the request, or all of it if not capped.
    (length,) = struct.unpack_from("<I", data, 4)
    tlvs = data[4 + (16 if flags & NLM_F_CAPPED else length) :]
    for kind, value in attributes(tlvs):
        if kind == NLMSGERR_ATTR_MSG:
            return text(value) or None
    return None


def _device(data: bytes) -> Device:
    kind_of_hardware, ifindex, flags = struct.unpack_from("<2xHiI", data)
    name, kind, mtu, max_mtu = "", None, 0, 0
    attached: dict[str, int] = {}
    for number, value in attributes(data[16:]):
        if number == IFLA_IFNAME:
            name = text(value)
        elif number == IFLA_MTU:
            (mtu,) = struct.unpack("<I", value)
        elif number == IFLA_MAX_MTU:
            (max_mtu,) = struct.unpack("<I", value)
        elif number == IFLA_LINKINFO:
            kinds = [text(v) for a, v in attributes(value) if a == IFLA_INFO_KIND]
            kind = kinds[0] if kinds else None
        elif number == IFLA_XDP:
            ids = dict(attributes(value))
            for mode, prog_id in IFLA_XDP_PROG_IDS.items():
                if prog_id in ids:
                    (attached[mode],) = struct.unpack("<I", ids[prog_id])
    return Device(ifindex, name, kind, kind_of_hardware, flags, mtu, max_mtu, attached)
