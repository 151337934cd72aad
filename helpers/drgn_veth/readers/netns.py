# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network namespaces
------------------

``struct net``, and the devices in it. Follows net/core/net_namespace.c and
net/core/dev.c.

Upstream: all but the two bounded walks.
"""

from collections.abc import Iterator

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.struct_layout import Members, optional_pointer, pointer
from .bounded import for_each_entry_bounded
from .idr import for_each_idr_entry

__all__ = (
    "DEV_LIST",
    "INDEX_HLIST",
    "NetDeviceNetns",
    "dev_net",
    "for_each_net_bounded",
    "for_each_netdev_bounded",
    "for_each_peernet",
    "net_inum",
    "net_is_dying",
    "net_is_init",
    "net_refcount",
)

DEV_LIST = "dev_list"
INDEX_HLIST = "index_hlist"


class NetDeviceNetns(Members):
    """Members of ``struct net_device`` about its namespace."""

    next = pointer(f"{DEV_LIST}.next")
    prev = pointer(f"{DEV_LIST}.prev")
    net = optional_pointer("nd_net.net")  # CONFIG_NET_NS
    index_pprev = optional_pointer(f"{INDEX_HLIST}.pprev")


@takes_program_or_default
def for_each_net_bounded(prog: Program) -> Iterator[Object]:
    """
    Iterate over ``net_namespace_list``, even if it is broken.

    A namespace that is being torn down is not on it: see :func:`net_is_dying()`.

    >>> net_is_init(next(for_each_net_bounded()))
    True

    :return: Iterator of ``struct net *`` objects.
    :raises WalkError: after all that could be reached
    """
    head = prog["net_namespace_list"].address_of_()
    return for_each_entry_bounded(head, "struct net", "list")


def for_each_netdev_bounded(net: Object) -> Iterator[Object]:
    """
    Iterate over the devices of a namespace (``net->dev_base_head``), even if the list
    is broken.

    >>> devices = for_each_netdev_bounded(prog["init_net"].address_of_())
    >>> [dev.name.string_() for dev in devices][:2]
    [b'lo', b'eth0']

    :param net: ``struct net *``
    :return: Iterator of ``struct net_device *`` objects.
    :raises WalkError: after all that could be reached
    """
    head = net.dev_base_head.address_of_()
    return for_each_entry_bounded(head, "struct net_device", DEV_LIST)


def net_inum(net: Object) -> int:
    """
    Return the inode number of a network namespace, which
    ``readlink /proc/PID/ns/net`` shows.

    :param net: ``struct net *``
    :return: ``unsigned int``; the kernel reuses inode numbers soon after a namespace is
        gone
    """
    return net.ns.inum.value_()


def net_is_init(net: Object) -> bool:
    """
    Return whether a network namespace is ``init_net``.

    :param net: ``struct net *``
    """
    return bool(net == net.prog_["init_net"].address_of_())


def net_refcount(net: Object) -> int:
    """
    Return how many references keep a network namespace alive.

    :param net: ``struct net *``
    :return: ``unsigned int``; one for each ``struct nsproxy`` and socket in it, and one
        for all its files and mounts
    """
    return _net_refcount(net).refs.counter.value_()


def _net_refcount(net: Object) -> Object:
    # In v6.18, the reference count moved from ns_common.count to
    # ns_common.__ns_ref.
    try:
        return net.ns.__ns_ref
    except AttributeError:
        pass
    # In v5.11, it moved there from struct net.
    try:
        return net.ns.count
    except AttributeError:
        return net.count


def for_each_peernet(net: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the namespaces that a namespace has given numbers to, as ``ip netns
    list-id`` shows them (``net->netns_ids``).

    :param net: ``struct net *``
    :return: Iterator of numbers (``int``, the ``link-netnsid`` of ``ip link``) and
        ``struct net *`` objects
    :raises WalkError: after all that could be reached
    """
    type = net.prog_.type("struct net *")
    for nsid, entry in for_each_idr_entry(net.netns_ids):
        yield nsid, Object(net.prog_, type, entry.value_())


def net_is_dying(net: Object) -> bool:
    """
    Return whether nothing holds a network namespace any longer: cleanup_net() has
    removed it from ``net_namespace_list``, or is about to.

    :param net: ``struct net *``
    """
    return net_refcount(net) == 0


def dev_net(dev: Object) -> Object:
    """
    Return the network namespace that a device is in, as dev_net() does
    (include/linux/netdevice.h).

    >>> net_is_init(dev_net(netdev_get_by_name("veth_xxx0")))
    True

    :param dev: ``struct net_device *``
    :return: ``struct net *``; ``&init_net`` in a kernel without CONFIG_NET_NS
    """
    nd_net = dev.nd_net
    try:
        return nd_net.net.read_()
    except AttributeError:
        return dev.prog_["init_net"].address_of_()
