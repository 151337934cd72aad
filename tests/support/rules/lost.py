# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in lost_sent.py, lost_xdp.py and lost_queued.py."""

from typing import Any

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import (
    CpuStats,
    LinkStats,
    QdiscStats,
    Snapshot,
    Veth,
    VethQueueStats,
)

from tests.support.rules.case import Case
from tests.support.rules.xdp_reach import redirected
from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    PROGRAM,
    Changes,
    device,
    native,
    pair,
    rps,
)

__all__ = ("CASES", "counted")

_NONE = LinkStats(*[0] * 23)
_QUEUE = VethQueueStats(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def counted(
    dropped: Any = 0, rx_dropped: int = 0, tx_dropped: int = 0, **of_queue: Any
) -> Changes:
    """A veth that has counted losses."""
    return {
        "veth": Veth(dropped, 0),
        "stats": _NONE._replace(rx_dropped=rx_dropped, tx_dropped=tx_dropped),
        "queue_stats": (_QUEUE._replace(**of_queue),),
    }


def _cpus(*dropped: Any, backlog: Any = 0, limited: Any = 0) -> Snapshot:
    cpus = tuple(
        CpuStats(cpu, 100, number, 0, 0, limited if number else 0, backlog)
        for cpu, number in enumerate(dropped)
    )
    return pair(None, rps((1, 2)), cpus=cpus)


_FAILED = counted(rx_drops=4, rx_dropped=4, xdp_redirect=6)
#: A device that refuses frames, and one that is no target.
_BR = BR0._replace(net_device=0xFFFF888000002000)
_FAR = device(HOST, 12, "far0", kind="dummy")


def _failing(*more: Any, **of_queue: Any) -> Snapshot:
    """veth0 redirects to br0 by a map."""
    base = redirected(_BR)
    program = PROGRAM._replace(maps=(5,), redirects=False)
    first = {**native(program=program), **counted(**of_queue)}
    return pair(first, counted(), _BR, *more, maps=base.maps)


CASES: dict[str, Case] = {
    "veth-packets-lost": Case(
        pair(
            {**counted(12), "mtu": 9000},
            counted(rx_dropped=8, peer_tq_xdp_xmit_err=3),
        ),
        "info",
        "veth0",
        "lost so far on the way to peer eth0 (netns pod1): 5 packets that its peer "
        "refused (its MTU is 1500, not 9000), or that met a full ring; 7 packets that "
        "met a full ring; 3 frames of XDP_REDIRECT that met a full ring, or were "
        "longer than the peer's MTU (1500, not 9000)",
        (
            ("veth_priv.dropped", 12),
            ("peer_rx_dropped of the core", 5),
            ("peer_rq[].xdp_ring full", 0),
            ("mtu", 9000),
            ("peer_mtu", 1500),
        ),
        KernelAnswer("veth_xmit"),
        (),
        [
            pair(),
            pair(counted(), counted()),
            pair(counted(), counted(rx_dropped=8)),
            # Rule mtu-mismatch reports it.
            pair({**counted(5), "mtu": 9000}, counted(rx_dropped=5)),
            pair({**counted(5), "mtu": 9000}, {**counted(), "stats": BAD}),
            # Rule xdp-tx-lost reports it.
            pair(counted(xdp_tx_err=3), counted()),
            pair(counted(5), {**counted(), "off_list": "netns is dying"}),
        ],
        [
            (
                pair(counted(BAD), counted()),
                "veth_priv.dropped",
                {"veth-not-delivered"},
            ),
            (
                pair(counted(), {**counted(), "queue_stats": BAD}),
                "peer_rq[].stats",
                {"veth-not-delivered"},
            ),
        ],
    ),
    "veth-not-delivered": Case(
        pair(counted(rx_dropped=9, rx_drops=2), counted(4)),
        "info",
        "veth0",
        "3 received packets dropped so far: no protocol takes them",
        (("rx_dropped of the core", 7), ("peer_veth_priv.dropped", 4)),
        KernelAnswer("__netif_receive_skb_core"),
        (),
        [
            pair(counted(rx_dropped=4), counted(4)),
            pair(counted(rx_dropped=4, rx_drops=4), counted()),
            pair(counted(rx_dropped=4, peer_tq_xdp_xmit_err=4), counted()),
            pair(counted(rx_dropped=4), counted(xdp_tx_err=4)),
        ],
        [
            (
                pair(counted(rx_dropped=4), counted(BAD)),
                "peer_veth_priv.dropped",
                {"veth-packets-lost"},
            ),
            (pair({**counted(), "stats": BAD}, counted()), "rx_dropped of the core"),
        ],
    ),
    "xdp-redirect-failed": Case(
        _failing(rx_drops=4, xdp_redirect=6),
        "info",
        "veth0",
        "its native program has lost 4 packets so far, and redirected 6: br0 refuses "
        "them: its driver has no ndo_xdp_xmit (EOPNOTSUPP)",
        (
            ("rq[].stats.vs.rx_drops", 4),
            ("rq[].stats.vs.xdp_redirect", 6),
        ),
        KernelAnswer("xdp_do_redirect"),
        (),
        [
            _failing(xdp_redirect=6),
            _failing(_FAR),
            pair(_FAILED, counted()),
        ],
        [
            (
                pair({**native(), **counted(rx_drops=BAD)}, counted()),
                "rq[].stats.vs.rx_drops",
                {"veth-not-delivered"},
            ),
        ],
    ),
    "qdisc-drops": Case(
        pair({"qdisc": "tbf", "qdisc_stats": QdiscStats(12, 640, 3)}),
        "info",
        "veth0",
        "its qdisc tbf has dropped 12 packets so far; it holds 3 packets now",
        (("drops", 12), ("qlen", 3), ("backlog", 640)),
        KernelAnswer("__dev_xmit_skb"),
        (),
        [
            pair(),
            pair({"qdisc": "tbf", "qdisc_stats": QdiscStats(0, 640, 3)}),
            pair({"qdisc_stats": QdiscStats(3, 0, 0), "off_list": "netns is dying"}),
        ],
        [(pair({"qdisc_stats": BAD}), "qdisc->qstats")],
    ),
    "backlog-overflow": Case(
        _cpus(0, 7, 5, backlog=2, limited=1),
        "info",
        "",
        "the backlog of CPUs 1-2 has dropped 12 packets, 2 by the flow limit; RPS of "
        "eth0 steers packets there",
        (
            ("softnet_data.dropped", ("CPU 1: 7", "CPU 2: 5")),
            ("flow_limit count", 2),
            ("backlog now", ("CPU 1: 2", "CPU 2: 2")),
        ),
        KernelAnswer("enqueue_to_backlog"),
        (),
        [_cpus(0, 0, 0, backlog=9), pair(), pair(cpus=())],
        [(_cpus(0, BAD), "softnet_data.dropped")],
    ),
}
