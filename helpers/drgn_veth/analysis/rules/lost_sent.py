# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about what a veth sends and its peer does not deliver, as counters say."""

from collections.abc import Iterator
from typing import Optional

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device
from ..losses import core_rx_dropped, outgrows, queue_sum, sent_losses
from ..need import need
from .context import Context, End
from .finding import INFO, WARNING, KernelAnswer, Symptom
from .rule import Rule, Sign
from .values import is_up, same

__all__ = ("RULES",)


_FULL_BACKLOG = "the backlog of a CPU was full"


def _outgrows(device: Device, peer: Device) -> bool:
    need(device.mtu, "mtu")
    return need(outgrows(device, peer), "peer_mtu")


def _refused(context: Context, device: Device, peer: Device) -> str:
    # Why the peer refused packets: as things are now, or as they may have been.
    causes = []
    if not is_up(peer, "peer_"):
        causes.append("it is down")
    if _outgrows(device, peer):
        causes.append(f"its MTU is {peer.mtu}, not {device.mtu}")
    if context.backlog_was_full:
        causes.append(_FULL_BACKLOG)
    if causes:
        return " or ".join(causes)
    return "it was down, or its MTU was smaller"


def _full_rings(peer: Device) -> int:
    # How many rings of the peer are full now.
    queues = peer.queue_stats
    rings = [one.ring for one in queues] if isinstance(queues, tuple) else []
    return sum(ring is not None and same(ring.used, ring.size) for ring in rings)


def _sent_words(context: Context, device: Device, peer: Device) -> Iterator[str]:
    losses = sent_losses(device, peer)
    if losses is None:
        return
    refused = losses.refused
    smaller = _outgrows(device, peer)
    if isinstance(refused, Unreadable):
        if not smaller:
            yield f"{count(losses.dropped, 'packet')} that it sent"
        return
    full = losses.dropped - refused
    if smaller and not full:
        return  # Rule mtu-mismatch reports them.
    if refused:
        why = _refused(context, device, peer)
        yield (
            f"{count(refused, 'packet')} that its peer refused ({why}), or that met a "
            "full ring"
        )
    if full:
        why = "that met a full ring"
        if context.may_reach(device):
            why += ", or were redirected while its peer had no NAPI"
        yield f"{count(full, 'packet')} {why}"


def _not_taken(device: Device, peer: Device) -> str:
    why = "met a full ring, or were longer than the peer's MTU"
    if _outgrows(device, peer):
        why += f" ({peer.mtu}, not {device.mtu})"
    return why


def _frame_words(context: Context, device: Device, peer: Device) -> Iterator[str]:
    # XDP frames that the peer's ring did not take.
    frames = queue_sum(peer, "peer_tq_xdp_xmit_err", "peer_")
    if frames:
        why = _not_taken(device, peer)
        yield f"{count(frames, 'frame')} of XDP_REDIRECT that {why}"
    # Without a native program there, rule xdp-tx-lost reports it.
    if need(peer.xdp.driver, "peer_xdp_state[XDP_MODE_DRV]") is not None:
        frames = queue_sum(device, "xdp_tx_err")
        if frames:
            yield (
                f"{count(frames, 'frame')} of XDP_TX that {_not_taken(device, peer)}, "
                "or were sent before the peer had a native program"
            )


def _sent(context: Context, end: End) -> Optional[Symptom]:
    device, peer = end.device, context.peer(end)
    if peer is None or device.veth is None:
        return None
    dropped = need(device.veth.dropped, "veth_priv.dropped")
    words = [
        *_sent_words(context, device, peer),
        *_frame_words(context, device, peer),
    ]
    if not words:
        return None
    full = _full_rings(peer)
    now = f"; full right now: {count(full, 'ring')}" if full else ""
    return Symptom(
        f"lost so far on the way to peer {context.name(peer, device)}: "
        f"{'; '.join(words)}{now}",
        (
            ("veth_priv.dropped", dropped),
            ("peer_rx_dropped of the core", core_rx_dropped(peer, device)),
            ("peer_rq[].xdp_ring full", full),
            ("mtu", device.mtu),
            ("peer_mtu", peer.mtu),
        ),
        KernelAnswer("veth_xmit"),
        severity=WARNING if full else INFO,
    )


