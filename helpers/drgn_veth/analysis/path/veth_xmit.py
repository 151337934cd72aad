# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_xmit()
-----------

Which RX queue of the peer a TX queue of a veth feeds, and whether the packet goes
through its NAPI (drivers/net/veth.c).
"""

from typing import Optional, Union

from ...core.english import count
from ...core.messages import BACK_PRESSURE
from ...core.netdev_features import (
    NETIF_F_ALL_TSO,
    NETIF_F_GRO_FRAGLIST,
    NETIF_F_GRO_UDP_FWD,
)
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XdpQueue
from ..losses import VLAN_HLEN, outgrows
from .counted import veth_counted
from .records import Slot
from .steering import is_recorded, mapping_after_veth
from .trail import Trail

__all__ = ("feeds", "packet_limit", "sender_has_tso", "veth_xmit")

_RING = 256  # VETH_RING_SIZE


def feeds(tx: int, rx: int) -> Optional[int]:
    """
    Return the RX queue that a TX queue feeds, None if the peer has none for it.

    :param tx: The TX queue
    :param rx: How many real RX queues the peer has
    """
    return tx if tx < rx else None


def sender_has_tso(sender: Device) -> Maybe[int]:
    """
    Return the TSO features of a sender: with any, ``veth_skb_is_eligible_for_gro()``
    keeps its packets from the NAPI of its peer.
    """
    features = sender.features.features
    if isinstance(features, Unreadable):
        return features
    return features & NETIF_F_ALL_TSO


def packet_limit(receiver: Device) -> Maybe[int]:
    """
    Return the length with Ethernet header that ``__is_skb_forwardable()`` and
    ``xdp_ok_fwd_dev()`` accept, GSO packets aside.
    """
    for value in (receiver.mtu, receiver.hard_header_len):
        if isinstance(value, Unreadable):
            return value
    assert isinstance(receiver.mtu, int)
    assert isinstance(receiver.hard_header_len, int)
    return receiver.mtu + receiver.hard_header_len + VLAN_HLEN


def _too_long(sender: Device, receiver: Device) -> tuple[str, ...]:
    limit = packet_limit(receiver)
    if isinstance(limit, Unreadable) or outgrows(sender, receiver) is not True:
        return ()
    text = f"dropped if longer than {limit} bytes and not GSO"
    return (f"{text}: the MTU is {receiver.mtu} here, and {sender.mtu} at the sender",)


def _full(trail: Trail, sender: Device) -> str:
    stops = trail.topology.questions.has_message("veth_xmit", BACK_PRESSURE)
    dropped = f"dropped once {_RING} packets wait in its ring"
    if stops is not True or sender.qdisc in (None, "noqueue"):
        return dropped
    return f"once {_RING} packets wait in its ring, the TX queue stops"


def _uses_napi(
    trail: Trail, sender: Device, receiver: Device, rq: XdpQueue
) -> tuple[Maybe[bool], str, tuple[str, ...]]:
    # Whether, why, and what else.
    if isinstance(rq.napi, Unreadable):
        return rq.napi, f"whether NAPI is on could not be read: {rq.napi.reason}", ()
    if not rq.napi:
        return False, "NAPI off: netif_rx()", ()
    tso = sender_has_tso(sender)
    if isinstance(tso, Unreadable):
        return tso, f"the sender's features could not be read: {tso.reason}", ()
    if not tso:
        return True, "", ()
    features = receiver.features.features
    if isinstance(features, Unreadable):
        return features, f"features could not be read: {features.reason}", ()
    if features & (NETIF_F_GRO_FRAGLIST | NETIF_F_GRO_UDP_FWD):
        text = "NAPI on, but the sender has TSO: netif_rx()"
        also = "packets of UDP and raw sockets go through NAPI (sock_wfree)"
        return False, text, (also,)
    return False, "NAPI on, but the sender has TSO: netif_rx()", ()


def veth_xmit(
    trail: Trail, sender: Device, receiver: Device, tx: int
) -> Optional[XdpQueue]:
    """
    Add the steps of ``veth_xmit()``.

    :param tx: The TX queue
    :return: The RX queue whose NAPI takes the packet, None if netif_rx() takes it
    """
    rx = receiver.queues.rx.real
    if isinstance(rx, Unreadable):
        text = f"the peer's number of RX queues could not be read: {rx.reason}"
        trail.add("rx-queue", "veth_xmit", receiver, text, rx_queue=rx)
        trail.mapping = trail.unsure = rx
        via = ("receive", "veth_forward_skb", receiver)
        trail.add(*via, "NAPI or netif_rx(): unknown", via=rx)
        return None
    queue = feeds(tx, rx)
    if queue is None:
        text = f"no such RX queue: the peer has {count(rx, 'real RX queue')}"
        words: tuple[Union[str, Slot], ...] = (text,)
    else:
        words = (Slot("rx_queue", "rx"),)
    numbers = {"rx_queue": queue, "real_num_rx_queues": rx}
    trail.put("rx-queue", "veth_xmit", receiver, words, numbers)
    recorded = is_recorded(trail.topology.records_rx_queue, receiver, queue)
    trail.mapping = 0 if tx == 0 and recorded is not True else tx
    if isinstance(recorded, Unreadable) and queue is not None:
        reason = f"skb_record_rx_queue() in veth_xmit(): {recorded.reason}"
        # TX queue 0 is taken for rx-0 in both cases.
        trail.mapping = Unreadable(reason) if tx else 0
    elif recorded is True:
        trail.mapping = mapping_after_veth(tx, rx, True)
    return _receive(trail, sender, receiver, queue)


def _receive(
    trail: Trail, sender: Device, receiver: Device, queue: Optional[int]
) -> Optional[XdpQueue]:
    alternatives = (*_too_long(sender, receiver), *veth_counted(sender))
    if receiver.is_down:
        text = "down: __is_skb_forwardable() refuses"
        trail.add("receive", "veth_forward_skb", receiver, text, via=None)
        trail.ends = "dropped: the receiver is down"
        return None
    if queue is None:
        trail.add(
            *("receive", "veth_forward_skb", receiver, "no NAPI: netif_rx()"),
            alternatives=alternatives,
            via="netif_rx",
        )
        return None
    queues = receiver.xdp.queues
    rq = None
    if isinstance(queues, tuple):
        rq = next((one for one in queues if one.queue == queue), None)
    if rq is None:
        why = queues.reason if isinstance(queues, Unreadable) else "it was not found"
        missing = Unreadable(why)
        trail.add(
            *("receive", "veth_forward_skb", receiver),
            f"whether NAPI is on could not be read: {why}",
            alternatives=alternatives,
            via=missing,
        )
        trail.unsure = missing
        return None
    uses, text, more = _uses_napi(trail, sender, receiver, rq)
    if uses is True:
        where = "the CPU that sends"
        if rq.threaded is not False:
            # napi_threaded_poll(); None: any CPU.
            trail.cpu = None
            where = "the CPU of its thread"
        elif trail.cpu is not None:
            where = f"CPU {trail.cpu}"
        trail.add(
            *("receive", "veth_poll", receiver, f"NAPI polls it on {where}"),
            alternatives=(*alternatives, *more, _full(trail, sender)),
            via="napi",
        )
        return rq
    via = "netif_rx" if uses is False else uses
    trail.add(
        *("receive", "veth_forward_skb", receiver, text),
        alternatives=(*alternatives, *more),
        via=via,
    )
    if isinstance(uses, Unreadable):
        trail.unsure = uses
    return None
