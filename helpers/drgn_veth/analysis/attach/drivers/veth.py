# SPDX-License-Identifier: LGPL-2.1-or-later
"""veth_xdp_set() (drivers/net/veth.c)."""

from typing import NamedTuple, Optional

from ....core import messages
from ....core.english import count
from ....core.skbuff import skb_data_align
from ....core.uapi import XDP_PACKET_HEADROOM
from ....core.unreadable import Maybe, Unreadable
from ....model import Device, Kernel
from ...names import name_of
from ...need import CannotTell, need, need_of
from ...remedies import Remedy
from ..decision import Decision
from ..driver_decisions import Decide, DriverDecisions
from ..question import Answer, Question

__all__ = ("DRIVER", "veth_max_mtu")


class _MaxMtu(NamedTuple):
    mtu: int
    parts: tuple[int, ...]  # page, headroom, header, skb_shared_info
    frags: Optional[int]  # how many pages more

    @property
    def words(self) -> str:
        """How it comes about."""
        page, headroom, header, info = self.parts
        words = (
            f"{page} (page) - {headroom} (headroom) - {header} (hard_header_len) - "
            f"{info} (struct skb_shared_info)"
        )
        if self.frags is not None:
            words += f" + {page} * {self.frags} (frags)"
        return words


def _veth_max_mtu(kernel: Kernel, peer: Device, frags: bool) -> _MaxMtu:
    page = need(kernel.page_size, "PAGE_SIZE")
    align = need(kernel.net_ip_align, "NET_IP_ALIGN")
    line = need(kernel.smp_cache_bytes, "SMP_CACHE_BYTES")
    info = need(kernel.skb_shared_info_size, "sizeof(struct skb_shared_info)")
    header = need(peer.hard_header_len, "hard_header_len of the peer")
    info = skb_data_align(info, line)
    headroom = XDP_PACKET_HEADROOM + align
    pages = need(kernel.max_skb_frags, "MAX_SKB_FRAGS") if frags else None
    mtu = page - headroom - header - info + page * (pages or 0)
    return _MaxMtu(mtu, (page, headroom, header, info), pages)


def veth_max_mtu(kernel: Kernel, peer: Device, frags: bool) -> Maybe[int]:
    """
    Return the largest MTU that native XDP on a veth allows its peer, in bytes, as
    veth_xdp_set() computes it.

    :param frags: Whether the program supports fragments
    """
    try:
        return _veth_max_mtu(kernel, peer, frags).mtu
    except CannotTell as e:
        return Unreadable(str(e))


def _veth_peer(q: Question) -> Device:
    ref = need_of(q.device, q.device.peer, "peer")
    assert ref is not None  # or the first decision would have refused
    return q.device_at(ref)


def _peer_detached(q: Question) -> Optional[str]:
    if q.program and need_of(q.device, q.device.peer, "peer") is None:
        return f"{q.name} no longer has a peer"
    return None


def _peer_mtu(q: Question) -> Optional[str]:
    if not q.program:
        return None
    peer = _veth_peer(q)
    mtu = need_of(peer, peer.mtu, "mtu")
    most = _veth_max_mtu(q.kernel, peer, q.need_program("frags"))
    if mtu > most.mtu:
        name = name_of(peer)
        return f"peer {name} has mtu {mtu}, the limit is {most.mtu}: {most.words}"
    return None


def _fix_peer_mtu(q: Question) -> Remedy:
    peer = _veth_peer(q)
    most = _veth_max_mtu(q.kernel, peer, q.need_program("frags")).mtu
    return q.fixes.lower_both_mtus(q.device, peer, most, say_peer=False)


def _queue_counts(q: Question, peer: Device) -> tuple[int, int]:
    rx = need_of(q.device, q.device.queues.rx.real, "real_num_rx_queues")
    return rx, need_of(peer, peer.queues.tx.real, "real_num_tx_queues")


def _rx_queues(q: Question) -> Optional[str]:
    if not q.program:
        return None
    peer = _veth_peer(q)
    rx, tx = _queue_counts(q, peer)
    if rx < tx:
        return (
            f"{q.name} has only {count(rx, 'real RX queue')}, but its peer "
            f"{name_of(peer)} has {count(tx, 'real TX queue')}"
        )
    return None


def _fix_rx_queues(q: Question) -> Remedy:
    return q.fixes.more_rx_than_tx(q.device, _veth_peer(q))


_DECISIONS: tuple[Decision, ...] = (
    Decision(
        "veth-peer",
        "veth_xdp_set",
        "ENOTCONN",
        messages.VETH_PEER,
        _peer_detached,
        compares=(
            "whether the veth still has its peer: while a pair is being deleted, it "
            "has none"
        ),
        mend="make a new pair",
        modes=("default", "driver"),
    ),
    Decision(
        "veth-mtu",
        "veth_xdp_set",
        "ERANGE",
        messages.VETH_MTU,
        _peer_mtu,
        _fix_peer_mtu,
        compares=(
            "the peer's MTU with what fits into one page beside the headroom (3506 "
            "with pages of 4096 bytes on x86-64), or, for a program with fragments, "
            "into that and 17 pages more. The MTU of the device itself does not matter"
        ),
        mend=(
            "lower the peer's MTU: ip link set dev PEER mtu 3506; load the program "
            "with fragments (section xdp.frags, since v5.18); or use generic mode, "
            "which has no such limit: ip link set dev DEVICE xdpgeneric obj FILE"
        ),
        modes=("default", "driver"),
    ),
    Decision(
        "veth-queues",
        "veth_xdp_set",
        "ENOSPC",
        messages.VETH_QUEUES,
        _rx_queues,
        _fix_rx_queues,
        compares=(
            "real_num_rx_queues of the device with real_num_tx_queues of its peer. "
            "Native XDP on a veth needs real RX queues >= the peer's real TX queues. "
            "The device's own TX queues and the peer's RX queues do not matter. It "
            "applies while the device is down, too"
        ),
        mend=(
            "ethtool -L DEVICE rx N, or ethtool -L PEER tx N (since v5.15; before, "
            "only when the pair is created: numrxqueues, numtxqueues); or "
            "use generic mode, which counts no queues: ip link set dev DEVICE "
            "xdpgeneric obj FILE"
        ),
        modes=("default", "driver"),
    ),
)


def _accepts(q: Question, decide: Decide) -> Answer:
    if not q.program:
        why = "veth never refuses a detach"
        return q.accepted("veth_xdp_set", why)
    peer = _veth_peer(q)
    rx, tx = _queue_counts(q, peer)
    most = _veth_max_mtu(q.kernel, peer, q.need_program("frags")).mtu
    mtu = need(peer.mtu, "mtu of the peer")
    why = (
        f"{count(rx, 'real RX queue')} here >= {count(tx, 'real TX queue')} of "
        f"{name_of(peer)}, whose mtu {mtu} <= {most}"
    )
    return q.accepted("veth_xdp_set", why)


DRIVER = DriverDecisions("veth", "veth_xdp", "veth_xdp_set", _DECISIONS, _accepts)
