# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packets that the qdiscs of a device hold."""

from collections.abc import Iterator
import functools
import heapq
import itertools
from typing import Any, NamedTuple, Optional

from drgn import Object, offsetof

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.struct_layout import Layout
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, QueueInFlight
from ..readers.fq_codel import codel_enqueue_time, for_each_fq_codel_flow
from ..readers.ptr_ring import PtrRing
from ..readers.qdisc import (
    QdiscQueues,
    for_each_netdev_qdisc,
    pfifo_fast_bands,
    qdisc_handle,
    qdisc_ops_id,
)
from ..readers.skb import SkBuff, walk_skb_chain
from .found import Found
from .layouts import Layouts, layout_of, needed
from .packets import Packets, Ring, Walk, queued

__all__ = ("QdiscPackets", "is_holding")

# Qdiscs that hold nothing, and have no others in them.
_NONE = ("noqueue", "noop")
# Those that only have others in them. Their qlen is what tc last showed.
_SUMS = ("mq", "mqprio")
# Those whose packets are all in Qdisc.q, in the order in which they leave.
_IN_Q = ("pfifo", "bfifo", "pfifo_head_drop", "codel", "gred", "pie", "plug")

_MAJOR = 0xFFFF0000


def is_holding(qdisc: Maybe[Optional[str]]) -> bool:
    """Return whether a qdisc may hold packets."""
    return isinstance(qdisc, str) and qdisc not in _NONE


class _One(NamedTuple):
    qdisc: Object  # struct Qdisc *
    raw: QdiscQueues
    kind: str


