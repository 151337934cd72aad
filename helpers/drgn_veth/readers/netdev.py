# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network devices
---------------

What ``ip link`` shows for any ``struct net_device``. If the kernel computes a value
before it reports it to user space, these helpers compute it in the same way.

Upstream: all but the bounded walks: for_each_altname(), netdev_for_each_lower_dev() and
netdev_for_each_upper_dev().
"""

from collections.abc import Iterator
import functools
import ipaddress
from typing import NamedTuple, Optional

from drgn import NULL, Object, Program, container_of
from drgn.helpers.common.prog import takes_program_or_default

from ..core.c_string import read_c_string
from ..core.names import check_names
from ..core.struct_layout import Members, array, number, optional_pointer, pointer
from .array import expect_array
from .bounded import for_each_entry_bounded

__all__ = (
    "ADJ_LIST_LOWER",
    "ADJ_LIST_UPPER",
    "LinkState",
    "NAME_NODE_LIST",
    "NameNode",
    "NetDeviceShown",
    "dev_get_flags",
    "dev_valid_name",
    "flags_from",
    "for_each_altname",
    "link_state_masks",
    "netdev_address",
    "netdev_alias",
    "netdev_flag_names",
    "netdev_for_each_lower_dev",
    "netdev_for_each_upper_dev",
    "netdev_kind",
    "netdev_master_upper_dev_get",
    "netdev_operstate",
    "operstate_from",
    "read_address",
)

# include/uapi/linux/if.h, in the order in which iproute2 prints them. They are
# macros and user space API: no symbol has them, and they do not change.
_IFF = (
    (1 << 3, "LOOPBACK"),
    (1 << 1, "BROADCAST"),
    (1 << 4, "POINTOPOINT"),
    (1 << 12, "MULTICAST"),
    (1 << 7, "NOARP"),
    (1 << 9, "ALLMULTI"),
    (1 << 8, "PROMISC"),
    (1 << 10, "MASTER"),
    (1 << 11, "SLAVE"),
    (1 << 2, "DEBUG"),
    (1 << 15, "DYNAMIC"),
    (1 << 14, "AUTOMEDIA"),
    (1 << 13, "PORTSEL"),
    (1 << 5, "NOTRAILERS"),
    (1 << 0, "UP"),
    (1 << 6, "RUNNING"),
    (1 << 16, "LOWER_UP"),
    (1 << 17, "DORMANT"),
    (1 << 18, "ECHO"),
)
_IFF_PROMISC = 1 << 8
_IFF_ALLMULTI = 1 << 9
_IFF_RUNNING = 1 << 6
_IFF_LOWER_UP = 1 << 16
_IFF_DORMANT = 1 << 17

# include/uapi/linux/if.h: IF_OPER_*, by value.
_OPERSTATES = (
    "UNKNOWN",
    "NOTPRESENT",
    "DOWN",
    "LOWERLAYERDOWN",
    "TESTING",
    "DORMANT",
    "UP",
)
_IF_OPER_UNKNOWN = 0
_IF_OPER_DOWN = 2
_IF_OPER_UP = 6

# include/uapi/linux/if_arp.h: link layers whose address is an IP address.
_ARPHRD_IPV4 = (768, 776, 778)  # TUNNEL, SIT, IPGRE
_ARPHRD_IPV6 = (769, 823)  # TUNNEL6, IP6GRE

# isspace() of lib/ctype.c: that of Latin-1.
_SPACES = b"\t\n\v\f\r \xa0"
_IFNAMSIZ = 16

_MAX_ADDR_LEN = 32
_MAX_STRING = 256  # IFALIASZ; a name is shorter (IFNAMSIZ, ALTIFNAMSIZ)
_MAX_ALTNAMES = 1 << 12
_MAX_ADJACENT = 1 << 16

ADJ_LIST_LOWER = "adj_list.lower"
ADJ_LIST_UPPER = "adj_list.upper"
NAME_NODE_LIST = "list"


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


class NameNode(Members):
    """Members of ``struct netdev_name_node``."""

    next = pointer(f"{NAME_NODE_LIST}.next")


class LinkState(NamedTuple):
    """Bits of ``net_device.state`` (``enum netdev_state_t``), as masks."""

    START: int
    NOCARRIER: int
    DORMANT: int


@takes_program_or_default
def link_state_masks(prog: Program) -> LinkState:
    """Return the masks of ``net_device.state`` in this kernel."""
    return LinkState(
        *(
            1 << prog.constant(f"__LINK_STATE_{name}").value_()
            for name in LinkState._fields
        )
    )


def flags_from(
    flags: int, gflags: int, state: int, operstate: int, masks: LinkState
) -> int:
    """
    Return the flags that user space sees, as dev_get_flags() does (net/core/dev.c),
    from members of ``struct net_device``.

    :param flags: ``unsigned int``
    :param gflags: ``unsigned short``: what user space asked for
    :param state: ``unsigned long``: bits ``__LINK_STATE_*``
    :param operstate: ``unsigned char``: ``IF_OPER_*``
    :param masks: What :func:`link_state_masks()` returns
    :return: Mask of ``IFF_*`` (``unsigned int``)
    """
    own = _IFF_PROMISC | _IFF_ALLMULTI
    flags &= ~(own | _IFF_RUNNING | _IFF_LOWER_UP | _IFF_DORMANT)
    # Promiscuity that a user asked for, without what a bridge or a socket did.
    flags |= gflags & own
    if state & masks.START:
        if operstate in (_IF_OPER_UP, _IF_OPER_UNKNOWN):
            flags |= _IFF_RUNNING
        if not state & masks.NOCARRIER:
            flags |= _IFF_LOWER_UP
        if state & masks.DORMANT:
            flags |= _IFF_DORMANT
    return flags


def dev_get_flags(dev: Object) -> int:
    """
    Return the flags that user space sees, as dev_get_flags() does (net/core/dev.c).

    >>> flags = dev_get_flags(netdev_get_by_name("veth_xxx0"))
    >>> netdev_flag_names(flags)
    ('BROADCAST', 'MULTICAST', 'UP', 'RUNNING', 'LOWER_UP')

    :param dev: ``struct net_device *``
    :return: Mask of ``IFF_*`` (``unsigned int``)
    """
    return flags_from(
        dev.flags.value_(),
        dev.gflags.value_(),
        dev.state.value_(),
        dev.operstate.value_(),
        link_state_masks(dev.prog_),
    )


@functools.cache
def netdev_flag_names(flags: int) -> tuple[str, ...]:
    """
    Return the names of flags, without ``IFF_``, in iproute2's order.

    :param flags: Mask of ``IFF_*``
    """
    return tuple(name for flag, name in _IFF if flags & flag)


def operstate_from(operstate: int, state: int, masks: LinkState) -> str:
    """
    Return the operational state that user space sees (``IFLA_OPERSTATE``), as
    rtnl_fill_ifinfo() does (net/core/rtnetlink.c), from members of ``struct
    net_device``.

    :param operstate: ``unsigned char``: ``IF_OPER_*``
    :param state: ``unsigned long``: bits ``__LINK_STATE_*``
    :param masks: What :func:`link_state_masks()` returns
    :return: Name of ``IF_OPER_*`` without the prefix
    :raises ValueError: if it is not a known state
    """
    if not state & masks.START:
        operstate = _IF_OPER_DOWN
    try:
        return _OPERSTATES[operstate]
    except IndexError:
        raise ValueError(
            f"operstate is {operstate}, which is not an IF_OPER_* value"
        ) from None


def netdev_operstate(dev: Object) -> str:
    """
    Return the operational state that user space sees: see :func:`operstate_from()`.

    :param dev: ``struct net_device *``
    """
    masks = link_state_masks(dev.prog_)
    return operstate_from(dev.operstate.value_(), dev.state.value_(), masks)


def dev_valid_name(name: bytes) -> bool:
    """
    Return whether the kernel accepts a name for a device, as dev_valid_name() does
    (net/core/dev.c).

    :param name: Without the terminating NUL
    """
    if not 0 < len(name) < _IFNAMSIZ or name in (b".", b".."):
        return False
    return not any(byte in b"/:" or byte in _SPACES for byte in name)


def _string(prog: Program, address: int) -> bytes:
    return read_c_string(prog, address, _MAX_STRING)


def netdev_kind(dev: Object) -> bytes:
    """
    Return the rtnetlink kind of a device, such as ``b"veth"``. This needs no symbols of
    the device's module.

    :param dev: ``struct net_device *``
    :return: ``net_device.rtnl_link_ops->kind``, ``b""`` if it has none, like hardware
        devices and ``lo``
    """
    ops = dev.rtnl_link_ops.read_()
    return _string(dev.prog_, ops.kind.value_()) if ops else b""


def netdev_alias(dev: Object) -> bytes:
    """
    Return the alias of a device (``ip link set dev DEV alias TEXT``).

    :param dev: ``struct net_device *``
    :return: ``net_device.ifalias->ifalias``, ``b""`` if it has none
    """
    alias = dev.ifalias.read_()
    if not alias:
        return b""
    text: Optional[int] = expect_array(alias.ifalias).address_
    assert text is not None
    check_names(dev.prog_)
    return _string(dev.prog_, text)


def for_each_altname(dev: Object) -> Iterator[bytes]:
    """
    Iterate over the alternative names of a device, in the kernel's order.

    :param dev: ``struct net_device *``
    :raises WalkError: after all that could be reached
    """
    # As in NetDeviceShown.
    try:
        node = dev.name_node.read_()
    except AttributeError:
        return
    if not node:
        return
    for entry in for_each_entry_bounded(
        node.list.address_of_(), node.type_.type, NAME_NODE_LIST, _MAX_ALTNAMES
    ):
        yield _string(dev.prog_, entry.name.value_())


def netdev_master_upper_dev_get(dev: Object) -> Object:
    """
    Return the master of a device (``IFLA_MASTER``), as
    netdev_master_upper_dev_get() does (net/core/dev.c): the bridge, bond, team
    or VRF that it is enslaved to.

    >>> netdev_master_upper_dev_get(netdev_get_by_name("bslave0")).name
    (char [16])"bond_zoo"

    :param dev: ``struct net_device *``
    :return: ``struct net_device *``, ``NULL`` if it has none
    """
    prog = dev.prog_
    head = dev.adj_list.upper.address_of_()
    first = head.next.read_()
    if first.value_() == head.value_():
        return NULL(prog, "struct net_device *")
    adjacent = container_of(first, "struct netdev_adjacent", "list")
    # A master is always first: __netdev_adjacent_dev_insert().
    if adjacent.master:
        return adjacent.dev.read_()
    return NULL(prog, "struct net_device *")


def _adjacent(head: Object) -> Iterator[Object]:
    for adjacent in for_each_entry_bounded(
        head.address_of_(), "struct netdev_adjacent", "list", _MAX_ADJACENT
    ):
        yield adjacent.dev.read_()


def netdev_for_each_lower_dev(dev: Object) -> Iterator[Object]:
    """
    Iterate over the devices directly below a device, as netdev_for_each_lower_dev()
    does (include/linux/netdevice.h): the slaves of a bond, the ports of a bridge, the
    device that a VLAN is on.

    :param dev: ``struct net_device *``
    :return: Iterator of ``struct net_device *``, in the order of ``adj_list.lower``
    :raises WalkError: after all that could be reached
    """
    return _adjacent(dev.adj_list.lower)


def netdev_for_each_upper_dev(dev: Object) -> Iterator[Object]:
    """
    Iterate over the devices directly above a device, as netdev_for_each_upper_dev_rcu()
    does (include/linux/netdevice.h): its master, VLANs, and so on.

    >>> lower = netdev_get_by_name("lowa")
    >>> [dev.name.string_() for dev in netdev_for_each_upper_dev(lower)]
    [b'mv0', b'vl10']

    :param dev: ``struct net_device *``
    :return: Iterator of ``struct net_device *``, in the order of ``adj_list.upper``: a
        master comes first
    :raises WalkError: after all that could be reached
    """
    return _adjacent(dev.adj_list.upper)


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
