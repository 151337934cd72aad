# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network devices
---------------

The members of ``struct net_device`` that ``ip link`` shows, the kind and the link layer
address. Names are in :mod:`~drgn_veth.readers.netdev_names`, flags and state in
:mod:`~drgn_veth.readers.link_state`, other devices in
:mod:`~drgn_veth.readers.adjacent`.

Upstream: all.
"""

import ipaddress

from drgn import Object, Program

from ..core.names import check_names
from ..core.struct_layout import Members, array, number, optional_pointer, pointer
from .adjacent import ADJ_LIST_LOWER, ADJ_LIST_UPPER
from .netdev_names import read_name

__all__ = (
    "NetDeviceShown",
    "netdev_address",
    "netdev_kind",
    "read_address",
)

# include/uapi/linux/if_arp.h: link layers whose address is an IP address.
_ARPHRD_IPV4 = (768, 776, 778)  # TUNNEL, SIT, IPGRE
_ARPHRD_IPV6 = (769, 823)  # TUNNEL6, IP6GRE
_MAX_ADDR_LEN = 32


class NetDeviceShown(Members):
    """Members of ``struct net_device`` that ``ip link`` shows."""

    ifindex = number("ifindex")
    name = array("name")
    # Since Linux kernel commit ff92741270bf ("net: introduce name_node struct to be
    # used in hashlist") (in v5.5). Before, there are no altnames.
    name_node = optional_pointer("name_node")
    ifalias = pointer("ifalias")
    rtnl_link_ops = pointer("rtnl_link_ops")
    flags = number("flags")
    gflags = number("gflags")
    state = number("state")
    operstate = number("operstate")
    reg_state = number("reg_state")
    mtu = number("mtu")
    min_mtu = number("min_mtu")
    max_mtu = number("max_mtu")
    type = number("type")
    addr_len = number("addr_len")
    dev_addr = pointer("dev_addr")
    lower = pointer(f"{ADJ_LIST_LOWER}.next")
    upper = pointer(f"{ADJ_LIST_UPPER}.next")
    hard_header_len = number("hard_header_len")


def netdev_kind(dev: Object) -> bytes:
    """
    Return the rtnetlink kind of a device, such as ``b"veth"``. This needs no symbols of
    the device's module.

    :param dev: ``struct net_device *``
    :return: ``net_device.rtnl_link_ops->kind``, ``b""`` if it has none, like hardware
        devices and ``lo``
    """
    ops = dev.rtnl_link_ops.read_()
    return read_name(dev.prog_, ops.kind.value_()) if ops else b""


def read_address(prog: Program, pointer: int, length: int, link_type: int) -> str:
    """
    Return a link layer address as ``ip link`` prints it: an IP address for an IP
    tunnel.

    :param pointer: ``net_device.dev_addr``
    :param length: ``net_device.addr_len``
    :param link_type: ``net_device.type``, ``ARPHRD_*``
    :return: ``""`` if the device has none
    :raises ValueError: if the length is not possible
    """
    if not length:
        return ""
    if length > _MAX_ADDR_LEN:
        raise ValueError(f"addr_len is {length}, more than MAX_ADDR_LEN")
    check_names(prog)
    address = prog.read(pointer, length)
    if link_type in (_ARPHRD_IPV4 if length == 4 else _ARPHRD_IPV6):
        if length in (4, 16):
            return str(ipaddress.ip_address(address))
    return address.hex(":")


def netdev_address(dev: Object) -> str:
    """
    Return the link layer address of a device: see :func:`read_address()`.

    :param dev: ``struct net_device *``
    """
    return read_address(
        dev.prog_, dev.dev_addr.value_(), dev.addr_len.value_(), dev.type.value_()
    )
