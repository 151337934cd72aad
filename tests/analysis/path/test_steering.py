# SPDX-License-Identifier: LGPL-2.1-or-later
"""On which CPU a packet goes on: RPS with the real queue index, RFS, CPUs."""

from typing import Any

from drgn_veth.analysis.path.steering import mapping_after_veth, rps_queue
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import RecordsRxQueue, RpsQueue
import pytest

from tests.support.paths import flows_of, only, path_of, step_of, steps_of
from tests.support.snapshots import BAD, TARGET, kernel, native, pair, queues, rps, rqs
from tests.support.snapshots import NO_XDP as PLAIN

ALL = (0, 1, 2, 3)


def _pair(tx: int, rx: int, *masks: Any, **whole: Any) -> Any:
    off = {"xdp": PLAIN._replace(queues=rqs(*[False] * rx))}
    receiver = {**queues(rx, rx), **off, **rps(*masks)}
    return pair(queues(tx, tx), receiver, **whole)


def test_of_the_story() -> None:
    """48 TX queues, 14 RX queues: as KERNEL's get_rps_cpu() reads the queue mapping."""
    path = path_of(_pair(48, 14, *[ALL] * 14))
    assert flows_of(path, "rps", "skipped") == {
        tuple(range(14)): False,
        (14,): False,
        tuple(range(15, 48)): True,
    }
    fed, beside, skipped = path.flows
    assert step_of(fed, "rx-queue").numbers["rx_queue"] == tuple(range(14))
    assert step_of(beside, "rx-queue").numbers["rx_queue"] is None
    assert step_of(fed, "rps").numbers["index"] == (None, *range(13))
    assert step_of(beside, "rps").numbers["index"] == 13
    assert step_of(skipped, "rps").numbers["index"] == tuple(range(14, 47))
    assert "queue index 14-46 (TX queue - 1) >= 14" in step_of(skipped, "rps").text
    assert step_of(skipped, "cpu").numbers["cpus"] is None


@pytest.mark.parametrize(
    "tx, rx, steered",
    [(4, 2, [0, 1, 2]), (4, 1, [0, 1]), (2, 4, [0, 1]), (1, 1, [0]), (3, 2, [0, 1, 2])],
)
def test_first_that_is_skipped(tx: int, rx: int, steered: list[int]) -> None:
    path = path_of(_pair(tx, rx, *[ALL] * rx))
    found = {
        queue
        for flow in path.flows
        if step_of(flow, "rps").numbers["skipped"] is False
        for queue in flow.tx_queues
    }
    assert sorted(found) == steered


def test_masks_are_those_of_the_queue_before() -> None:
    path = path_of(_pair(4, 4, (0,), (1,), (2,), (3,)))
    assert flows_of(path, "rps", "cpus") == {(0, 1): (0,), (2,): (1,), (3,): (2,)}


def test_recorded() -> None:
    """Where veth_xmit() records the RX queue, each mask is that of its number."""
    always = kernel(records_rx_queue=RecordsRxQueue.ALWAYS)
    path = path_of(_pair(4, 4, (0,), (1,), (2,), (3,), kernel=always))
    assert flows_of(path, "rps", "cpus") == {(n,): (n,) for n in range(4)}
    path = path_of(_pair(6, 2, (0,), (1,), kernel=always))
    assert flows_of(path, "rps", "skipped") == {
        **{(0,): False, (1,): False, (2,): False, (3, 4, 5): True}
    }


def test_recorded_with_a_program() -> None:
    with_xdp = kernel(records_rx_queue=RecordsRxQueue.WITH_XDP)
    bound = {**queues(2, 2), **native(True, True), **rps((0,), (1,))}
    path = path_of(pair(queues(2, 2), bound, kernel=with_xdp))
    assert flows_of(path, "rps", "cpus") == {(0,): (0,), (1,): (1,)}
    path = path_of(_pair(2, 2, (0,), (1,), kernel=with_xdp))
    of_first, of_second = flows_of(path, "rps", "cpus").values()
    assert of_first == (0,)
    assert isinstance(of_second, Unreadable)


def test_code_that_was_not_read() -> None:
    path = path_of(_pair(2, 2, (0,), (1,), kernel=kernel(records_rx_queue=BAD)))
    assert step_of(path.flows[0], "rps").numbers["cpus"] == (0,)
    assert BAD.reason in step_of(path.flows[1], "rps").text