class QdiscPackets:
    """Finds what lies in qdiscs."""

    def __init__(self, layouts: Layouts, packets: Packets) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._packets = packets
        self._kinds: dict[int, str] = {}  # by Qdisc.ops

    @functools.cached_property
    def _layout(self) -> Layout[QdiscQueues]:
        return needed(layout_of(self._prog, "struct Qdisc", QdiscQueues))

    @functools.cached_property
    def _ring_layout(self) -> Layout[PtrRing]:
        return needed(layout_of(self._prog, "struct ptr_ring", PtrRing))

    def of_device(self, device: Device, found: Found) -> Iterator[QueueInFlight]:
        """Yield the queues in the qdiscs of a device."""
        root, kind = found.raw.qdisc, device.qdisc
        if isinstance(root, Unreadable) or not isinstance(kind, str) or not root:
            return
        raw = self._layout.read_span(root)
        # The root counts what is in its classes, too.
        if kind not in (*_SUMS, "pfifo_fast") and not raw.q_qlen and not raw.defer_list:
            return
        dev = self._layouts.dev(device.net_device)
        if kind == "pfifo_fast":
            yield from self._of(_One(dev.qdisc.read_(), raw, kind), 0, device, found)
            return
        salvage = Salvage()
        ones = [self._one(q) for q in salvage.walk(for_each_netdev_qdisc(dev))]
        for one in ones:
            yield from self._of(one, _below(one, ones), device, found)
        salvage.finish()

    def _one(self, qdisc: Object) -> _One:
        raw = self._layout.read_span(qdisc.value_())
        ops = raw.ops
        if isinstance(ops, Unreadable):
            return _One(qdisc, raw, "?")
        if ops not in self._kinds:
            self._kinds[ops] = decode(qdisc_ops_id(self._prog, ops))
        return _One(qdisc, raw, self._kinds[ops])

    def _of(
        self, one: _One, below: int, device: Device, found: Found
    ) -> Iterator[QueueInFlight]:
        # below: how many packets are in its classes
        raw, kind = one.raw, one.kind
        if kind in (*_SUMS, *_NONE):
            return
        place: dict[str, Any] = {
            "device": device.ref,
            "queue": self._tx_queue(raw, device, found),
            "qdisc": kind,
            "handle": attempt(qdisc_handle, raw.handle),
        }
        if isinstance(place["handle"], Unreadable):
            place["handle"] = None
        listed = self._packets.listed
        at = one.qdisc.value_()
        for part, first, length in (
            ("gso_skb", raw.gso_skb_next, raw.gso_skb_qlen),
            ("skb_bad_txq", raw.skb_bad_txq_next, raw.skb_bad_txq_qlen),
        ):
            if length:
                head = at + offsetof(one.qdisc.type_.type, part)
                walk = queued(head, first)
                yield from listed("qdisc", length, walk, **place, part=part)
        if kind == "pfifo_fast":
            for band, ring in enumerate(pfifo_fast_bands(one.qdisc)):
                numbers = Ring.of(self._ring_layout.read_span(ring.value_()))
                part = f"q[{band}]"
                yield from self._packets.ring("qdisc", numbers, **place, part=part)
        else:
            yield from listed("qdisc", _own(raw, below), self._walk(one), **place)
        if raw.defer_list:
            yield from self._deferred(raw.defer_list, **place)

    def _walk(self, one: _One) -> Optional[Walk]:
        if one.kind in _IN_Q:
            first = one.raw.q_head
            return lambda layout: walk_skb_chain(layout, first)
        if one.kind == "fq_codel":
            return lambda layout: self._by_time(layout, one.qdisc)
        return None

    def _by_time(
        self, layout: Layout[SkBuff], qdisc: Object
    ) -> Iterator[tuple[int, SkBuff]]:
        # The packets of each flow are in order.
        flows = [
            walk_skb_chain(layout, flow.head.value_())
            for flow in for_each_fq_codel_flow(qdisc)
        ]
        firsts = [next(flow, None) for flow in flows]
        some = next((skb for skb in firsts if skb is not None), None)
        if some is None:
            return iter(())
        now = codel_enqueue_time(self._prog, some[0])
        return heapq.merge(
            *(
                itertools.chain((first,), flow)
                for first, flow in zip(firsts, flows)
                if first is not None
            ),
            key=lambda skb: codel_enqueue_time(self._prog, skb[0], now),
        )

    def _deferred(
        self, first: Maybe[Optional[int]], **place: object
    ) -> Iterator[QueueInFlight]:
        # qdisc.defer_list: its length is only known by walking, its newest is first.
        layout = needed(layout_of(self._prog, "struct sk_buff", SkBuff))
        assert first is not None
        skbs = list(walk_skb_chain(layout, first))
        yield from self._packets.listed(
            "qdisc",
            len(skbs),
            lambda layout: reversed(skbs),
            **place,
            part="defer_list",
        )

    def _tx_queue(
        self, raw: QdiscQueues, device: Device, found: Found
    ) -> Optional[int]:
        # Of a qdisc of one TX queue.
        if device.qdisc not in _SUMS:
            return None
        queue, first = raw.dev_queue, found.raw.tx
        if isinstance(queue, Unreadable) or isinstance(first, Unreadable):
            return None
        index, rest = divmod(queue - first, self._layouts.tx_queue.size)
        count = found.raw.num_tx
        if rest or isinstance(count, Unreadable) or not 0 <= index < count:
            return None
        return index


def _below(one: _One, ones: list[_One]) -> int:
    # How many packets are in the classes of a qdisc.
    handle = one.raw.handle
    if isinstance(handle, Unreadable) or not handle:
        return 0
    total = 0
    for other in ones:
        parent, length = other.raw.parent, other.raw.q_qlen
        if isinstance(parent, Unreadable) or isinstance(length, Unreadable):
            continue
        if other is not one and parent & _MAJOR == handle:
            total += length
    return total


def _own(raw: QdiscQueues, below: int) -> Maybe[int]:
    for length in (raw.q_qlen, raw.gso_skb_qlen, raw.skb_bad_txq_qlen):
        if isinstance(length, Unreadable):
            return length
    assert isinstance(raw.q_qlen, int) and isinstance(raw.gso_skb_qlen, int)
    assert isinstance(raw.skb_bad_txq_qlen, int)
    # On a live kernel, they may be from different moments.
    return max(0, raw.q_qlen - raw.gso_skb_qlen - raw.skb_bad_txq_qlen - below)
