# SPDX-License-Identifier: LGPL-2.1-or-later
"""
IPv6 addresses
--------------

Those of a device (net/ipv6/addrconf.c). IPv6 may be a module, or not there at all.

Upstream: all but the members and the bounded walk.
"""

from collections.abc import Iterator
import socket

from drgn import NULL, Object

from ..core.struct_layout import Members, array, number, optional_pointer, pointer
from .bounded import for_each_entry_bounded
from .inet import MAX_ADDRESSES

__all__ = (
    "ADDR_LIST",
    "IF_LIST",
    "Inet6Dev",
    "Inet6Ifaddr",
    "NetDeviceInet6",
    "in6_dev_for_each_ifa",
    "in6_dev_get",
    "inet6_ifa_text",
    "inet6_ifaddr_text",
    "netdev_inet6_addresses",
)

ADDR_LIST = "addr_list"
IF_LIST = "if_list"

_COMPATIBLE = bytes(12)  # ::/96
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96


class NetDeviceInet6(Members):
    """Members of ``struct net_device`` about IPv6."""

    ip6_ptr = optional_pointer("ip6_ptr")


class Inet6Dev(Members):
    """Members of ``struct inet6_dev``."""

    dev = pointer("dev")
    next = pointer(f"{ADDR_LIST}.next")
    prev = pointer(f"{ADDR_LIST}.prev")


class Inet6Ifaddr(Members):
    """Members of ``struct inet6_ifaddr``."""

    addr = array("addr.in6_u.u6_addr8")
    prefix_len = number("prefix_len")
    next = pointer(f"{IF_LIST}.next")
    prev = pointer(f"{IF_LIST}.prev")


def in6_dev_get(dev: Object) -> Object:
    """
    Return what IPv6 keeps of a device, as __in6_dev_get() does
    (include/net/addrconf.h).

    :param dev: ``struct net_device *``
    :return: ``struct inet6_dev *``, ``NULL`` if it has none, as one with
        ``disable_ipv6`` from the start
    """
    try:
        return dev.ip6_ptr.read_()
    except AttributeError:  # CONFIG_IPV6=n
        return NULL(dev.prog_, "void *")


def in6_dev_for_each_ifa(idev: Object) -> Iterator[Object]:
    """
    Iterate over the IPv6 addresses of a device, in the order of ``ip address``, as
    in6_dump_addrs() does (net/ipv6/addrconf.c).

    :param idev: ``struct inet6_dev *``
    :return: Iterator of ``struct inet6_ifaddr *``
    :raises WalkError: after all that could be reached
    """
    return for_each_entry_bounded(
        idev.addr_list.address_of_(), "struct inet6_ifaddr", IF_LIST, MAX_ADDRESSES
    )


def inet6_ifa_text(addr: bytes, prefix_len: int) -> str:
    """
    Return an address with its prefix length, as ``ip address`` prints it.

    :param addr: The 16 bytes of ``inet6_ifaddr.addr`` (``struct in6_addr``)
    :param prefix_len: ``inet6_ifaddr.prefix_len`` (``__u32``)
    :raises ValueError: if the length is not possible
    """
    if not 0 <= prefix_len <= 128:
        raise ValueError(f"prefix_len is {prefix_len}, more than 128")
    before, last = addr[:12], addr[12:]
    # As iproute2 with glibc does. Other libraries write the first two in other ways.
    if before == _MAPPED:
        text = f"::ffff:{socket.inet_ntoa(last)}"
    elif before == _COMPATIBLE and any(last[:2]):
        text = f"::{socket.inet_ntoa(last)}"
    else:
        text = socket.inet_ntop(socket.AF_INET6, addr)
    return f"{text}/{prefix_len}"


def inet6_ifaddr_text(ifa: Object) -> str:
    """
    Return an address with its prefix length: see :func:`inet6_ifa_text()`.

    :param ifa: ``struct inet6_ifaddr *``
    """
    addr = ifa.prog_.read(ifa.addr.address_of_().value_(), 16)
    return inet6_ifa_text(addr, ifa.prefix_len.value_())


def netdev_inet6_addresses(dev: Object) -> Iterator[str]:
    """
    Iterate over the IPv6 addresses of a device, such as ``fe80::1/64``.

    :param dev: ``struct net_device *``
    :raises WalkError: after all that could be reached
    """
    idev = in6_dev_get(dev)
    if idev:
        yield from map(inet6_ifaddr_text, in6_dev_for_each_ifa(idev))