def _not_delivered(context: Context, end: End) -> Optional[Symptom]:
    device, peer = end.device, context.peer(end)
    if peer is None or device.stats is None:
        return None
    core = need(core_rx_dropped(device, peer), "rx_dropped of the core")
    sent = 0 if peer.veth is None else need(peer.veth.dropped, "peer_veth_priv.dropped")
    if core is None or core <= sent:
        return None
    lost = core - sent
    causes = ["no protocol takes them"]
    if context.backlog_was_full:
        causes.append(_FULL_BACKLOG)
    return Symptom(
        f"{count(lost, 'received packet')} dropped so far: {', or '.join(causes)}",
        (
            ("rx_dropped of the core", core),
            ("peer_veth_priv.dropped", sent),
        ),
        KernelAnswer("__netif_receive_skb_core"),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="veth-packets-lost",
        severity=WARNING,
        title="packets were lost between the two ends of a veth",
        predicate=(
            "kind is veth && (veth_priv.dropped > 0 || the sum of peer "
            "rq[i].stats.vs.peer_tq_xdp_xmit_err > 0 || the peer has a native program "
            "&& the sum of rq[i].stats.vs.xdp_tx_err > 0), unless mtu-mismatch "
            "accounts for all of them. It is a warning if a peer rq[i].xdp_ring is "
            "full now, and a note otherwise."
        ),
        sees=(
            "`ip -s link` counts tx_dropped at the sender. Packets that the peer "
            "refused, and those that met a full backlog, are rx_dropped at the peer, "
            "too. Packets that met a full ring are not."
        ),
        fix=(
            "Where the peer is down or its MTU is smaller, see peer-down and "
            "mtu-mismatch. Where rings are full, the CPU that polls the peer is too "
            "slow: spread packets over more queues, or give the sender a qdisc, which "
            "waits instead (since v6.16). A full backlog: see backlog-overflow. XDP "
            "frames may also be longer than the peer's MTU: a program that adds a "
            "header needs room for it there."
        ),
        why=(
            "veth_xmit() (drivers/net/veth.c) counts in veth_priv.dropped what "
            "veth_forward_skb() did not take. __is_skb_forwardable() refuses a packet "
            "if the peer is down or its MTU too small, and enqueue_to_backlog() if "
            "the backlog is full; both also count rx_dropped of the peer. With NAPI, "
            "a packet that finds 256 others in the ring is counted at the sender "
            "alone, as are frames of XDP_REDIRECT when the peer has no NAPI. "
            "veth_xdp_xmit() counts a frame in the same counter if the ring is full, "
            "or if it is longer than MTU, header and a VLAN tag of the peer; since "
            "v5.13, it gives up those behind it, too. Counters begin when the device "
            "is created, so the cause may be gone."
        ),
        symptoms=(
            Sign("counter", "rx_dropped, tx_dropped (ip -s link)"),
            Sign("counter", "tx_queue_N_xdp_xmit_errors (ethtool -S)"),
        ),
        subjects=lambda context: context.veths,
        check=_sent,
    ),
    Rule(
        id="veth-not-delivered",
        severity=INFO,
        title="a veth received packets that nothing takes",
        predicate=(
            "kind is veth && rx_dropped of the core > veth_priv.dropped of the peer. "
            "rx_dropped of the core is what `ip -s link` shows, without the sums of "
            "rq[i].stats.vs.rx_drops, rq[i].stats.vs.peer_tq_xdp_xmit_err and peer "
            "rq[i].stats.vs.xdp_tx_err."
        ),
        sees="`ip -s link` counts rx_dropped, and the sender counts no tx_dropped.",
        fix=(
            "Look at the packets with tcpdump. Frames of LACP, LLDP and of a bond's "
            "balance-alb have EtherTypes that no protocol takes: that is harmless."
        ),
        why=(
            "__netif_receive_skb_core() (net/core/dev.c) counts rx_dropped when no "
            "packet handler takes a packet. enqueue_to_backlog() counts it when RPS "
            "finds a full backlog, and ____dev_forward_skb() when a tc program "
            "redirects a packet here that is too long. What the peer's veth_xmit() "
            "lost is counted there as well, and is taken off here."
        ),
        symptoms=(Sign("counter", "rx_dropped, without tx_dropped at the peer"),),
        subjects=lambda context: context.veths,
        check=_not_delivered,
    ),
)
