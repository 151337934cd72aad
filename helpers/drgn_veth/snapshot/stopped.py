# SPDX-License-Identifier: LGPL-2.1-or-later
"""TX queues of a veth that wait for its peer's NAPI to wake them."""

from collections.abc import Sequence
import operator

from ..core.errors import attempt
from ..core.moving import moves
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, StoppedTxQueue
from ..readers.veth import MOST_QUEUES, VethRq, napi_is_scheduled
from .discover import Discovery
from .layouts import Layouts
from .veth_queues import next_in_ring

__all__ = ("add_stopped",)


def _record(layouts: Layouts, queue: int, rq: VethRq) -> StoppedTxQueue:
    return StoppedTxQueue(
        queue,
        attempt(operator.not_, next_in_ring(layouts, rq)),
        attempt(napi_is_scheduled, rq.napi_state),
    )


def _states(layouts: Layouts, first: int, count: int) -> list[int]:
    tx = layouts.tx_queue
    return tx.column("state", layouts.prog.read(first, tx.size * count))


def _stopped(
    layouts: Layouts, discovery: Discovery, device: Device, peer: Device
) -> Maybe[tuple[StoppedTxQueue, ...]]:
    real = device.queues.tx.real
    queues = peer.xdp.queues
    if isinstance(real, Unreadable) or real > MOST_QUEUES:
        return ()
    if queues is None or isinstance(queues, Unreadable):
        return ()
    # A queue without NAPI has no ring.
    live = [queue.queue for queue in queues if queue.napi is True]
    if not live:
        return ()
    rqs = discovery.found[peer.net_device].veth_rqs
    if isinstance(rqs, Unreadable):
        return rqs
    first = discovery.found[device.net_device].raw.tx
    states = attempt(_states, layouts, first, real)
    if isinstance(states, Unreadable):
        return states
    rq = layouts.veth_rq
    return tuple(
        [
            _record(layouts, i, rq.read(rqs + i * rq.size))
            for i in live
            if i < real and states[i] & layouts.drv_xoff
        ]
    )


def _in_both(
    stopped: Maybe[tuple[StoppedTxQueue, ...]],
    again: Maybe[tuple[StoppedTxQueue, ...]],
) -> Maybe[tuple[StoppedTxQueue, ...]]:
    if isinstance(stopped, Unreadable) or isinstance(again, Unreadable):
        return again
    return tuple([queue for queue in stopped if queue in again])


def add_stopped(
    layouts: Layouts,
    discovery: Discovery,
    devices: list[Device],
    with_napi: Sequence[int],
) -> None:
    """
    Put the stopped queues into the records of veths: this needs data of both ends of a
    pair.

    :param devices: Changed in place
    :param with_napi: Addresses of veths with NAPI on some queue
    """
    if not with_napi:
        return
    index = {device.net_device: i for i, device in enumerate(devices)}
    for address in with_napi:
        peer = devices[index[address]]
        if not isinstance(peer.peer, DeviceRef):
            continue
        i = index.get(peer.peer.net_device)
        veth = None if i is None else devices[i].veth
        if i is not None and veth is not None:
            stopped = _stopped(layouts, discovery, devices[i], peer)
            if stopped and moves(layouts.prog):
                # State and ring are of two moments. A queue that is stuck stays so.
                again = _stopped(layouts, discovery, devices[i], peer)
                stopped = _in_both(stopped, again)
            if stopped:
                devices[i] = devices[i]._replace(veth=veth._replace(stopped=stopped))
