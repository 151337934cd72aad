# SPDX-License-Identifier: LGPL-2.1-or-later
"""
RPS and RFS
-----------

Where the kernel steers packets of an RX queue. Follows net/core/net-sysfs.c and
include/net/rps.h.

Upstream: all but the members.
"""

from typing import Optional

from drgn import NULL, Object, Program, TypeKind
from drgn.helpers.common.prog import takes_program_or_default

from ..core.struct_layout import (
    Members,
    optional_pointer,
    optional_pointer_or_number,
)
from .array import array_values
from .cpumask import cpumask_cpus, nr_cpu_ids
from .queues import netdev_rx_queue

__all__ = (
    "RxQueueRps",
    "net_rps_default_mask",
    "netdev_rps_flow_entries",
    "netdev_rps_map",
    "rps_map_cpus",
    "rps_sock_flow_entries",
    "rx_queue_rps_flow_entries",
    "rx_queue_rps_map",
)

_TAG_LOG = 31  # include/net/rps-types.h: the low bits of a rps_tag_ptr


class RxQueueRps(Members):
    """Members of ``struct netdev_rx_queue`` about RPS and RFS, with CONFIG_RPS."""

    rps_map = optional_pointer("rps_map")
    # Since v7.1, a number: see rx_queue_rps_flow_entries().
    rps_flow_table = optional_pointer_or_number("rps_flow_table")


def rx_queue_rps_map(queue: Object) -> Object:
    """
    Return the RPS map of an RX queue.

    :param queue: ``struct netdev_rx_queue *``
    :return: ``struct rps_map *``, ``NULL`` if RPS is off
    """
    try:
        return queue.rps_map.read_()
    except AttributeError:  # CONFIG_RPS=n
        return NULL(queue.prog_, "void *")


def netdev_rps_map(dev: Object, queue: int) -> Object:
    """
    Return the RPS map of an RX queue of a device.

    >>> rps_map_cpus(netdev_rps_map(netdev_get_by_name("rpsa"), 2))
    (0, 2)

    :param dev: ``struct net_device *``
    :param queue: Below ``dev.num_rx_queues``
    :return: ``struct rps_map *``, ``NULL`` if RPS is off
    :raises IndexError: if the device has no queue of this number
    """
    return rx_queue_rps_map(netdev_rx_queue(dev, queue))


def rps_map_cpus(map: Object) -> tuple[int, ...]:
    """
    Return the CPUs of an RPS map: what sysfs ``rps_cpus`` shows, without CPUs that
    were offline when it was written.

    >>> queue = netdev_rx_queue(netdev_get_by_name("rpsa"), 0)
    >>> rps_map_cpus(rx_queue_rps_map(queue))
    (0, 1, 2, 3)

    :param map: ``struct rps_map *``, may be ``NULL``
    :return: Numbers of CPUs (``u16``), ascending, as the map has them
    :raises ValueError: if this machine cannot have such a map
    """
    if not map:
        return ()
    limit = nr_cpu_ids(map.prog_)
    cpus = array_values(map.cpus, map.len.value_(), limit, "rps_map.len")
    # netdev_rx_queue_set_rps_mask() puts them there in order.
    if any(a >= b for a, b in zip(cpus, cpus[1:] + [limit])):
        raise ValueError(f"rps_map.cpus is {cpus}, not ascending CPUs below {limit}")
    return tuple(cpus)


def _power_of_two(log: int, what: str) -> int:
    if log > _TAG_LOG:
        raise ValueError(f"{what} is {log}, more than {_TAG_LOG}")
    return 1 << log


def _entries(mask: int, what: str) -> int:
    if mask & mask + 1 or mask > 1 << _TAG_LOG:
        raise ValueError(f"{what} is {mask:#x}, which is not the mask of a table")
    return mask + 1


def _tagged_entries(tag: int) -> int:
    # rps_tag_to_log(): a table of one entry has the tag 0.
    return 1 << (tag & _TAG_LOG) if tag else 0


def rx_queue_rps_flow_entries(queue: Object) -> int:
    """
    Return the size of the RFS flow table of an RX queue, which sysfs
    ``rps_flow_cnt`` shows.

    >>> queue = netdev_rx_queue(netdev_get_by_name("rpsa"), 0)
    >>> rx_queue_rps_flow_entries(queue)
    512

    :param queue: ``struct netdev_rx_queue *``
    :return: How many flows it holds, 0 if there is no table
    :raises ValueError: if it is larger than any table
    """
    try:
        table = queue.rps_flow_table.read_()
    except AttributeError:  # CONFIG_RPS=n
        return 0
    # Since v7.1 this is a rps_tag_ptr: an unsigned long with the address and
    # the logarithm of the size. Before, it is a pointer.
    if table.type_.unaliased_kind() != TypeKind.POINTER:
        return _tagged_entries(table.value_())
    if not table:
        return 0
    # Between v6.15 and v7.0 the logarithm is in the table. Before, a mask.
    try:
        return _power_of_two(table.log.value_(), "rps_dev_flow_table.log")
    except AttributeError:
        return _entries(table.mask.value_(), "rps_dev_flow_table.mask")


def netdev_rps_flow_entries(dev: Object, queue: int) -> int:
    """
    Return the size of the RFS flow table of an RX queue of a device.

    >>> netdev_rps_flow_entries(netdev_get_by_name("rpsa"), 2)
    4096

    :param dev: ``struct net_device *``
    :param queue: Below ``dev.num_rx_queues``
    :return: How many flows it holds, 0 if there is no table
    :raises IndexError: if the device has no queue of this number
    :raises ValueError: if it is larger than any table
    """
    return rx_queue_rps_flow_entries(netdev_rx_queue(dev, queue))


def _rps_sock_flow_table(prog: Program) -> Object:
    # Since Linux kernel commit ce7f49ab7415 ("net: move rps_sock_flow_table to
    # net_hotdata") (in v6.9), it is in net_hotdata. Before, it is a variable.
    try:
        return prog["net_hotdata"].rps_sock_flow_table.read_()
    except (KeyError, AttributeError):
        return prog["rps_sock_flow_table"].read_()


@takes_program_or_default
def rps_sock_flow_entries(prog: Program) -> int:
    """
    Return the size of the global RFS table (``sysctl net.core.rps_sock_flow_entries``).
    RFS needs both this table and that of the queue.

    >>> rps_sock_flow_entries()
    1024

    :return: How many flows it holds, 0 if there is no table
    :raises KeyError: if the kernel's symbols are incomplete
    :raises ValueError: if it is larger than any table
    """
    try:
        table = _rps_sock_flow_table(prog)
    except KeyError:
        # Neither: the kernel has no RPS, or its symbols are incomplete.
        prog["init_net"]
        return 0
    if table.type_.unaliased_kind() != TypeKind.POINTER:
        return _tagged_entries(table.value_())
    return _entries(table.mask.value_(), "rps_sock_flow_table.mask") if table else 0


def net_rps_default_mask(net: Object) -> Optional[tuple[int, ...]]:
    """
    Return the mask that new RX queues of a namespace get (``sysctl
    net.core.rps_default_mask``).

    :param net: ``struct net *``
    :return: Numbers of CPUs, ascending; ``None`` if the kernel has no such mask
    """
    # Since v6.3 ("net: make default_rps_mask a per netns attribute"). NULL until
    # something is written.
    try:
        mask = net.core.rps_default_mask.read_()
    except AttributeError:
        return None
    return cpumask_cpus(mask[0]) if mask else ()
