# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Queues
------

A device is created with a number of RX and TX queues (allocated, shown by ``ip -d
link``) and uses the first of them (real, shown by ``ethtool -l`` and sysfs
``queues/``). XDP and RPS use the real ones.

Upstream: all but the members.
"""

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.arguments import queue_index
from ..core.struct_layout import Members, number, optional_pointer, pointer

__all__ = (
    "MAX_QUEUES",
    "NetDeviceQueues",
    "RxQueueOwner",
    "RxQueuePool",
    "TxQueue",
    "checked_count",
    "drv_xoff_mask",
    "netdev_num_rx_queues",
    "netdev_num_tx_queues",
    "netdev_real_num_rx_queues",
    "netdev_real_num_tx_queues",
    "netdev_rx_queue",
    "netdev_txq_to_tc",
)

# rtnetlink takes 4096 at most; drivers of hardware stay below this too, and
# queue indexes are u16 (sk_buff.queue_mapping).
MAX_QUEUES = 1 << 16

_TC_MAX_QUEUE = 16  # include/linux/netdevice.h


class NetDeviceQueues(Members):
    """Members of ``struct net_device`` about its queues."""

    rx = pointer("_rx")
    tx = pointer("_tx")
    num_rx = number("num_rx_queues")
    real_rx = number("real_num_rx_queues")
    num_tx = number("num_tx_queues")
    real_tx = number("real_num_tx_queues")


class RxQueueOwner(Members):
    """Members of ``struct netdev_rx_queue`` about its device."""

    dev = pointer("dev")


class RxQueuePool(Members):
    """Members of ``struct netdev_rx_queue`` about AF_XDP."""

    pool = optional_pointer("pool", "umem")  # CONFIG_XDP_SOCKETS


class TxQueue(Members):
    """Members of ``struct netdev_queue``."""

    dev = pointer("dev")
    pool = optional_pointer("pool", "umem")  # CONFIG_XDP_SOCKETS
    state = number("state")


@takes_program_or_default
def drv_xoff_mask(prog: Program) -> int:
    """
    Return the bit of ``netdev_queue.state`` that marks a queue stopped by its driver.

    :return: ``1 << __QUEUE_STATE_DRV_XOFF`` (include/linux/netdevice.h)
    """
    return 1 << prog.constant("__QUEUE_STATE_DRV_XOFF").value_()


def checked_count(count: int, limit: int, what: str) -> int:
    """
    Return a queue count, if it is possible.

    :param count: ``real_num_rx_queues`` or the like
    :param limit: How many the device was created with
    :param what: ``"rx"`` or ``"tx"``, for the error
    :return: *count*
    :raises ValueError: if *count* is more than *limit*, or *limit* is more than any
        device has
    """
    if limit > MAX_QUEUES:
        raise ValueError(f"num_{what}_queues is {limit}, more than any device has")
    if count > limit:
        raise ValueError(
            f"real_num_{what}_queues is {count}, more than num_{what}_queues ({limit})"
        )
    return count


def _count(dev: Object, real: str, what: str) -> int:
    limit = dev.member_(f"num_{what}_queues").value_()
    return checked_count(dev.member_(f"{real}num_{what}_queues").value_(), limit, what)


def netdev_real_num_rx_queues(dev: Object) -> int:
    """
    Return how many RX queues a device uses.

    >>> netdev_real_num_rx_queues(netdev_get_by_name("xshrka"))
    2

    :param dev: ``struct net_device *``
    :return: ``real_num_rx_queues`` (``unsigned int``)
    :raises ValueError: if it was created with fewer
    """
    return _count(dev, "real_", "rx")


def netdev_real_num_tx_queues(dev: Object) -> int:
    """
    Return how many TX queues a device uses.

    :param dev: ``struct net_device *``
    :return: ``real_num_tx_queues`` (``unsigned int``)
    :raises ValueError: if it was created with fewer
    """
    return _count(dev, "real_", "tx")


def netdev_num_rx_queues(dev: Object) -> int:
    """
    Return how many RX queues a device was created with.

    >>> netdev_num_rx_queues(netdev_get_by_name("xshrka"))
    4

    :param dev: ``struct net_device *``
    :return: ``num_rx_queues`` (``unsigned int``)
    :raises ValueError: if no device can have as many
    """
    return _count(dev, "", "rx")


def netdev_num_tx_queues(dev: Object) -> int:
    """
    Return how many TX queues a device was created with.

    :param dev: ``struct net_device *``
    :return: ``num_tx_queues`` (``unsigned int``)
    :raises ValueError: if no device can have as many
    """
    return _count(dev, "", "tx")


def netdev_rx_queue(dev: Object, queue: int) -> Object:
    """
    Return an RX queue of a device.

    :param dev: ``struct net_device *``
    :param queue: Below ``dev.num_rx_queues``
    :return: ``struct netdev_rx_queue *``
    :raises IndexError: if the device has no queue of this number
    """
    return dev._rx + queue_index(queue, netdev_num_rx_queues(dev), "RX")


def netdev_txq_to_tc(dev: Object, queue: int) -> int:
    """
    Return the traffic class of a TX queue, as netdev_txq_to_tc() does
    (net/core/dev.c).

    :param dev: ``struct net_device *``
    :param queue: Index of the TX queue, below ``dev.num_tx_queues``
    :return: 0 if the device has no traffic classes, -1 if none has this queue
    """
    if not dev.num_tc.value_():
        return 0
    for tc in range(_TC_MAX_QUEUE):
        txq = dev.tc_to_txq[tc]
        if 0 <= queue - txq.offset.value_() < txq.count.value_():
            return tc
    return -1
