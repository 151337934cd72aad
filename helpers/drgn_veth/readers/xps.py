# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XPS
---

Which TX queues the kernel may choose for a packet, by the CPU that sends it or the RX
queue that received it. The kernel stores this by CPU and by RX queue. These functions
invert it, as sysfs ``queues/tx-N/xps_cpus`` and ``xps_rxqs`` do (xps_queue_show(),
net/core/net-sysfs.c).

Upstream: all but the members.
"""

from drgn import NULL, Object

from ..core.arguments import queue_index
from ..core.struct_layout import Members, optional_pointer
from .array import array_values, expect_array
from .cpumask import nr_cpu_ids
from .queues import (
    MAX_QUEUES,
    netdev_num_rx_queues,
    netdev_num_tx_queues,
    netdev_txq_to_tc,
)

__all__ = (
    "NetDeviceXps",
    "XPS_CPUS",
    "XPS_RXQS",
    "netdev_xps_cpus",
    "netdev_xps_maps",
    "netdev_xps_queues",
    "netdev_xps_rxqs",
)

# enum xps_map_type, in v5.13 and later the index of net_device.xps_maps.
XPS_CPUS = 0
XPS_RXQS = 1

_OLD_MEMBERS = ("xps_cpus_map", "xps_rxqs_map")
_MAX_TC = 16  # TC_MAX_QUEUE


class NetDeviceXps(Members):
    """Members of ``struct net_device`` about XPS, with CONFIG_XPS."""

    # As in netdev_xps_maps().
    xps_cpus = optional_pointer(f"xps_maps[{XPS_CPUS}]", _OLD_MEMBERS[XPS_CPUS])
    xps_rxqs = optional_pointer(f"xps_maps[{XPS_RXQS}]", _OLD_MEMBERS[XPS_RXQS])


def netdev_xps_maps(dev: Object, type: int) -> Object:
    """
    Return the XPS maps of a device.

    :param dev: ``struct net_device *``
    :param type: :data:`XPS_CPUS` or :data:`XPS_RXQS`
    :return: ``struct xps_dev_maps *``, ``NULL`` if there are none
    :raises ValueError: if it is another type, or if the maps are not where they should
        be
    """
    if type not in (XPS_CPUS, XPS_RXQS):
        raise ValueError(f"{type!r} is no type of XPS maps: XPS_CPUS, XPS_RXQS")
    # Since Linux kernel commit 044ab86d431b ("net: move the xps maps to an
    # array") (in v5.13), xps_maps is an array. Before, there are two members.
    try:
        maps = dev.xps_maps
    except AttributeError:
        pass
    else:
        return expect_array(maps)[type].read_()
    try:
        return dev.member_(_OLD_MEMBERS[type]).read_()
    except AttributeError:  # CONFIG_XPS=n
        return NULL(dev.prog_, "void *")


def _shape(dev: Object, maps: Object, type: int) -> tuple[int, int]:
    # How many CPUs or RX queues, and traffic classes, the maps are for.
    limit = nr_cpu_ids(dev.prog_) if type == XPS_CPUS else netdev_num_rx_queues(dev)
    # Since Linux kernel commits 5478fcd0f483 ("net: embed nr_ids in the xps
    # maps") and 255c04a87f43 ("net: embed num_tc in the xps maps") (in v5.13),
    # the maps know. Before, the counts of the device apply.
    try:
        nr_ids, num_tc = maps.nr_ids.value_(), maps.num_tc.value_()
    except AttributeError:
        nr_ids, num_tc = limit, dev.num_tc.value_() or 1
    if nr_ids > max(limit, 1):
        raise ValueError(
            f"xps_dev_maps.nr_ids is {nr_ids}, more than possible ({limit})"
        )
    if not 0 < num_tc <= _MAX_TC:
        raise ValueError(f"the number of XPS traffic classes is {num_tc}")
    return nr_ids, num_tc


def netdev_xps_queues(dev: Object, type: int) -> dict[int, tuple[int, ...]]:
    """
    Return which CPUs or RX queues may use each TX queue, as XPS is configured.

    >>> netdev_xps_queues(netdev_get_by_name("xpsa"), XPS_CPUS)
    {0: (0,), 1: (1,), 2: (2, 3)}

    :param dev: ``struct net_device *``
    :param type: :data:`XPS_CPUS` or :data:`XPS_RXQS`
    :return: Only TX queues that are in some map; CPUs or RX queues ascending
    :raises ValueError: if the maps are not plausible, or if the device is subordinate
        (``num_tc`` below 0), for which sysfs returns EINVAL
    """
    maps = netdev_xps_maps(dev, type)
    if not maps:
        return {}
    prog = dev.prog_
    if dev.num_tc.value_() < 0:
        raise ValueError("a subordinate device has no XPS maps of its own")
    nr_ids, num_tc = _shape(dev, maps, type)
    count = nr_ids * num_tc
    addresses = array_values(maps.attr_map, count, count, "xps_dev_maps.nr_ids")
    map_type = prog.type("struct xps_map *")
    tc_of: dict[int, int] = {}
    found: dict[int, list[int]] = {}
    for index, address in enumerate(addresses):
        if not address:
            continue
        map_ = Object(prog, map_type, address)
        id, tc = divmod(index, num_tc)
        for txq in array_values(
            map_.queues, map_.len.value_(), MAX_QUEUES, "xps_map.len"
        ):
            if txq not in tc_of:
                tc_of[txq] = netdev_txq_to_tc(dev, txq)
            if tc_of[txq] == tc:
                ids = found.setdefault(txq, [])
                if not ids or ids[-1] != id:
                    ids.append(id)
    return {txq: tuple(ids) for txq, ids in found.items()}


def netdev_xps_cpus(dev: Object, queue: int) -> tuple[int, ...]:
    """
    Return the CPUs that may use a TX queue, as XPS is configured (sysfs ``xps_cpus``).

    >>> netdev_xps_cpus(netdev_get_by_name("xpsa"), 2)
    (2, 3)

    :param dev: ``struct net_device *``
    :param queue: Index of the TX queue, below ``dev.num_tx_queues``
    :return: Numbers of CPUs, ascending
    :raises IndexError: if the device has no queue of this number
    :raises ValueError: as :func:`netdev_xps_queues()`
    """
    queue = queue_index(queue, netdev_num_tx_queues(dev), "TX")
    return netdev_xps_queues(dev, XPS_CPUS).get(queue, ())


def netdev_xps_rxqs(dev: Object, queue: int) -> tuple[int, ...]:
    """
    Return the RX queues whose packets may use a TX queue, as XPS is configured (sysfs
    ``xps_rxqs``).

    >>> netdev_xps_rxqs(netdev_get_by_name("xpsa"), 1)
    (1, 2)

    :param dev: ``struct net_device *``
    :param queue: Index of the TX queue, below ``dev.num_tx_queues``
    :return: Indexes of RX queues, ascending
    :raises IndexError: if the device has no queue of this number
    :raises ValueError: as :func:`netdev_xps_queues()`
    """
    queue = queue_index(queue, netdev_num_tx_queues(dev), "TX")
    return netdev_xps_queues(dev, XPS_RXQS).get(queue, ())
