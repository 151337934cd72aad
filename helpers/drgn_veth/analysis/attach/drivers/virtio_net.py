# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtnet_xdp_set() (drivers/net/virtio_net.c)."""

from collections.abc import Sequence
from typing import Optional

from ....core import messages
from ....core.english import count
from ....core.skbuff import skb_data_align
from ....core.uapi import (
    ETH_HLEN,
    VIRTIO_F_ANY_LAYOUT,
    VIRTIO_F_VERSION_1,
    VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
    VIRTIO_NET_F_GUEST_CSUM,
    VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_GUEST_UFO,
    VIRTIO_NET_F_GUEST_USO4,
    VIRTIO_NET_F_GUEST_USO6,
    VIRTIO_NET_F_MRG_RXBUF,
    XDP_PACKET_HEADROOM,
)
from ...need import CannotTell, need, need_of
from ...remedies import Remedy
from ..decision import Decision
from ..driver_decisions import Decide, DriverDecisions
from ..question import Answer, Question

__all__ = ("DRIVER",)

_GUEST_CSUM = (VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM")
_GUEST_SEGMENTS = (
    (VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4"),
    (VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6"),
    (VIRTIO_NET_F_GUEST_ECN, "GUEST_ECN"),
    (VIRTIO_NET_F_GUEST_UFO, "GUEST_UFO"),
    (VIRTIO_NET_F_GUEST_USO4, "GUEST_USO4"),
    (VIRTIO_NET_F_GUEST_USO6, "GUEST_USO6"),
)


def _virtio_features(q: Question) -> int:
    if q.device.virtio_net is None:
        raise CannotTell(f"the features of {q.name} were not read")
    return need_of(q.device, q.device.virtio_net.features, "virtio features")


def _offloads(q: Question, offloads: Sequence[tuple[int, str]]) -> Optional[str]:
    features = _virtio_features(q)
    if features >> VIRTIO_NET_F_CTRL_GUEST_OFFLOADS & 1:
        return None
    on = [name for bit, name in offloads if features >> bit & 1]
    if on:
        return f"{q.name} has {', '.join(on)} but not CTRL_GUEST_OFFLOADS"
    return None


def _host_offloads(q: Question) -> Optional[str]:
    return _offloads(q, (_GUEST_CSUM, *_GUEST_SEGMENTS))


def _host_segments(q: Question) -> Optional[str]:
    return _offloads(q, _GUEST_SEGMENTS)


def _any_header_sg(q: Question) -> Optional[str]:
    features = _virtio_features(q)
    if features >> VIRTIO_NET_F_MRG_RXBUF & 1 and not (
        features >> VIRTIO_F_ANY_LAYOUT & 1 or features >> VIRTIO_F_VERSION_1 & 1
    ):
        return f"{q.name} has MRG_RXBUF, but neither ANY_LAYOUT nor VERSION_1"
    return None


def _virtio_mtu_any(q: Question) -> Optional[str]:
    page = need(q.kernel.page_size, "PAGE_SIZE")
    header = need(q.kernel.padded_vnet_hdr_size, "sizeof(struct padded_vnet_hdr)")
    mtu = need_of(q.device, q.device.mtu, "mtu")
    if header is None:
        raise CannotTell("the code of virtnet_xdp_set() does not show its MTU limit")
    if mtu > page - header:
        return f"mtu {mtu} > {page} (page) - {header} (struct padded_vnet_hdr)"
    return None


def _virtio_most(q: Question) -> int:
    page = need(q.kernel.page_size, "PAGE_SIZE")
    info = need(q.kernel.skb_shared_info_size, "sizeof(struct skb_shared_info)")
    line = need(q.kernel.smp_cache_bytes, "SMP_CACHE_BYTES")
    return page - skb_data_align(XDP_PACKET_HEADROOM + info, line) - ETH_HLEN


def _virtio_mtu_plain(q: Question) -> Optional[str]:
    if not q.program or q.need_program("frags"):
        return None
    mtu = need_of(q.device, q.device.mtu, "mtu")
    most = _virtio_most(q)
    if mtu > most:
        page = need(q.kernel.page_size, "PAGE_SIZE")
        return (
            f"mtu {mtu} > {most}: {page} (page) - {page - most - ETH_HLEN} (headroom, "
            f"struct skb_shared_info) - {ETH_HLEN} (Ethernet), and the program does "
            "not support fragments"
        )
    return None


def _tx_rings(q: Question) -> Optional[str]:
    if not q.program:
        return None
    # Those of the stack, without those that a program has already.
    used = need_of(q.device, q.device.queues.tx.real, "real_num_tx_queues")
    most = need_of(q.device, q.device.queues.rx.allocated, "num_rx_queues")
    cpus = need(q.kernel.nr_cpu_ids, "nr_cpu_ids")
    if used + cpus > most:
        return (
            f"{q.name} has {count(most, 'queue pair')}, but needs {used} for the stack "
            f"and one for each of {count(cpus, 'CPU')}"
        )
    return None


def _accepts(q: Question, decide: Decide) -> Answer:
    mtu = need_of(q.device, q.device.mtu, "mtu")
    why = f"no offload of the host is in the way, and mtu {mtu} is small enough"
    return q.accepted("virtnet_xdp_set", why)


def _fix_virtio_mtu_any(q: Question) -> Remedy:
    page = need(q.kernel.page_size, "PAGE_SIZE")
    header = need(q.kernel.padded_vnet_hdr_size, "sizeof(struct padded_vnet_hdr)")
    if header is None:
        return Remedy()
    return q.fixes.lower_mtu(q.device, page - header)


# Kernels differ in the message and in what they count as an offload.
_OFFLOADS = (
    "whether the host merges segments or leaves out checksums (GUEST_TSO4, "
    "GUEST_CSUM...) and the guest cannot turn that off (no CTRL_GUEST_OFFLOADS)"
)
_WITHOUT_OFFLOADS = (
    "turn these offloads off in the host (QEMU: guest_tso4=off, guest_csum=off...), "
    "or use generic mode"
)

_DECISIONS: tuple[Decision, ...] = (
    Decision(
        "virtio-offloads-lro",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        messages.VIRTIO_LRO,
        _host_segments,
        one_of="offloads",
        compares=_OFFLOADS,
        mend=_WITHOUT_OFFLOADS,
        modes=("default", "driver"),
        kernels="before v4.20",
    ),
    # Since Linux kernel commit 18ba58e1c234 ("virtio-net: fail XDP set if guest csum is
    # negotiated") (in v4.20).
    Decision(
        "virtio-offloads-lro-csum",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        messages.VIRTIO_LRO_CSUM,
        _host_offloads,
        one_of="offloads",
        compares=_OFFLOADS,
        mend=_WITHOUT_OFFLOADS,
        modes=("default", "driver"),
        kernels="v4.20 to v5.13",
    ),
    # Since Linux kernel commit dbcf24d15388 ("virtio-net: use NETIF_F_GRO_HW instead of
    # NETIF_F_LRO") (in v5.14 and stable kernels).
    Decision(
        "virtio-offloads",
        "virtnet_xdp_set",
        "EOPNOTSUPP",
        messages.VIRTIO_GRO_HW_CSUM,
        _host_offloads,
        one_of="offloads",
        compares=_OFFLOADS,
        mend=_WITHOUT_OFFLOADS,
        modes=("default", "driver"),
        kernels="since v5.14, and stable kernels",
    ),
    Decision(
        "virtio-header",
        "virtnet_xdp_set",
        "EINVAL",
        "virtio_net: XDP expects header/data in single page, any_header_sg required",
        _any_header_sg,
        compares=(
            "whether the host puts the header into the same buffer as the data "
            "(ANY_LAYOUT or VERSION_1, if MRG_RXBUF)"
        ),
        mend="use a modern virtio device (QEMU: disable-legacy=on), or generic mode",
        modes=("default", "driver"),
    ),
    Decision(
        "virtio-mtu-any",
        "virtnet_xdp_set",
        "EINVAL",
        messages.VIRTIO_MTU,
        _virtio_mtu_any,
        _fix_virtio_mtu_any,
        one_of="mtu",
        compares="the device's MTU with a page minus struct padded_vnet_hdr",
        mend="lower the MTU of the device, or use generic mode",
        kernels="older ones, such as v6.1; newer ones make the next check instead",
        modes=("default", "driver"),
    ),
    Decision(
        "virtio-mtu-plain",
        "virtnet_xdp_set",
        "EINVAL",
        messages.VIRTIO_MTU_FRAGS,
        _virtio_mtu_plain,
        lambda q: q.fixes.lower_mtu(q.device, _virtio_most(q)),
        one_of="mtu",
        compares=(
            "the device's MTU with a page minus headroom and struct skb_shared_info, "
            "for a program without fragments"
        ),
        mend=(
            "load the program with fragments (section xdp.frags), lower the MTU of the "
            "device, or use generic mode"
        ),
        kernels="newer ones, such as v6.12; older ones make another check of the MTU",
        modes=("default", "driver"),
    ),
    # Since Linux kernel commit 97c2c69e1926 ("virtio-net: support XDP when not more
    # queues") (in v5.13 and stable kernels), it shares the queues of the stack instead.
    Decision(
        "virtio-tx-rings",
        "virtnet_xdp_set",
        "ENOMEM",
        messages.VIRTIO_TX_RINGS,
        _tx_rings,
        only_if_said=True,
        compares=(
            "the queue pairs of the device with those of the stack and one for each "
            "possible CPU"
        ),
        mend=(
            "give the device more queue pairs on the host (QEMU: mq=on, queues=N), let "
            "the stack use fewer (ethtool -L DEVICE combined N), or use generic mode"
        ),
        kernels="before v5.13, and before the fix in stable kernels",
        modes=("default", "driver"),
    ),
)


DRIVER = DriverDecisions(
    "virtio_net", "virtnet_xdp", "virtnet_xdp_set", _DECISIONS, _accepts
)
