# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which queue and which CPU a packet takes: limits, and what is not known."""

import types
from typing import Any

from drgn_veth.analysis.path.redirect import sent_back, takes_frames
from drgn_veth.analysis.path.sender import chosen_queues, forwarded_queues
from drgn_veth.analysis.path.steering import (
    first_skipped,
    has_steering,
    is_recorded,
    steer,
    steered_by_own_rps,
    used_count,
    uses_own_rps,
)
from drgn_veth.analysis.path.topology import Topology
from drgn_veth.analysis.path.trail import Trail
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Features, Macvlan, RecordsRxQueue, RpsQueue
import pytest

from tests.support.paths import only, path_of, step_of, steps_of
from tests.support.snapshots import (
    BAD,
    BOND,
    HOST,
    NO_XDP,
    POD,
    PROGRAM,
    WHY,
    Changes,
    device,
    native,
    pair,
    queues,
    rps,
    rqs,
    snapshot,
    xps,
)

# The sender


def test_queues_of_what_is_forwarded() -> None:
    """A packet keeps the number of its RX queue, unless there is XPS."""
    plain = device(HOST, 3, "veth0", **queues(1, 2))
    for mapping, chosen in (
        (0, (0, 1)),
        (1, (0,)),
        (2, (1,)),
        (3, (0,)),
        (BAD, (0, 1)),
    ):
        assert forwarded_queues(plain, mapping, None) == chosen
    assert forwarded_queues(plain._replace(**queues(1, 1)), 5, None) == (0,)
    lost = plain._replace(**queues(1, BAD))
    assert forwarded_queues(lost, 1, None) == BAD
    steered = plain._replace(**xps((0,), (1,)))
    assert forwarded_queues(steered, 1, None) == (0, 1)
    assert forwarded_queues(steered, 1, 1) == (1,)
    assert forwarded_queues(plain._replace(xps=BAD), 1, 1) == (0, 1)
    # Without a map for this CPU, it keeps it.
    for mapping, chosen in ((0, (0, 1)), (1, (0,)), (2, (1,))):
        assert forwarded_queues(steered, mapping, 2) == chosen
    half_known = plain._replace(**xps((0,), BAD))
    assert forwarded_queues(half_known, 1, 2) == (0, 1)


def test_queues_of_a_cpu() -> None:
    steered = device(HOST, 3, "veth0", **queues(1, 2), **xps((0,), (1,)))
    assert chosen_queues(steered, 0, 2) == (0,)
    assert chosen_queues(steered, 1, 2) == (1,)
    # Without a map for this CPU, by hash.
    assert chosen_queues(steered, 2, 2) == (0, 1)
    assert chosen_queues(steered, None, 2) == (0, 1)
    assert chosen_queues(steered._replace(**xps((0,), BAD)), 0, 2) == (0, 1)
    assert chosen_queues(steered, 1, 1) == (0,)


@pytest.mark.parametrize(
    ("tx", "text"),
    [
        (1, "1 real TX queue: queue 0"),
        (2, "no XPS: each flow has one of 2 real TX queues, by its hash"),
    ],
)
def test_how_many_queues_there_are_to_choose_from(tx: int, text: str) -> None:
    path = path_of(pair({**queues(tx, tx), "xps": ()}, queues(1, 1)))
    assert {step_of(flow, "xps").text for flow in path.flows} == {text}


def test_which_xps_is_shown() -> None:
    """Of eight queues; that of one could not be read."""
    for number in (8, 9):
        masks = [(i % 4,) for i in range(number)]
        whole = pair({**queues(1, number), **xps(*masks)}, queues(1, 1))
        text = step_of(path_of(whole).flows[0], "xps").text
        assert text.startswith("XPS: tx-0 from CPU 0, tx-1 from CPU 1, ")
        assert text.count(" from ") == 8 and text.endswith(", ...") == (number == 9)
    whole = pair({**queues(1, 2), **xps((0,), BAD)}, queues(1, 1))
    text = step_of(path_of(whole).flows[0], "xps").text
    assert text == f"XPS: tx-0 from CPU 0, tx-1: {WHY}"


def test_one_queue_of_several() -> None:
    """A question about one queue gets an answer for that queue only."""
    for masks, text in (
        (((), ()), "no XPS: tx 1 of 2 real TX queues"),
        (((0,), (1,)), "XPS: tx-1 from CPU 1"),
        (((0,), ()), "XPS: no map for this CPU, so tx 1 of 2 real TX queues"),
    ):
        whole = pair({**queues(1, 2), **xps(*masks)}, queues(1, 1))
        assert step_of(only(path_of(whole, queue=1)), "xps").text == text


