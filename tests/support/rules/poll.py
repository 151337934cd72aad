# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in poll.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Veth, Xdp

from tests.support.rules.case import AGAIN, Case, again
from tests.support.snapshots import (
    BAD,
    BY_RXQ,
    CHECKED,
    DOWN,
    KERNEL,
    STUCK,
    indexed,
    messages,
    native,
    pair,
    queues,
)

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "veth-poll-out-of-range": Case(
        pair(
            {**queues(4, 1), **native(True, True, True, True)},
            {**queues(1, 1, 1, 2), **native(True)},
        ),
        "warning",
        "veth0",
        "veth_poll() of rx-2-3 accesses TX queues that peer eth0 (netns pod1) does not "
        "have: the peer was created with 2",
        (
            ("real_num_rx_queues", 4),
            ("peer_num_tx_queues", 2),
            ("rq[].napi != NULL", "2-3"),
            ("possible_cpus", 4),
        ),
        KernelAnswer("veth_poll"),
        (again("veth0", between="ethtool -L veth0 rx 2"),),
        [
            pair({**queues(4, 1), **native(True, True)}, queues(1, 1, 1, 2)),
            pair({**queues(4, 1), **native(*[True] * 4)}, queues(1, 1, 1, 4)),
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=messages("veth_xmit"),
            ),
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(veth_poll=CHECKED),
            ),
            # No CPU has the number that leads there.
            pair(
                {**queues(8, 1), **native(*[True] * 8)},
                queues(1, 1, 1, 4),
            ),
            # It takes 0 for the number where nothing has registered the xdp_rxq.
            pair(
                {**queues(4, 1), **indexed(0, 0, 0, 0)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(veth_poll=BY_RXQ),
            ),
            # No code that could be read stops a queue, or wakes one.
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(messages=BAD, veth_poll=frozenset()),
            ),
        ],
        [
            (
                pair({**queues(4, 1), "xdp": Xdp(None, None, None, BAD)}),
                "rq",
            ),
            (
                pair(queues(4, 1), queues(1, 1, 1, BAD)),
                "peer_num_tx_queues",
                {"queues-one-sided"},
            ),
            (
                pair(
                    {**queues(4, 1), **indexed(0, 1, 2, BAD)},
                    queues(1, 1, 1, 3),
                    kernel=KERNEL._replace(veth_poll=BY_RXQ),
                ),
                "rq[].xdp_rxq.queue_index",
            ),
        ],
        fix_effect=AGAIN,
    ),
    "tx-queue-stuck": Case(
        pair({"veth": Veth(0, 0, stopped=(STUCK, STUCK._replace(queue=2)))}),
        "error",
        "veth0",
        "TX queue 1-2 is stopped for good: peer eth0 (netns pod1) has nothing left to "
        "receive, and nothing will wake the queue",
        (
            ("_tx[].state & __QUEUE_STATE_DRV_XOFF", "1-2"),
            ("peer_rq[].xdp_ring", "empty"),
            ("peer_rq[].xdp_napi.state & NAPIF_STATE_SCHED", 0),
        ),
        KernelAnswer("veth_poll"),
        (),
        [
            pair({"veth": Veth(0, 0)}),
            pair({"veth": Veth(0, 0, stopped=(STUCK,)), "flags": DOWN}),
            pair(
                {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=False),))}
            ),
            pair(
                {
                    "veth": Veth(
                        0, 0, stopped=(STUCK._replace(peer_napi_scheduled=True),)
                    )
                }
            ),
        ],
        [
            (pair({"veth": Veth(0, 0, stopped=BAD)}), "_tx[].state"),
            (
                pair({"veth": Veth(0, 0, stopped=(STUCK,)), "flags": BAD}),
                "flags",
                {"peer-down"},
            ),
            (
                pair(
                    {
                        "veth": Veth(
                            0, 0, stopped=(STUCK._replace(peer_napi_scheduled=BAD),)
                        )
                    }
                ),
                "peer_rq[].xdp_napi.state",
            ),
            (
                pair(
                    {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=BAD),))}
                ),
                "peer_rq[].xdp_ring",
            ),
        ],
    ),
}
