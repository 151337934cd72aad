# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arrays of queues
----------------

Each queue names its device. That confirms an array, and how long it is.
"""

from typing import List, Optional, TypeVar

from drgn import Program

from ..core.errors import attempt
from ..core.struct_layout import Layout
from ..core.unreadable import Maybe, Unreadable
from ..model import QueueCount
from ..readers.queues import TxQueue
from ..readers.veth import VethRq
from .layouts import RxQueue

__all__ = ("confirmed_count", "read_queues")

# More of them that cannot be read are one thing that cannot be read.
_MOST_LOST_QUEUES = 256
# More queues are believed only if the last one can be looked at.
_MANY_QUEUES = 256

Q = TypeVar("Q", RxQueue, TxQueue, VethRq)


def read_queues(
    layout: Layout[Q], first: Maybe[int], real: Maybe[int], dev: int
) -> Maybe[List[Q]]:
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
    queues: List[Q] = []
    lost = 0
    for raw in layout.read_array(first, real):
        if isinstance(raw.dev, Unreadable):
            lost += 1
            if lost > _MOST_LOST_QUEUES:
                return raw.dev
        elif raw.dev != dev:
            return Unreadable(
                f"there are {real} queues, but number {len(queues)} is none of "
                "this device's"
            )
        queues.append(raw)
    return queues


def _denied(
    prog: Program, layout: Layout[Q], first: Maybe[int], count: int, dev: int
) -> Optional[Unreadable]:
    # Why a device cannot have as many queues: the last is none of its.
    if isinstance(first, Unreadable) or "dev" not in layout.offset or not count:
        return None
    last = first + (count - 1) * layout.size
    owner = attempt(prog.read_word, last + layout.offset["dev"])
    if owner == dev:
        return None
    if not isinstance(owner, Unreadable):
        return Unreadable(
            f"there are {count} queues, but the last one belongs to another device"
        )
    # An unreadable queue does not rule out an ordinary count.
    return owner if count > _MANY_QUEUES else None


def confirmed_count(
    prog: Program, layout: Layout[Q], first: Maybe[int], count: QueueCount, dev: int
) -> QueueCount:
    """
    Return numbers of queues, if the array does not deny them.

    :param first: Where the array begins
    :param dev: Address of the ``struct net_device``
    """
    real, allocated = count
    if isinstance(allocated, Unreadable):
        return count
    why = _denied(prog, layout, first, allocated, dev)
    if why is None:
        return count  # and with it the real ones, which are no more
    if not isinstance(real, Unreadable) and real != allocated:
        return QueueCount(_denied(prog, layout, first, real, dev) or real, why)
    return QueueCount(why, why)
