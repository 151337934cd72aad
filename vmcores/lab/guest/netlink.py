# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages of netlink, and sockets for them: routing and generic netlink."""

from __future__ import annotations

from collections.abc import Iterator
import errno
import os
import socket
import struct

__all__ = (
    "GenericSocket",
    "NetlinkSocket",
    "RoutingSocket",
    "attribute",
    "attributes",
    "text",
)

SOL_NETLINK = 270
NETLINK_ROUTE = 0
NETLINK_GENERIC = 16
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLA_TYPE_MASK = 0x3FFF
NLA_F_NESTED = 0x8000
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID = 1
CTRL_ATTR_FAMILY_NAME = 2

_HEADER = struct.Struct("<IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("<HH")  # struct nlattr


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the value of each attribute."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & NLA_TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded."""
    head = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind)
    return head + value + b"\0" * (-len(value) % 4)


def text(data: bytes) -> str:
    """Return a string attribute, whatever its bytes are."""
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class NetlinkSocket:
    """A netlink socket of the network namespace in which it is made."""

    protocol: int

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, self.protocol)
        self.socket.bind((0, 0))
        for option in (NETLINK_EXT_ACK, NETLINK_CAP_ACK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)
        self.sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def send(self, kind: int, flags: int, body: bytes) -> None:
        """Send one request."""
        self.sequence += 1
        header = _HEADER.pack(
            _HEADER.size + len(body), kind, flags | NLM_F_REQUEST, self.sequence, 0
        )
        self.socket.send(header + body)

    def receive(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield type, flags and body of each message of the next datagram."""
        data = self.socket.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, _, _ = _HEADER.unpack_from(data, offset)
            yield kind, flags, data[offset + _HEADER.size : offset + length]
            offset += _aligned(length)

    def ask(self, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
        """Send a request, and yield the body of each answer.

        :raises OSError: what the kernel answered instead
        """
        self.send(kind, flags, body)
        while True:
            for answer, _, data in self.receive():
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    (error,) = struct.unpack_from("<i", data)
                    raise OSError(-error, os.strerror(-error))
                yield data
            if flags & NLM_F_DUMP != NLM_F_DUMP:
                return

    def tell(self, kind: int, flags: int, body: bytes) -> None:
        """Send a request, and wait for the acknowledgement.

        :raises OSError: what the kernel answered instead
        """
        self.send(kind, flags | NLM_F_ACK, body)
        while True:
            for answer, _, data in self.receive():
                if answer == NLMSG_ERROR:
                    (error,) = struct.unpack_from("<i", data)
                    if error:
                        raise OSError(-error, os.strerror(-error))
                    return


class RoutingSocket(NetlinkSocket):
    """A socket of NETLINK_ROUTE."""

    protocol = NETLINK_ROUTE


class GenericSocket(NetlinkSocket):
    """A socket of NETLINK_GENERIC."""

    protocol = NETLINK_GENERIC

    def family(self, name: str) -> int:
        """Return the number of a family.

        :raises OSError: ENOENT: the kernel does not have it
        """
        asked = struct.pack("<BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute(
            CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0"
        )
        for data in self.ask(GENL_ID_CTRL, 0, asked):
            for kind, value in attributes(data[4:]):
                if kind == CTRL_ATTR_FAMILY_ID:
                    return int(struct.unpack("<H", value)[0])
        raise OSError(errno.ENOENT, f"no family {name}")

    def command(self, family: int, command: int, body: bytes) -> None:
        """Send a command of a family, and wait for the acknowledgement."""
        self.tell(family, 0, struct.pack("<BBH", command, 1, 0) + body)
