# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The records of packets
----------------------

How many packets a queue has, and which are the oldest: of which device, how long, of
which protocol. What is in a packet is never read, and of a target whose packets are
left out (:mod:`drgn_veth.core.packets`) only how many there are.
"""

from collections.abc import Iterator, Mapping
import functools
import itertools
from typing import Any, Callable, NamedTuple, Optional

from drgn import Program

from ..core.errors import WalkError, attempt
from ..core.packets import are_packets_left_out
from ..core.struct_layout import Layout
from ..core.unreadable import NOT_IN_SLICE, Maybe, Unreadable
from ..dump.slice_note import is_slice
from ..model import DeviceRef, PacketInFlight, QueueInFlight
from ..readers.ptr_ring import (
    PtrRing,
    check_ring_size,
    ptr_ring_entries,
    ptr_ring_length,
)
from ..readers.skb import SkBuff, check_skb, skb_protocol, walk_skb_queue
from ..readers.xdp_frame import XdpFrame, check_xdp_frame
from .found import Found
from .layouts import layout_of

__all__ = ("Packets", "Ring", "Walk", "queued")

#: How many packets of a queue are recorded.
_MOST = 16
#: What queues mark in the address of a packet.
_MARKS = 1

#: Socket buffers, the oldest first; for their layout.
Walk = Callable[[Layout[SkBuff]], Iterator[tuple[int, SkBuff]]]


def queued(head: int, first: Maybe[int]) -> Walk:
    """Return the walk over a ``struct sk_buff_head``, of which *first* is the next."""
    return lambda layout: walk_skb_queue(layout, head, first)


_Oldest = Maybe[tuple[PacketInFlight, ...]]


def _all_skbs(entry: int) -> bool:
    return False


class Ring(NamedTuple):
    """The numbers of a ``struct ptr_ring``."""

    producer: Maybe[int]
    consumer_head: Maybe[int]
    size: Maybe[int]
    queue: Maybe[int]

    @classmethod
    def of(cls, raw: PtrRing) -> "Ring":
        """Return those that were read by a layout."""
        return cls(raw.producer, raw.consumer_head, raw.size, raw.queue)


class Packets:
    """
    Makes the records of packets and of the queues that they are in.

    :param found: All devices, by address
    """

    def __init__(self, prog: Program, found: Mapping[int, Found]) -> None:
        self._prog = prog
        self._found = found

    @functools.cached_property
    def _left_out(self) -> bool:
        path = self._prog.core_dump_path
        return are_packets_left_out(self._prog) or path is not None and is_slice(path)

    @functools.cached_property
    def _skb_layout(self) -> Maybe[Layout[SkBuff]]:
        return layout_of(self._prog, "struct sk_buff", SkBuff)

    @functools.cached_property
    def _frame_layout(self) -> Maybe[Layout[XdpFrame]]:
        return layout_of(self._prog, "struct xdp_frame", XdpFrame)

    def _device(self, address: Maybe[int]) -> Maybe[Optional[DeviceRef]]:
        if isinstance(address, Unreadable):
            return address
        if not address:
            return None
        found = self._found.get(address)
        if found is None:
            return Unreadable(f"there is no device at {address:#x}")
        return found.ref

    def _skb(self, skb: SkBuff) -> PacketInFlight:
        wrong = attempt(check_skb, skb)
        if isinstance(wrong, Unreadable):
            return PacketInFlight("skb", wrong, wrong, wrong)
        protocol = attempt(skb_protocol, self._prog, skb.protocol)
        return PacketInFlight(
            "skb",
            self._device(skb.dev),
            skb.len,
            protocol if isinstance(protocol, Unreadable) else f"{protocol:#06x}",
        )

    def _skb_at(self, address: int) -> PacketInFlight:
        layout = self._skb_layout
        if isinstance(layout, Unreadable):
            return PacketInFlight("skb", layout, layout, layout)
        return self._skb(layout.read(address))

    def _frame_at(self, address: int, knows_device: bool) -> PacketInFlight:
        layout = self._frame_layout
        if isinstance(layout, Unreadable):
            return PacketInFlight("xdp_frame", layout, layout)
        frame = layout.read(address)
        wrong = attempt(
            check_xdp_frame, self._prog, address, frame.data, frame.headroom
        )
        if isinstance(wrong, Unreadable):
            return PacketInFlight("xdp_frame", wrong, wrong)
        device = self._device(frame.dev_rx) if knows_device else None
        return PacketInFlight("xdp_frame", device, frame.len)

    def _first(self, walk: Walk, length: int) -> tuple[PacketInFlight, ...]:
        layout = self._skb_layout
        if isinstance(layout, Unreadable):
            raise WalkError(layout.reason)
        most = min(_MOST, length)
        first = tuple(
            [self._skb(skb) for _, skb in itertools.islice(walk(layout), most)]
        )
        if len(first) < most:
            raise WalkError(f"its length is {length}, but the list has {len(first)}")
        return first

    def listed(
        self, where: str, length: Maybe[int], walk: Optional[Walk], **place: Any
    ) -> Iterator[QueueInFlight]:
        """
        Yield the record of a list of socket buffers, nothing if it is empty.

        :param where: Kind of queue
        :param length: How many there are, says the queue
        :param walk: None: they have no one order
        :param place: More members of the record
        """
        if isinstance(length, Unreadable):
            yield QueueInFlight(where, length, length, 0, length, **place)
        elif length:
            oldest: Maybe[Optional[tuple[PacketInFlight, ...]]] = None
            skbs: Maybe[int] = length
            frames: Maybe[int] = 0
            if self._left_out:
                oldest = skbs = frames = Unreadable(NOT_IN_SLICE)
            elif walk is not None:
                oldest = attempt(self._first, walk, length)
            yield QueueInFlight(where, length, skbs, frames, oldest, **place)

    def ring(
        self,
        where: str,
        ring: Ring,
        is_frame: Callable[[int], bool] = _all_skbs,
        **place: Any,
    ) -> Iterator[QueueInFlight]:
        """
        Yield the record of a ring, nothing if it is empty.

        :param where: Kind of queue
        :param is_frame: Whether an entry is an XDP frame, and no socket buffer
        :param place: More members of the record
        """
        head, size, queue = ring.consumer_head, ring.size, ring.queue
        length = attempt(ptr_ring_length, self._prog, ring.producer, head, size, queue)
        if length == 0:
            return
        skbs: Maybe[int]
        frames: Maybe[int]
        oldest: _Oldest
        entries: Maybe[list[int]] = Unreadable(NOT_IN_SLICE)
        if not self._left_out:
            entries = attempt(ptr_ring_entries, self._prog, head, size, queue, length)
        if isinstance(entries, Unreadable):
            skbs = frames = oldest = entries
        else:
            frames = sum(map(is_frame, entries))
            skbs = len(entries) - frames
            # Only cpu_map_enqueue() sets xdp_frame.dev_rx. In other rings it is what
            # was in the memory before.
            knows_device = where == "cpumap"
            oldest = tuple(
                [
                    self._frame_at(entry & ~_MARKS, knows_device)
                    if is_frame(entry)
                    else self._skb_at(entry & ~_MARKS)
                    for entry in entries[:_MOST]
                ]
            )
        size = attempt(check_ring_size, size)
        place["size"] = None if isinstance(size, Unreadable) else size
        yield QueueInFlight(where, length, skbs, frames, oldest, **place)
