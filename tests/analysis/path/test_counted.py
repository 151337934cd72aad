# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was lost so far, beside the step that loses it."""

from typing import Any

from drgn_veth.model import CpuStats, QdiscStats, Veth, VethQueueStats

from tests.support.paths import only, path_of, step_of
from tests.support.snapshots import BAD, NO_XDP, native, pair, rps, rqs

PLAIN = {"xdp": NO_XDP._replace(queues=rqs(False))}


def _queue(queue: int, **counted: Any) -> VethQueueStats:
    return VethQueueStats(queue, 0, 9, 9, 0, 0, 0, 0, 0, 0)._replace(**counted)


def test_qdisc() -> None:
    sender = {"qdisc": "fq_codel", "qdisc_stats": QdiscStats(3, 900, 2)}
    step = step_of(only(path_of(pair(sender, PLAIN))), "qdisc")
    assert step.alternatives == (
        "also: it has dropped 3 packets so far",
        "also: it holds 2 packets",
    )


def test_veth() -> None:
    step = step_of(only(path_of(pair({"veth": Veth(5, 0)}, PLAIN))), "receive")
    assert "lost 5 packets so far" in step.alternatives[0]
    step = step_of(only(path_of(pair({"veth": Veth(BAD, 0)}, PLAIN))), "receive")
    assert step.alternatives == ()


def test_queues() -> None:
    stats = (_queue(0, xdp_tx_err=2), _queue(1, xdp_tx_err=1, rx_drops=7))
    flow = only(path_of(pair({}, {**native(), "queue_stats": stats})))
    said = step_of(flow, "native").alternatives[-1]
    assert said == "also: so far rx_drops 7, xdp_tx_err 3, over all RX queues"


def test_cpus() -> None:
    cpus = (
        CpuStats(0, 9, 0, 0, 0, 0, 0),
        CpuStats(1, 9, 4, 0, 0, 1, 300),
        CpuStats(2, 9, BAD, 0, 0, None, BAD),
    )
    flow = only(path_of(pair({}, {**PLAIN, **rps((0, 1, 2))}, cpus=cpus)))
    assert step_of(flow, "cpu").alternatives == (
        "also: 300 packets in the backlog of CPU 1",
        "also: the backlog of CPU 1 has dropped 4 packets, 1 by its flow limit",
    )
    flow = only(path_of(pair({}, PLAIN, cpus=BAD)))
    assert step_of(flow, "cpu").alternatives == ()
