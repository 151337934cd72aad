# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arrays of queues
----------------

Each queue points to its device. That confirms an array, and its length.
"""

from collections.abc import Iterable
from typing import Optional, TypeVar

from ..core.errors import attempt
from ..core.struct_layout import Layout
from ..core.unreadable import Maybe, Unreadable
from ..model import QueueCount
from ..readers.queues import TxQueue
from ..readers.veth import VethRq
from .layouts import RxQueue

__all__ = ("confirmed_count", "confirmed_queues", "owned", "read_queues")

# If more queues than this cannot be read, the whole array counts as unreadable.
_MOST_LOST_QUEUES = 256
# A higher count is trusted only if the last queue can be read.
_MANY_QUEUES = 256

Q = TypeVar("Q", RxQueue, TxQueue, VethRq)


def owned(queues: Iterable[Q], count: int, dev: int) -> Maybe[list[Q]]:
    """
    Return queues, if they belong to a device.

    :param count: How many there are
    :param dev: Address of the ``struct net_device``
    """
    found: list[Q] = []
    lost = 0
    for queue in queues:
        if queue.dev != dev:
            if not isinstance(queue.dev, Unreadable):
                return Unreadable(
                    f"there are {count} queues, but number {len(found)} belongs to "
                    "another device"
                )
            lost += 1
            if lost > _MOST_LOST_QUEUES:
                return queue.dev
        found.append(queue)
    return found


def read_queues(
    layout: Layout[Q], first: Maybe[int], real: Maybe[int], dev: int
) -> Maybe[list[Q]]:
    """
    Return what is read of each queue of a device.

    :param first: Where the array begins
    :param real: How many there are
    :param dev: Address of the ``struct net_device``
    """
    if isinstance(first, Unreadable):
        return first
    if isinstance(real, Unreadable):
        return real
    return owned(layout.read_array(first, real), real, dev)


def _denied(
    layout: Layout[Q], first: Maybe[int], count: int, dev: int
) -> Optional[Unreadable]:
    # Why a device cannot have this many queues: the last belongs to another one.
    if isinstance(first, Unreadable) or "dev" not in layout.offset or not count:
        return None
    last = first + (count - 1) * layout.size
    owner = attempt(layout.prog.read_word, last + layout.offset["dev"])
    if owner == dev:
        return None
    if not isinstance(owner, Unreadable):
        return Unreadable(
            f"there are {count} queues, but the last one belongs to another device"
        )
    # An unreadable queue does not rule out an ordinary count.
    return owner if count > _MANY_QUEUES else None


def confirmed_count(
    layout: Layout[Q], first: Maybe[int], count: QueueCount, dev: int
) -> QueueCount:
    """
    Return queue counts, unless the array contradicts them.

    :param first: Where the array begins
    :param dev: Address of the ``struct net_device``
    """
    real, allocated = count
    if isinstance(allocated, Unreadable):
        return count
    why = _denied(layout, first, allocated, dev)
    if why is None:
        return count  # The real queues are among the allocated ones.
    if not isinstance(real, Unreadable) and real != allocated:
        return QueueCount(_denied(layout, first, real, dev) or real, why)
    return QueueCount(why, why)


def confirmed_queues(
    layout: Layout[Q], first: Maybe[int], count: QueueCount, dev: int
) -> tuple[QueueCount, Maybe[list[Q]]]:
    """Return queue counts like :func:`confirmed_count()`, and the queues in use."""
    real = count.real
    if isinstance(real, int) and real == count.allocated and real <= _MANY_QUEUES:
        queues = read_queues(layout, first, real, dev)
        # The last one is among them, and need not be read again.
        if not isinstance(queues, Unreadable) and queues and queues[-1].dev == dev:
            return count, queues
    count = confirmed_count(layout, first, count, dev)
    return count, read_queues(layout, first, count.real, dev)
