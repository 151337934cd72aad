# SPDX-License-Identifier: LGPL-2.1-or-later
"""
IPv4 addresses
--------------

Those of a device (net/ipv4/devinet.c).

Upstream: all but the members.
"""

from collections.abc import Iterator
import socket
from typing import Callable, TypeVar

from drgn import NULL, Object

from ..core.byte_order import byteorder
from ..core.errors import WalkError
from ..core.struct_layout import Members, number, optional_pointer, pointer
from ..core.unreadable import Maybe, Unreadable

__all__ = (
    "MAX_ADDRESSES",
    "InDevice",
    "InIfaddr",
    "NetDeviceInet",
    "bounded_ifa_list",
    "in_dev_for_each_ifa",
    "in_dev_get",
    "in_ifaddr_text",
    "inet_ifa_text",
    "netdev_inet_addresses",
)

T = TypeVar("T")

# The kernel has no limit. A host that answers for a whole /16 has 65,534 addresses.
# This is twice as many, and takes about a second.
MAX_ADDRESSES = 1 << 17


class NetDeviceInet(Members):
    """Members of ``struct net_device`` about IPv4."""

    ip_ptr = optional_pointer("ip_ptr")  # CONFIG_INET


class InDevice(Members):
    """Members of ``struct in_device``."""

    dev = pointer("dev")
    ifa_list = pointer("ifa_list")


class InIfaddr(Members):
    """Members of ``struct in_ifaddr``."""

    next = pointer("ifa_next")
    dev = pointer("ifa_dev")
    local = number("ifa_local")
    address = number("ifa_address")
    prefixlen = number("ifa_prefixlen")


def in_dev_get(dev: Object) -> Object:
    """
    Return what IPv4 keeps of a device, as __in_dev_get_rtnl() does
    (include/linux/inetdevice.h).

    :param dev: ``struct net_device *``
    :return: ``struct in_device *``, ``NULL`` if it has none
    """
    try:
        return dev.ip_ptr.read_()
    except AttributeError:  # CONFIG_INET=n
        return NULL(dev.prog_, "void *")


def in_dev_for_each_ifa(in_dev: Object) -> Iterator[Object]:
    """
    Iterate over the IPv4 addresses of a device, in the order of ``ip address``, as
    in_dev_for_each_ifa_rtnl() does (include/linux/inetdevice.h).

    :param in_dev: ``struct in_device *``
    :return: Iterator of ``struct in_ifaddr *``
    :raises WalkError: after all that could be reached
    """
    prog = in_dev.prog_

    def read(at: int) -> tuple[int, int, Object]:
        ifa = Object(prog, "struct in_ifaddr *", at)
        return ifa.ifa_next.value_(), ifa.ifa_dev.value_(), ifa

    return bounded_ifa_list(in_dev.value_(), in_dev.ifa_list.value_(), read)


def bounded_ifa_list(
    in_dev: int, first: int, read: Callable[[int], tuple[Maybe[int], Maybe[int], T]]
) -> Iterator[T]:
    """
    Iterate over a list of ``struct in_ifaddr`` that may be broken.

    :param in_dev: Address of the ``struct in_device``, which each entry points back to
    :param first: Address of the first entry, 0 if there is none
    :param read: Takes the address of an entry, returns ``ifa_next``, ``ifa_dev``, and
        what to yield
    :raises WalkError: after all that could be reached
    """
    seen: set[int] = set()
    at = first
    while at:
        if at in seen:
            raise WalkError(f"the list loops at {at:#x}")
        if len(seen) >= MAX_ADDRESSES:
            raise WalkError(f"more than {MAX_ADDRESSES} addresses: gave up")
        following, owner, entry = read(at)
        if owner != in_dev:
            if isinstance(owner, Unreadable):
                raise WalkError(owner.reason)
            raise WalkError(f"{at:#x} is not an address of this device")
        seen.add(at)
        yield entry
        if isinstance(following, Unreadable):
            raise WalkError(following.reason)
        at = following


def inet_ifa_text(local: int, address: int, prefixlen: int, order: str) -> str:
    """
    Return an address with its prefix length, as ``ip address`` prints it: on a
    point-to-point device the local one, not the peer's.

    :param local: ``in_ifaddr.ifa_local`` (``__be32``)
    :param address: ``in_ifaddr.ifa_address`` (``__be32``)
    :param prefixlen: ``in_ifaddr.ifa_prefixlen`` (``unsigned char``)
    :param order: Byte order of the numbers: ``little`` or ``big``
    :raises ValueError: if the length is not possible
    """
    if not 0 <= prefixlen <= 32:
        raise ValueError(f"ifa_prefixlen is {prefixlen}, more than 32")
    # The kernel tells only those of the two that are not 0.
    data = (local or address).to_bytes(4, "big" if order == "big" else "little")
    return f"{socket.inet_ntoa(data)}/{prefixlen}"


def in_ifaddr_text(ifa: Object) -> str:
    """
    Return an address with its prefix length: see :func:`inet_ifa_text()`.

    :param ifa: ``struct in_ifaddr *``
    """
    return inet_ifa_text(
        ifa.ifa_local.value_(),
        ifa.ifa_address.value_(),
        ifa.ifa_prefixlen.value_(),
        byteorder(ifa.prog_),
    )


def netdev_inet_addresses(dev: Object) -> Iterator[str]:
    """
    Iterate over the IPv4 addresses of a device, such as ``10.0.0.1/24``.

    :param dev: ``struct net_device *``
    :raises WalkError: after all that could be reached
    """
    in_dev = in_dev_get(dev)
    if in_dev:
        yield from map(in_ifaddr_text, in_dev_for_each_ifa(in_dev))
