# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What RPS makes of sent packets
------------------------------

A veth's TX queues, and which RX queue's mask steers at its peer what they send.
"""

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, Snapshot
from ..need import CannotTell, need
from ..path.steering import mapping_after_veth, rps_queue
from .context import Context, End
from .steering import is_recorded
from .values import real_queues

__all__ = ("Sent", "sent_queues")


class Sent(NamedTuple):
    """How a veth's peer steers what the veth sends."""

    peer: Device
    #: By TX queue: the RX queue whose mask applies, None if RPS skips the packets;
    #: empty if the peer has no RPS.
    rx_queues: Maybe[tuple[Optional[int], ...]]


def _sent(context: Context, end: End) -> tuple[Optional[int], ...]:
    # The peer sends what a device receives.
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return ()
    rx, tx = real_queues(device, peer)
    recorded = is_recorded(context, device)
    known = need(recorded, "whether veth_xmit() records the RX queue")
    return tuple(rps_queue(mapping_after_veth(n, rx, known), rx) for n in range(tx))


def sent_queues(snapshot: Snapshot) -> Mapping[int, Sent]:
    """
    Return how the peers of veths steer what these send, by ``net_device`` of the veth
    that sends.
    """
    context = Context(snapshot)
    found: dict[int, Sent] = {}
    for end in context.steered:
        device, peer = end
        if device.kind != "veth" or not isinstance(peer, Device):
            continue
        try:
            queues: Maybe[tuple[Optional[int], ...]] = _sent(context, end)
        except CannotTell as e:
            queues = Unreadable(str(e))
        found[peer.net_device] = Sent(device, queues)
    for device, peer in context.veths:
        if isinstance(peer, Device):
            found.setdefault(peer.net_device, Sent(device, ()))
    return found
