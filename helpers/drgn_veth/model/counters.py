# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What was counted
----------------

The counters of devices, of the queues of a veth, of qdiscs and of CPUs.
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe

__all__ = ("CpuStats", "LinkStats", "QdiscStats", "VethQueueStats", "VethRing")


class LinkStats(NamedTuple):
    """
    What a device has counted (``struct rtnl_link_stats64``), as ``ip -s -s link`` shows
    it. None: this kernel does not count it.
    """

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int
    multicast: int
    collisions: int
    rx_length_errors: int
    rx_over_errors: int
    rx_crc_errors: int
    rx_frame_errors: int
    rx_fifo_errors: int
    rx_missed_errors: int
    tx_aborted_errors: int
    tx_carrier_errors: int
    tx_fifo_errors: int
    tx_heartbeat_errors: int
    tx_window_errors: int
    rx_compressed: int
    tx_compressed: int
    rx_nohandler: Optional[int] = None
    rx_otherhost_dropped: Optional[int] = None


class VethRing(NamedTuple):
    """Packets that wait for the NAPI of a queue (``veth_rq.xdp_ring``)."""

    size: Maybe[int]
    used: Maybe[int]


class VethQueueStats(NamedTuple):
    """
    What one real RX queue of a veth has counted (``struct veth_stats``). ``ethtool -S``
    shows the last two at its peer, as ``tx_queue_N_xdp_xmit`` and ``..._errors``.
    """

    queue: int
    rx_drops: Maybe[int]
    xdp_packets: Maybe[int]
    xdp_bytes: Maybe[int]
    xdp_redirect: Maybe[int]
    xdp_drops: Maybe[int]
    xdp_tx: Maybe[int]
    xdp_tx_err: Maybe[int]
    peer_tq_xdp_xmit: Maybe[int]
    peer_tq_xdp_xmit_err: Maybe[int]
    ring: Optional[VethRing] = None  # None: the queue has no NAPI, and so no ring
    napi_scheduled: Maybe[bool] = False


class QdiscStats(NamedTuple):
    """
    What the root qdisc of a device has dropped and what it holds, as ``tc -s qdisc``
    shows it. For ``mq``, that is the sum over its children.
    """

    drops: int
    backlog: int  # bytes
    qlen: int  # packets


class CpuStats(NamedTuple):
    """
    What a CPU that is online has counted (``struct softnet_data``), as
    ``/proc/net/softnet_stat`` shows it. None: this kernel is built without it.
    """

    cpu: int
    processed: Maybe[int]
    dropped: Maybe[int]
    time_squeeze: Maybe[int]
    received_rps: Maybe[Optional[int]]
    flow_limit_count: Maybe[Optional[int]]
    backlog: Maybe[int]  # packets
