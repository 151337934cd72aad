# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Queues
------

Counts of queues, and what RPS, RFS and XPS do with each.
"""

from typing import NamedTuple

from ..core.unreadable import Maybe

__all__ = ("QueueCount", "Queues", "RpsQueue", "XpsQueue")


class QueueCount(NamedTuple):
    real: Maybe[int]
    allocated: Maybe[int]


class Queues(NamedTuple):
    rx: QueueCount
    tx: QueueCount


class RpsQueue(NamedTuple):
    """RPS and RFS of one real RX queue (``struct netdev_rx_queue``)."""

    queue: int
    cpus: Maybe[tuple[int, ...]]
    flow_entries: Maybe[int]


class XpsQueue(NamedTuple):
    """XPS of one real TX queue, as sysfs shows it: who chooses this queue."""

    queue: int
    cpus: Maybe[tuple[int, ...]]
    rx_queues: Maybe[tuple[int, ...]]