@pytest.mark.parametrize(
    ("qdisc", "text", "function"),
    [
        ("noqueue", "noqueue: straight to the driver", "dev_hard_start_xmit"),
        (None, "none: straight to the driver", "dev_hard_start_xmit"),
        ("fq", "fq: queues or drops what the driver does not take", "__dev_xmit_skb"),
        (BAD, f"qdisc could not be read: {WHY}", "__dev_queue_xmit"),
    ],
)
def test_qdiscs(qdisc: Any, text: str, function: str) -> None:
    flow = only(path_of(pair({"qdisc": qdisc})))
    step = step_of(flow, "qdisc")
    assert (step.text, step.function) == (text, function)
    assert "dropped" not in str(flow.ends)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (BAD, f"whether it is up could not be read: {WHY}"),
        ((), "down: it sends nothing"),
        (("UP",), "no carrier: its queues have the noop qdisc, which drops"),
    ],
)
def test_a_sender_that_is_not_up(flags: Any, text: str) -> None:
    flow = only(path_of(pair({"flags": flags})))
    assert step_of(flow, "qdisc").text == text
    assert (str(flow.ends).startswith("dropped: the sender")) == (flags != BAD)


# XDP frames


def _back(sender: Changes, cpu: Any = None) -> str:
    trail: Any = types.SimpleNamespace(cpu=cpu)
    return sent_back(trail, pair(sender).devices[0])


def _queues(*napi: Any, prog: Any = 7) -> Changes:
    return {"xdp": NO_XDP._replace(queues=rqs(*napi, prog=prog))}


def test_frames_that_come_back() -> None:
    """XDP_TX at the peer: the veth needs NAPI and a program on the queue of the CPU."""
    assert _back({"xdp": NO_XDP._replace(queues=BAD)}) == (
        f"the queues of veth0 could not be read: {WHY}"
    )
    none = "lost: veth0 has no NAPI (ENXIO, veth_xdp_xmit)"
    assert _back({"xdp": NO_XDP._replace(queues=None)}) == none
    assert _back(_queues(False)) == none
    assert _back(_queues(False, True), cpu=2) == none
    assert _back(_queues(BAD)) == "whether veth0 has NAPI could not be read"
    assert _back(_queues(True, prog=None)).startswith("waits in a ring of veth0")
    assert _back(_queues(True, prog=BAD)) == (
        "whether veth0 has a program could not be read"
    )
    some = "veth0 receives it on 1 of 2 RX queues: the CPU decides"
    assert _back(_queues(True, False)) == some
    some = "veth0 receives it on at least 1 of 2 RX queues: the CPU decides"
    assert _back(_queues(True, BAD)) == some


def test_the_queue_of_frames() -> None:
    both = {**_queues(True, True), **queues(2, 2)}
    assert _back(both) == "veth0 receives it, rx-(CPU % 2)"
    assert _back(both, cpu=3) == "veth0 receives it, rx-1"
    for unknown in (BAD, 0):
        of_none = {**_queues(True), **queues(unknown, 2)}
        assert _back(of_none) == _back(of_none, 1) == "veth0 receives it, by its CPU"


def test_a_veth_whose_peer_has_no_queues() -> None:
    driver = pair().devices[0].driver._replace(ndo_xdp_xmit=True)
    whole = pair({"driver": driver, "features": Features(0, 0, 5)})
    for found, takes in ((None, False), (BAD, BAD), (rqs(True, prog=7), True)):
        other = whole.devices[1]._replace(xdp=NO_XDP._replace(queues=found))
        now = whole._replace(devices=(whole.devices[0], other))
        taken = takes_frames(Topology(now), now.devices[0], None)
        assert taken.takes == takes


def test_the_program_of_a_bond_could_not_be_read() -> None:
    """The queues of its slave tell whether there is one."""
    bond = BOND._replace(xdp=NO_XDP._replace(driver=BAD))
    for prog, text in (
        (None, "no native program"),
        (7, "native program before GRO and RPS; XDP_PASS goes on"),
    ):
        slave = {"master": bond.ref, **_queues(True, prog=prog)}
        step = step_of(only(path_of(pair(None, slave, bond))), "native")
        assert step.text == text


# RPS


def test_masks_that_matter() -> None:
    assert [first_skipped(rx) for rx in (1, 2, 14)] == [2, 3, 15]
    assert used_count(4, 1) == used_count(4, 2) == 1
    assert used_count(4, 3) == 2
    assert used_count(4, 9) == 4
    for masks, some in (
        (BAD, True),
        ((), False),
        ((RpsQueue(0, (), 0),), False),
        ((RpsQueue(0, (), 0), RpsQueue(1, (2,), 0)), True),
        ((RpsQueue(0, (), 64),), True),
        ((RpsQueue(0, BAD, 0),), True),
    ):
        assert has_steering(device(HOST, 3, "veth0", rps=masks)) == some


