# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The queues of a veth
--------------------

What each ``struct veth_rq`` holds: XDP, NAPI and the ring of queues in use, and
programs that were left behind in the others.
"""

from typing import Optional

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import QueueCount, StaleProgram, XdpQueue
from ..readers.ptr_ring import next_in_ptr_ring
from ..readers.veth import (
    MOST_QUEUES,
    VethRq,
    is_xdp_frame,
    napi_is_scheduled,
    napi_is_threaded,
    xdp_rxq_is_registered,
)
from .found import NO_VETH, Found
from .layouts import Layouts
from .queue_arrays import owned, read_queues
from .xdp_programs import XdpPrograms

__all__ = ("VethQueues", "next_in_ring")


def next_in_ring(layouts: Layouts, rq: VethRq) -> Maybe[int]:
    """
    Return the next entry in the ring of a queue with NAPI, 0 if it is empty. Without
    NAPI, the pointer may lead to freed memory.
    """
    return attempt(
        next_in_ptr_ring, layouts.prog, rq.consumer_head, rq.ring_size, rq.ring
    )


class VethQueues:
    """Makes the records of the queues of veths."""

    def __init__(self, layouts: Layouts, programs: XdpPrograms) -> None:
        self._layouts = layouts
        self._programs = programs
        self._idle: dict[int, XdpQueue] = {}

    def _whole(
        self, found: Found, rqs: int, real: int, allocated: int
    ) -> tuple[Maybe[list[VethRq]], tuple[StaleProgram, ...]]:
        # All in one read: unused queues are few, and adjacent to the others.
        layout = self._layouts.veth_rq
        data = memoryview(self._layouts.prog.read(rqs, layout.size * allocated))
        rest = layout.size * real
        programs = layout.column("xdp_prog", data[rest:])
        stale: tuple[StaleProgram, ...] = ()
        if any(programs):
            stale = tuple(
                [StaleProgram(i, at) for i, at in enumerate(programs, real) if at]
            )
        return owned(layout.decode_array(data[:rest]), real, found.address), stale

    def read(
        self, found: Found, count: QueueCount
    ) -> tuple[Maybe[Optional[list[VethRq]]], Maybe[tuple[StaleProgram, ...]]]:
        """
        Return the queues in use, None if it is not a veth, and the programs that are
        left in all others.
        """
        rqs, (real, allocated) = found.veth_rqs, count
        if rqs is NO_VETH:
            return None, ()
        if isinstance(rqs, Unreadable):
            return rqs, rqs
        if isinstance(real, Unreadable):
            return real, real
        stale: Maybe[tuple[StaleProgram, ...]] = ()
        if isinstance(allocated, Unreadable):
            stale = allocated
        elif allocated > MOST_QUEUES and 0 < real < allocated:
            stale = Unreadable(f"no veth has {allocated} queues")
        elif 0 < real < allocated:
            whole = attempt(self._whole, found, rqs, real, allocated)
            if not isinstance(whole, Unreadable):
                queues, stale = whole
                return queues, queues if isinstance(queues, Unreadable) else stale
            stale = whole
        return read_queues(self._layouts.veth_rq, rqs, real, found.address), stale

    def _idle_queue(self, queue: int) -> XdpQueue:
        try:
            return self._idle[queue]
        except KeyError:
            errors = 0 if self._layouts.counts_tx_errors else None
            idle = XdpQueue(queue, None, False, tx_errors=errors)
            self._idle[queue] = idle
            return idle

    def _xdp_frame_waits(self, rq: VethRq) -> Maybe[bool]:
        scheduled = attempt(napi_is_scheduled, rq.napi_state)
        if scheduled is not False:
            return scheduled if isinstance(scheduled, Unreadable) else False
        return attempt(is_xdp_frame, next_in_ring(self._layouts, rq))

    def record(self, queue: int, raw: VethRq) -> XdpQueue:
        """Return the record of a queue in use."""
        state = raw.reg_state
        registered = attempt(xdp_rxq_is_registered, state) if state else False
        if not raw.xdp_prog and not raw.napi and not registered and not raw.tx_errors:
            return self._idle_queue(queue)
        prog_id: Maybe[Optional[int]] = None
        if raw.xdp_prog:
            prog_id = (
                raw.xdp_prog
                if isinstance(raw.xdp_prog, Unreadable)
                else self._programs.ident(raw.xdp_prog)
            )
        # As in veth_rq_has_napi().
        napi = raw.xdp_prog if raw.napi is None else raw.napi
        has_napi = napi if isinstance(napi, Unreadable) else napi != 0
        return XdpQueue(
            queue,
            prog_id,
            has_napi,
            registered,
            raw.tx_errors,
            self._xdp_frame_waits(raw) if has_napi is True else False,
            raw.rxq_index,
            attempt(napi_is_threaded, raw.napi_state) if has_napi is True else False,
        )
