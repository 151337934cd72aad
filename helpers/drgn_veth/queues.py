# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Queues
------

A device is made with a number of RX and TX queues (allocated, what ``ip -d
link`` prints) and uses the first of them (real, what ``ethtool -l`` and sysfs
``queues/`` show). XDP and RPS go by the real ones.
"""

from drgn import Object

__all__ = (
    "MAX_QUEUES",
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


def _count(dev: Object, real: str, allocated: str) -> int:
    count: int = dev.member_(real).value_()
    limit = dev.member_(allocated).value_()
    if limit > MAX_QUEUES:
        raise ValueError(f"{allocated} is {limit}, more than any device has")
    if count > limit:
        raise ValueError(f"{real} is {count}, more than {allocated} ({limit})")
    return count


def netdev_real_num_rx_queues(dev: Object) -> int:
    """
    Return how many RX queues a device uses.

    :param dev: ``struct net_device``
    :raises ValueError: if it has fewer than that
    """
    return _count(dev, "real_num_rx_queues", "num_rx_queues")


def netdev_real_num_tx_queues(dev: Object) -> int:
    """
    Return how many TX queues a device uses.

    :param dev: ``struct net_device``
    :raises ValueError: if it has fewer than that
    """
    return _count(dev, "real_num_tx_queues", "num_tx_queues")


def netdev_num_rx_queues(dev: Object) -> int:
    """
    Return how many RX queues a device was made with.

    :param dev: ``struct net_device``
    :raises ValueError: if no device can have as many
    """
    return _count(dev, "num_rx_queues", "num_rx_queues")


def netdev_num_tx_queues(dev: Object) -> int:
    """
    Return how many TX queues a device was made with.

    :param dev: ``struct net_device``
    :raises ValueError: if no device can have as many
    """
    return _count(dev, "num_tx_queues", "num_tx_queues")


def netdev_rx_queue(dev: Object, queue: int) -> Object:
    """
    Return an RX queue of a device.

    :param dev: ``struct net_device``
    :param queue: Below ``dev.num_rx_queues``
    :return: ``struct netdev_rx_queue *``
    """
    return dev._rx + queue


def netdev_txq_to_tc(dev: Object, queue: int) -> int:
    """
    Return the traffic class of a TX queue, as netdev_txq_to_tc() does
    (net/core/dev.c).

    :param dev: ``struct net_device``
    :param queue: Index of the TX queue
    :return: 0 if the device has no traffic classes, -1 if none has this queue
    """
    if not dev.num_tc.value_():
        return 0
    for tc in range(_TC_MAX_QUEUE):
        txq = dev.tc_to_txq[tc]
        if 0 <= queue - txq.offset.value_() < txq.count.value_():
            return tc
    return -1