def test_devices_in_another_round() -> None:
    """What came by their lower device has been steered before, or some of it."""
    copies = "only broadcast and multicast"
    for kind, macvlan, said in (
        ("veth", None, None),
        (BAD, None, None),
        (None, None, None),
        ("vlan", None, "nothing"),
        ("macvlan", None, copies),
        ("macvlan", BAD, copies),
        ("macvlan", Macvlan("bridge"), copies),
        ("macvlan", Macvlan("source"), None),
        ("macvtap", Macvlan(BAD), copies),
    ):
        one = device(HOST, 9, "x", kind=kind, macvlan=macvlan)
        assert steered_by_own_rps(one) == said
        assert uses_own_rps(one) == (said is None)
    assert uses_own_rps(device(HOST, 9, "ipvl0", kind="ipvlan"))


def test_queues_that_veth_xmit_records() -> None:
    some = device(POD, 2, "eth0", **_queues(True, True))
    partly = device(POD, 2, "eth0")._replace(
        xdp=NO_XDP._replace(queues=(*rqs(True, prog=7), rqs(True)[0]._replace(queue=1)))
    )
    with_xdp = RecordsRxQueue.WITH_XDP
    assert is_recorded(RecordsRxQueue.ALWAYS, some) is True
    assert is_recorded(RecordsRxQueue.NEVER, some) is False
    assert is_recorded(with_xdp, some) is True
    assert is_recorded(with_xdp, partly, 0) is True
    for known in (
        is_recorded(with_xdp, partly, 1),
        is_recorded(with_xdp, partly),
        is_recorded(with_xdp, some, 2),
        is_recorded(with_xdp, device(POD, 2, "eth0", xdp=NO_XDP._replace(queues=BAD))),
        is_recorded(None, some),
        is_recorded(BAD, some),
    ):
        assert isinstance(known, Unreadable)


def _steered(**changes: Any) -> Any:
    receiver = {**queues(2, 2), "xdp": NO_XDP._replace(queues=rqs(False, False))}
    return path_of(pair(queues(2, 2), {**receiver, **changes}))


def test_backlogs() -> None:
    """Of one CPU, of several; of a queue that has no mask beside one that has."""
    for masks, text in (
        (((1,), (1,)), "CPU 1: backlog of it"),
        (((1, 2), (1, 2)), "CPUs 1-2: backlog of each"),
        ((BAD, BAD), "CPU unknown"),
    ):
        for flow in _steered(**rps(*masks)).flows:
            assert step_of(flow, "cpu").text == text
    # Both TX queues are taken for rx-0.
    (flow,) = _steered(**rps((), (1,))).flows
    assert step_of(flow, "rps").text == "no RPS on rx-0"
    assert step_of(flow, "cpu").text.startswith("stays on ")
    assert steps_of(flow, "rfs") == []


def test_masks_without_a_number_of_queues() -> None:
    """Those that there are stand for the number: as on a bridge."""
    for mapping, cpu in ((0, 1), (1, 1), (2, 2), (3, None)):
        bridge = device(HOST, 9, "br0", kind="bridge", **queues(BAD, 1))
        bridge = bridge._replace(**rps((1,), (2,)))
        trail = Trail(Topology(snapshot(bridge)))
        trail.mapping = mapping
        steer(trail, bridge, backlog=False)
        assert trail.cpu == cpu


def test_flow_tables() -> None:
    masks = rps((1,), (1,), flows=64)
    flow = _steered(**masks).flows[0]
    assert step_of(flow, "rfs").text.startswith("RFS does nothing: 64 flow entries her")
    assert step_of(flow, "cpu").alternatives == ()
    lost = rps((1,), (1,), flows=BAD)
    flow = _steered(**lost).flows[0]
    said = f"RFS may choose the CPU: a table could not be read: {WHY}"
    assert step_of(flow, "rfs").text == said
    assert "the CPU that RFS chooses" in step_of(flow, "cpu").alternatives


def test_cpus_that_are_not_online() -> None:
    start = "RPS of rx-0 -> CPUs 1-2"
    gone = ": all offline, so packets stay on the CPU they are on"
    for online, text, cpus in (
        ((0, 1), "; CPU 2 offline", (1,)),
        ((0,), gone, None),
        (BAD, f": which are online could not be read: {WHY}", (1, 2)),
    ):
        whole = pair(None, {**rps((1, 2)), **native(program=PROGRAM)})
        whole = whole._replace(target=whole.target._replace(online_cpus=online))
        flow = only(path_of(whole))
        assert step_of(flow, "rps").text == start + text
        assert step_of(flow, "cpu").numbers["cpus"] == cpus