def test_queue_mapping() -> None:
    assert [mapping_after_veth(n, 2, False) for n in range(4)] == [0, 1, 2, 3]
    assert [mapping_after_veth(n, 2, True) for n in range(4)] == [1, 2, 2, 3]
    assert [rps_queue(n, 2) for n in range(4)] == [0, 0, 1, None]


def test_warning_needs_two_queues() -> None:
    *_, skipped = path_of(_pair(4, 1, ALL)).flows
    assert step_of(skipped, "rps").alternatives == ()
    *_, skipped = path_of(_pair(4, 2, ALL, ALL)).flows
    assert "warns" in step_of(skipped, "rps").alternatives[0]


def test_no_rps_is_one_flow() -> None:
    """Nothing is skipped where nothing would be steered."""
    path = path_of(_pair(4, 2, (), ()))
    assert flows_of(path, "rps", "skipped") == {(0, 1): False, (2, 3): False}
    assert step_of(path.flows[0], "cpu").numbers["cpus"] is None


def test_offline_cpus() -> None:
    online = TARGET._replace(online_cpus=(0, 1))
    some = only(path_of(_pair(1, 1, (1, 2), target=online)))
    assert step_of(some, "rps").numbers["offline"] == (2,)
    assert step_of(some, "cpu").numbers["cpus"] == (1,)
    assert "the share of CPU 2 stays" in step_of(some, "rps").alternatives[0]
    none = only(path_of(_pair(1, 1, (2, 3), target=online)))
    assert "all offline" in step_of(none, "rps").text
    assert step_of(none, "cpu").numbers["cpus"] is None


def test_isolated_cpus() -> None:
    """Masks of older kernels name them."""
    apart = TARGET._replace(isolated_cpus=(1,))
    step = step_of(only(path_of(_pair(1, 1, (0, 1), target=apart))), "cpu")
    assert step.numbers["isolated"] == (1,)
    assert step.alternatives == ("also: CPU 1 isolated",)
    for target in (TARGET, TARGET._replace(isolated_cpus=BAD)):
        step = step_of(only(path_of(_pair(1, 1, (0, 1), target=target))), "cpu")
        assert "isolated" not in step.numbers and step.alternatives == ()


def test_where_what_nothing_steers_waits() -> None:
    """netif_rx() queues it, netif_receive_skb() goes on."""
    stays = "stays on the CPU that it is on"
    assert (
        step_of(only(path_of(_pair(1, 1, ()))), "cpu").text == f"{stays}: its backlog"
    )
    assert step_of(only(path_of(pair({}, native()))), "cpu").text == stays


def test_cpu_that_sends() -> None:
    """What nothing steers stays there."""
    flow = only(path_of(_pair(1, 1, ()), cpu=3))
    assert step_of(flow, "cpu").numbers["cpus"] == (3,)
    flow = only(path_of(_pair(1, 1, (0, 1)), cpu=3))
    assert step_of(flow, "cpu").numbers["cpus"] == (0, 1)


@pytest.mark.parametrize(
    "flows, entries, said",
    [
        (512, 0, "RFS does nothing: 512 flow entries here"),
        (512, 1024, "goes to the CPU of its reader"),
        (512, BAD, "may choose the CPU"),
    ],
)
def test_rfs(flows: int, entries: Any, said: str) -> None:
    receiver = rps((), flows=flows)
    target = TARGET._replace(rps_sock_flow_entries=entries)
    flow = only(path_of(pair({}, receiver, target=target)))
    assert said in step_of(flow, "rfs").text
    chooses = "the CPU that RFS chooses" in step_of(flow, "cpu").alternatives
    assert chooses == (entries != 0)
    # It comes first in get_rps_cpu().
    kinds = [step.kind for step in flow.steps]
    assert kinds.index("rfs") < kinds.index("rps")


def test_no_rfs() -> None:
    """A global table alone steers nothing."""
    target = TARGET._replace(rps_sock_flow_entries=1024)
    assert steps_of(only(path_of(_pair(1, 1, (), target=target))), "rfs") == []


def test_unreadable() -> None:
    flow = only(path_of(pair({}, {"rps": BAD})))
    assert BAD.reason in step_of(flow, "rps").text
    assert step_of(flow, "cpu").numbers["cpus"] == BAD
    flow = only(path_of(pair({}, {"rps": (RpsQueue(0, BAD, 0),)})))
    assert BAD.reason in step_of(flow, "rps").text
    assert flow.ends == "IP stack of pod1"
