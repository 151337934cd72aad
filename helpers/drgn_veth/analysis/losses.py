# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What lost the packets that were counted
---------------------------------------

A counter of losses has several causes. What was counted beside it excludes some, and
says how many packets the others can have lost. Counters begin with the device, or with
the boot.
"""

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Snapshot
from .need import CannotTell, need

__all__ = (
    "VLAN_HLEN",
    "SentLosses",
    "backlog_losses",
    "core_rx_dropped",
    "outgrows",
    "queue_losses",
    "queue_sum",
    "sent_losses",
)

VLAN_HLEN = 4  # bytes
_LOSSES = ("rx_drops", "xdp_drops", "xdp_tx_err", "peer_tq_xdp_xmit_err")


def queue_sum(device: Device, name: str, whose: str = "") -> int:
    """
    Return the sum over the RX queues of a veth of a counter of ``struct veth_stats``.

    :raises CannotTell: if one could not be read
    """
    queues = device.queue_stats
    if isinstance(queues, Unreadable):
        raise CannotTell(f"{whose}rq[].stats", queues)
    total = 0
    # Rules ask this of each device: make no text for nothing.
    for queue in queues or ():
        number = getattr(queue, name)
        if isinstance(number, Unreadable):
            raise CannotTell(f"{whose}rq[].stats.vs.{name}", number)
        total += number
    return total


def queue_losses(device: Device) -> Mapping[str, int]:
    """
    Return the counters of ``struct veth_stats`` that count losses, over all RX queues
    of a veth; as far as they could be read.
    """
    queues = device.queue_stats
    if queues is None or isinstance(queues, Unreadable):
        return {}
    return {
        name: sum(n for n in (getattr(q, name) for q in queues) if isinstance(n, int))
        for name in _LOSSES
    }


def core_rx_dropped(device: Device, peer: Device) -> Maybe[Optional[int]]:
    """
    Return what the core has counted as ``rx_dropped`` of a veth: ``veth_get_stats64()``
    adds the counters of queues (drivers/net/veth.c), which are taken off here.

    RX queues that were removed keep what they have counted, and are not known here: it
    is that much at most.

    :return: None if the counters were not read
    """
    if device.stats is None or isinstance(device.stats, Unreadable):
        return device.stats
    try:
        queues = queue_sum(device, "rx_drops")
        queues += queue_sum(device, "peer_tq_xdp_xmit_err")
        queues += queue_sum(peer, "xdp_tx_err", "peer_")
    except CannotTell as e:
        return Unreadable(str(e))
    # Of a live kernel, the two are not of one moment.
    return max(0, device.stats.rx_dropped - queues)


def backlog_losses(snapshot: Snapshot) -> Maybe[Optional[int]]:
    """
    Return how many packets found the backlog of a CPU full (``softnet_data.dropped``).

    :return: None if the counters were not read
    """
    cpus, online = snapshot.cpus, snapshot.target.online_cpus
    if cpus is None or isinstance(cpus, Unreadable):
        return cpus
    lost = 0
    for one in cpus:
        if isinstance(one.dropped, Unreadable):
            return one.dropped
        lost += one.dropped
    if isinstance(online, Unreadable) or len(online) != snapshot.target.possible_cpus:
        return Unreadable("some CPUs are offline")
    return lost


class SentLosses(NamedTuple):
    """What became of the packets that a veth sent, and that it counted as lost."""

    dropped: int  # veth_priv.dropped: those below are among them
    #: At most so many: ``____dev_forward_skb()`` refused them (the peer was down, or
    #: its MTU too small), or they found a full backlog.
    #: The others found a full ring; or XDP_REDIRECT found no NAPI. How many more did is
    #: not known: ``rx_dropped`` of the peer also counts packets that no protocol takes.
    refused: Maybe[int]


def outgrows(device: Device, peer: Device) -> Maybe[bool]:
    """
    Return whether packets as long as the MTU of a veth are too long for its peer:
    ``__is_skb_forwardable()`` (include/linux/netdevice.h) leaves room for a VLAN tag.
    """
    for value in (device.mtu, peer.mtu):
        if isinstance(value, Unreadable):
            return value
    assert isinstance(device.mtu, int) and isinstance(peer.mtu, int)
    return device.mtu > peer.mtu + VLAN_HLEN


def sent_losses(device: Device, peer: Device) -> Optional[SentLosses]:
    """
    Return what became of the packets that a veth has lost, None if it has lost none.

    ``veth_xmit()`` and ``veth_ndo_xdp_xmit()`` (drivers/net/veth.c) count each in
    ``veth_priv.dropped``. ``____dev_forward_skb()`` (include/linux/netdevice.h) and
    ``enqueue_to_backlog()`` (net/core/dev.c) count it in ``rx_dropped`` of the peer,
    too; a full ring does not.

    :raises CannotTell: if ``veth_priv.dropped`` could not be read
    """
    if device.veth is None:
        return None
    dropped = need(device.veth.dropped, "veth_priv.dropped")
    if dropped == 0:
        return None
    core = core_rx_dropped(peer, device)
    if core is None:
        core = Unreadable("the counters were not read")
    if isinstance(core, Unreadable):
        return SentLosses(dropped, core)
    return SentLosses(dropped, min(dropped, core))
