# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a veth counts
------------------

Each receive queue counts what XDP does there, and the device adds to that what its peer
has sent (drivers/net/veth.c).

Upstream: all but the members.
"""

from typing import Callable, NamedTuple

from drgn import Object

from ..core.struct_layout import Members, counter, number
from ..core.unreadable import Maybe, Unreadable
from .link_stats import LSTATS, TSTATS, Counted, LinkStatsBase, known
from .veth import MOST_QUEUES, VethPriv, VethRq, veth_priv

__all__ = ("VETH_STATS", "VethCounters", "VethRqStats", "veth_stats")

#: Members of ``struct veth_stats``.
VETH_STATS = (
    *("rx_drops", "xdp_packets", "xdp_bytes", "xdp_redirect", "xdp_drops", "xdp_tx"),
    *("xdp_tx_err", "peer_tq_xdp_xmit", "peer_tq_xdp_xmit_err"),
)


class VethRqStats(Members):
    """Members of ``struct veth_rq`` about what it has counted, and about its ring."""

    dev = VethRq.dev
    xdp_prog = VethRq.xdp_prog
    napi = VethRq.napi
    napi_state = VethRq.napi_state
    rx_drops = counter("stats.vs.rx_drops")
    xdp_packets = counter("stats.vs.xdp_packets")
    xdp_bytes = counter("stats.vs.xdp_bytes")
    xdp_redirect = counter("stats.vs.xdp_redirect")
    xdp_drops = counter("stats.vs.xdp_drops")
    xdp_tx = counter("stats.vs.xdp_tx")
    xdp_tx_err = counter("stats.vs.xdp_tx_err")
    peer_tq_xdp_xmit = counter("stats.vs.peer_tq_xdp_xmit")
    peer_tq_xdp_xmit_err = counter("stats.vs.peer_tq_xdp_xmit_err")
    producer = number("xdp_ring.producer")
    consumer_head = VethRq.consumer_head
    ring_size = VethRq.ring_size
    ring = VethRq.ring


def veth_stats(rq: Object) -> dict[str, int]:
    """
    Return what a receive queue of a veth has counted. ``ethtool -S`` shows the same as
    ``rx_queue_N_...``, but the two ``peer_tq_...`` as ``tx_queue_N_...`` of its peer.

    :param rq: ``struct veth_rq *``
    :return: Members of ``veth_rq.stats.vs`` (``struct veth_stats``), by name
    """
    stats = rq.stats.vs.read_()
    return {name: stats.member_(name).value_() for name in VETH_STATS}


class _Rx(NamedTuple):
    # What veth_stats_rx() adds up.
    drops: int = 0
    packets: int = 0
    bytes: int = 0
    tx_err: int = 0
    xmit_err: int = 0


_NOTHING = _Rx()


def _received(queues: list[VethRqStats]) -> _Rx:
    values = [
        (
            *(queue.rx_drops, queue.xdp_packets, queue.xdp_bytes),
            *(queue.xdp_tx_err, queue.peer_tq_xdp_xmit_err),
        )
        for queue in queues
    ]
    if not any(map(any, values)):  # The usual case.
        return _NOTHING
    return _Rx(*[sum(map(known, column)) for column in zip(*values)])


class VethCounters:
    """
    Reads what veths count.

    :param peer_of: Returns a device, by its address
    """

    def __init__(self, base: LinkStatsBase, peer_of: Callable[[int], Counted]) -> None:
        self._base = base
        self._peer_of = peer_of
        # Of a device, and of its peer again.
        self._queues: dict[int, Maybe[list[VethRqStats]]] = {}
        self._rx: dict[int, _Rx] = {}
        self._sent: dict[int, tuple[int, int, int, int]] = {}

    def _priv(self, veth: Counted) -> VethPriv:
        if veth.veth is not None:
            return veth.veth
        layout = self._base.layout("struct veth_priv", VethPriv, "veth")
        return layout.read(veth_priv(self._base.dev(veth.address)).value_())

    def queues(self, veth: Counted) -> list[VethRqStats]:
        """
        Return all receive queues that are allocated.

        :raises ValueError: if they cannot be read
        """
        found = self._queues.get(veth.address)
        if found is None:
            try:
                found = self._read(veth)
            except ValueError as e:
                found = Unreadable(str(e))
            self._queues[veth.address] = found
        return known(found)

    def forget(self, address: int) -> None:
        """Forget the queues of a device. Its sums are kept, as its peer needs them."""
        self._queues.pop(address, None)

    def _read(self, veth: Counted) -> list[VethRqStats]:
        count = known(veth.num_rx)
        if not 0 < count <= MOST_QUEUES:
            raise ValueError(f"no veth has {count} queues")
        layout = self._base.layout("struct veth_rq", VethRqStats, "veth")
        queues = list(layout.read_array(known(self._priv(veth).rq), count))
        address = veth.address
        for i, queue in enumerate(queues):
            if queue.dev != address:
                known(queue.dev)
                raise ValueError(
                    f"there are {count} queues, but number {i} belongs to another "
                    "device"
                )
        return queues

    def _received(self, veth: Counted) -> _Rx:
        found = self._rx.get(veth.address)
        if found is None:
            found = self._rx[veth.address] = _received(self.queues(veth))
        return found

    def stat_type(self, veth: Counted) -> int:
        """Return which per-CPU counters a veth has: LSTATS or TSTATS."""
        # Since Linux kernel commit 6f2684bf2b44 ("veth: Use tstats per-CPU traffic
        # counters") (in v6.7), which sets pcpu_stat_type.
        return TSTATS if known(veth.raw.stat_type) == TSTATS else LSTATS

    def _of_cpus(self, veth: Counted) -> tuple[int, int, int, int]:
        # Packets and bytes: sent, and received without XDP.
        sent = self._sent.get(veth.address)
        if sent is None:
            sent = self._sent[veth.address] = self._read_of_cpus(veth)
        return sent

    def _read_of_cpus(self, veth: Counted) -> tuple[int, int, int, int]:
        if self.stat_type(veth) == LSTATS:
            lstats = self._base.lstats(veth)
            return lstats["packets"], lstats["bytes"], 0, 0
        found = self._base.per_cpu(TSTATS).sum(known(veth.raw.tstats))
        return (
            *(found["tx_packets"], found["tx_bytes"]),
            *(found["rx_packets"], found["rx_bytes"]),
        )

    def stats(self, veth: Counted) -> dict[str, int]:
        """Return the counters of a veth, as veth_get_stats64() does."""
        stats = self._base.zero()
        priv = self._priv(veth)
        rx = self._received(veth)
        tx_packets, tx_bytes, rx_packets, rx_bytes = self._of_cpus(veth)
        tx_dropped = known(priv.dropped) + rx.tx_err
        rx_dropped = rx.drops + rx.xmit_err
        rx_packets += rx.packets
        rx_bytes += rx.bytes
        peer = known(priv.peer)
        if peer:
            other = self._peer_of(peer)
            packets, bytes, *_ = self._of_cpus(other)
            rx_packets += packets
            rx_bytes += bytes
            of_peer = self._received(other)
            tx_dropped += of_peer.xmit_err
            rx_dropped += of_peer.tx_err
            tx_packets += of_peer.packets
            tx_bytes += of_peer.bytes
        stats.update(
            rx_packets=rx_packets,
            tx_packets=tx_packets,
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
            rx_dropped=rx_dropped,
            tx_dropped=tx_dropped,
        )
        return stats
