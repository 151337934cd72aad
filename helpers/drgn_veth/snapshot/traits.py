# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Traits of devices, and queues of AF_XDP
---------------------------------------

What decides requests that are no XDP attach.
"""

import functools

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import Queues, Traits
from .layouts import Layouts, NetDevice, RxQueue

__all__ = ("traits", "xsk_queues")


def _flag(flags: Maybe[int], mask: Maybe[int]) -> Maybe[bool]:
    if isinstance(mask, Unreadable):
        return mask
    return flags if isinstance(flags, Unreadable) else bool(flags & mask)


# Most devices have the same ones.
_traits = functools.lru_cache(maxsize=256)(Traits)


def _immutable(layouts: Layouts, raw: NetDevice, address: int) -> Maybe[bool]:
    bit = layouts.netns_bit
    if isinstance(bit, Unreadable):
        return bit
    if bit.offset is None:
        return _flag(raw.features, bit.mask)
    byte = attempt(layouts.prog.read_u8, address + bit.offset)
    return _flag(byte, bit.mask)


def traits(layouts: Layouts, raw: NetDevice, address: int) -> Traits:
    """
    Return the traits of a device.

    :param address: Of the ``struct net_device``
    """
    masks, flags, handler = layouts.priv_flags, raw.priv_flags, raw.rx_handler
    return _traits(
        raw.type,
        raw.addr_len,
        _immutable(layouts, raw, address),
        handler if isinstance(handler, Unreadable) else bool(handler),
        _flag(flags, masks.NO_RX_HANDLER),
        _flag(flags, masks.DONT_BRIDGE),
        _flag(flags, masks.RXFH_CONFIGURED),
    )


def xsk_queues(
    layouts: Layouts, raw: NetDevice, queues: Queues, rx: Maybe[list[RxQueue]]
) -> Maybe[tuple[int, ...]]:
    """
    Return the queues that AF_XDP sockets have, as xsk_get_pool_from_qid() (net/xdp/
    xsk.c) finds them.

    :param rx: What was read of the RX queues in use
    """
    if isinstance(rx, Unreadable):
        return rx
    found: list[int] = []
    for i, queue in enumerate(rx):
        if queue.pool:  # None, too: CONFIG_XDP_SOCKETS=n
            if isinstance(queue.pool, Unreadable):
                return queue.pool
            found.append(i)
    real = queues.tx.real
    if isinstance(real, Unreadable):
        return real
    # Beyond the RX queues, TX queues have them alone.
    layout = layouts.tx_queue
    if real > len(rx) and "pool" in layout.offset:
        if isinstance(raw.tx, Unreadable):
            return raw.tx
        for i in range(len(rx), real):
            where = raw.tx + i * layout.size + layout.offset["pool"]
            pool = attempt(layouts.prog.read_word, where)
            if isinstance(pool, Unreadable):
                return pool
            if pool:
                found.append(i)
    return tuple(found)
