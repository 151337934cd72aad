# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices on devices
------------------

The devices directly below and above a network device, and its master
(net/core/dev.c).

Upstream: all but the bounded walks: netdev_for_each_lower_dev() and
netdev_for_each_upper_dev().
"""

from collections.abc import Iterator

from drgn import NULL, Object, container_of

from .bounded import for_each_entry_bounded

__all__ = (
    "ADJ_LIST_LOWER",
    "ADJ_LIST_UPPER",
    "netdev_for_each_lower_dev",
    "netdev_for_each_upper_dev",
    "netdev_master_upper_dev_get",
)

ADJ_LIST_LOWER = "adj_list.lower"
ADJ_LIST_UPPER = "adj_list.upper"
_MAX_ADJACENT = 1 << 16


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
