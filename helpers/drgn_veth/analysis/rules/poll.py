# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which TX queue of its peer veth_poll() of this kernel wakes."""

from typing import NamedTuple, Optional

from ...core.messages import BACK_PRESSURE
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XdpQueue
from ..need import need
from .context import Context
from .values import of_code

__all__ = ("Wakes", "gro_is_safe", "wakes")


class Wakes(NamedTuple):
    """How veth_poll() finds the TX queue that it wakes."""

    checked: bool  # it compares the number with real_num_tx_queues
    by_rxq: bool  # it takes rq->xdp_rxq.queue_index, which is 0 until it is set

    def number(self, queue: XdpQueue) -> int:
        """
        Return the number of the TX queue that the NAPI of an RX queue wakes.

        :raises CannotTell: if it could not be read
        """
        if self.by_rxq:
            return need(queue.rxq_index, "rq[].xdp_rxq.queue_index")
        return queue.queue


def wakes(context: Context) -> Maybe[Optional[Wakes]]:
    """Return how veth_poll() finds the TX queue, None if veth never stops one."""
    stops = context.has_message("veth_xmit", BACK_PRESSURE)
    if isinstance(stops, Unreadable) and context.has_stopped:
        stops = True
    if stops is False:
        return None
    members = of_code(context.questions.kernel.veth_poll, "its address is unknown")
    if isinstance(members, Unreadable):
        return members
    if "_tx" not in members:
        if isinstance(stops, Unreadable):
            return None
        return Unreadable("it could not be analyzed")
    return Wakes("real_num_tx_queues" in members, "xdp_rxq.queue_index" in members)


def gro_is_safe(context: Context, device: Device, peer: Device) -> bool:
    """Return whether NAPI that the peer runs for GRO alone does a device no harm."""
    how = wakes(context)
    if how is None or (isinstance(how, Wakes) and how.checked and not how.by_rxq):
        return True
    rx, tx = peer.queues.rx.real, device.queues.tx
    if isinstance(rx, Unreadable) or isinstance(tx.allocated, Unreadable):
        return False
    # Either it wakes queues that do not exist, or queue 0 instead of another one.
    return rx <= tx.allocated and (
        rx == 1 or tx.real == 1 or isinstance(how, Wakes) and not how.by_rxq
    )
