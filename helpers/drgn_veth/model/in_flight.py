# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Packets in flight
-----------------

What lay in the kernel's queues: how many packets, and what little tells them apart.
Never what is in them.
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .reference import DeviceRef

__all__ = ("PacketInFlight", "QueueInFlight")


class PacketInFlight(NamedTuple):
    """A packet in a queue (``struct sk_buff``, ``struct xdp_frame``)."""

    kind: str  # skb, xdp_frame
    # skb->dev; xdp_frame.dev_rx, which only a CPUMAP sets: else None
    device: Maybe[Optional[DeviceRef]]
    len: Maybe[int]  # bytes; of an SKB that was received, without the Ethernet header
    protocol: Maybe[Optional[str]] = None  # skb->protocol: 0x0800. None: an XDP frame


class QueueInFlight(NamedTuple):
    """A queue that was not empty."""

    # veth-ring, gro, backlog, cpumap, tun-ring, qdisc
    where: str
    length: Maybe[int]  # packets in it
    skbs: Maybe[int]
    xdp_frames: Maybe[int]
    # In the order in which they leave, 16 at most; None: the kernel has no one order.
    oldest: Maybe[Optional[tuple[PacketInFlight, ...]]] = None
    device: Optional[DeviceRef] = None
    # RX queue of a veth, queue of a tun device, TX queue of a qdisc below mq, or key of
    # a CPUMAP.
    queue: Optional[int] = None
    cpu: Optional[int] = None
    map_id: Maybe[Optional[int]] = None
    qdisc: Optional[str] = None  # kind
    handle: Optional[str] = None  # as tc prints it
    # Member of the kernel's struct, if it has several queues: process_queue, gso_skb.
    part: Optional[str] = None
    size: Optional[int] = None  # of a ring
