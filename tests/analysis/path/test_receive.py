# SPDX-License-Identifier: LGPL-2.1-or-later
"""NAPI or netif_rx(), and which programs run or are bypassed."""

from typing import Any

from drgn_veth.core.netdev_features import NETIF_F_GRO_FRAGLIST
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Features, Netkit, TcProgram, Xdp
import pytest

from tests.support.paths import flows_of, only, path_of, step_of, steps_of
from tests.support.snapshots import (
    BAD,
    BOND,
    BOND_SLAVE,
    DOWN,
    GRO,
    HOST,
    NO_XDP,
    PROGRAM,
    TSO,
    WITH_XDP,
    device,
    generic,
    native,
    pair,
    queues,
    rqs,
)

PLAIN = {"xdp": NO_XDP._replace(queues=rqs(False))}


def _of(*ends: Any, **whole: Any) -> Any:
    return only(path_of(pair(*ends, **whole)))


def test_native() -> None:
    flow = _of({}, native())
    assert step_of(flow, "receive").numbers["via"] == "napi"
    step = step_of(flow, "native")
    assert (step.numbers["prog_id"], step.numbers["bypassed"]) == (7, False)
    # Before GRO and RPS, and a generic program after them.
    kinds = [one.kind for one in flow.steps]
    order = ["receive", "native", "gro", "rps", "cpu", "generic", "stack"]
    assert [kind for kind in kinds if kind in order] == order


def test_no_such_rx_queue() -> None:
    receiver = {**queues(2, 2), **native(True, True)}
    path = path_of(pair(queues(4, 4), receiver))
    assert flows_of(path, "native", "bypassed") == {(0, 1): False, (2, 3): True}
    assert flows_of(path, "receive", "via") == {(0, 1): "napi", (2, 3): "netif_rx"}


def test_tso_of_the_sender() -> None:
    sender = {"features": Features(TSO, TSO, 0)}
    flow = _of(sender, native())
    assert step_of(flow, "native").numbers["bypassed"] is True
    assert step_of(flow, "receive").numbers["via"] == "netif_rx"
    assert "TSO" in step_of(flow, "receive").text
    fraglist = {"features": Features(NETIF_F_GRO_FRAGLIST, 0, 0)}
    flow = _of(sender, {**native(), **fraglist})
    assert "UDP" in step_of(flow, "receive").alternatives[0]


def test_queue_without_program() -> None:
    """After `ethtool -L` on a kernel that forgets new queues."""
    bare = rqs(True, True, prog=7)[1]._replace(prog_id=None)
    some = Xdp(None, PROGRAM, None, (rqs(True, prog=7)[0], bare))
    path = path_of(pair(queues(2, 2), {**queues(2, 2), "xdp": some}))
    assert flows_of(path, "native", "bypassed") == {(0,): False, (1,): True}
    assert "rq->xdp_prog" in step_of(path.flows[1], "native").text


def test_program_of_the_bond() -> None:
    bond = BOND._replace(xdp=WITH_XDP)
    flow = only(path_of(pair({}, BOND_SLAVE, bond)))
    assert step_of(flow, "native").numbers["prog_id"] == 7
    assert step_of(flow, "master").function == "bond_handle_frame"
    assert flow.ends == f"IP stack of net:{bond.netns}"


@pytest.mark.parametrize(
    "features, program, on",
    [(GRO, None, True), (0, None, False), (GRO, PROGRAM, False), (GRO, BAD, BAD)],
)
def test_gro(features: int, program: Any, on: Any) -> None:
    xdp = Xdp(program, None, None, rqs(True))
    receiver = {"xdp": xdp, "features": Features(features, features, 0)}
    assert step_of(_of({}, receiver), "gro").numbers["on"] is on


def test_no_gro_without_napi() -> None:
    assert steps_of(_of({}, PLAIN), "gro") == []


def test_generic() -> None:
    step = step_of(_of({}, generic()), "generic")
    assert step.numbers == {"prog_id": 7, "rx_queue_index": 0}
    assert any("copies" in one for one in step.alternatives)


def test_xdp_tx() -> None:
    """It goes back to the sender, which may not be able to take it."""

    def said(sender: Any) -> str:
        step = step_of(only(path_of(pair(sender, native()))), "native")
        return next(one for one in step.alternatives if one.startswith("XDP_TX"))

    assert said(PLAIN) == "XDP_TX: lost: veth0 has no NAPI (ENXIO, veth_xdp_xmit)"
    gro_only = {"xdp": NO_XDP._replace(queues=rqs(True))}
    assert "that nobody polls" in said(gro_only)
    assert said(native()) == "XDP_TX: veth0 receives it, rx-(CPU % 1)"
    mixed = native(True, True)["xdp"]
    first = mixed.queues[0]._replace(prog_id=None)
    half = {
        **queues(2, 1),
        "xdp": mixed._replace(queues=(first, mixed.queues[1])),
    }
    assert "on 1 of 2 RX queues" in said(half)
    for lost in ({"napi": BAD}, {"prog_id": BAD}):
        first = mixed.queues[0]._replace(**lost)
        part = mixed._replace(queues=(first, mixed.queues[1]))
        half = {**queues(2, 1), "xdp": part}
        assert "on at least 1 of 2 RX queues" in said(half)
    # An unreadable value means neither a lost packet nor an unpolled ring.
    unsure = {"xdp": NO_XDP._replace(queues=rqs(BAD))}
    assert said(unsure) == "XDP_TX: whether veth0 has NAPI could not be read"
    unsure = {"xdp": NO_XDP._replace(queues=rqs(True, prog=BAD))}
    assert said(unsure) == "XDP_TX: whether veth0 has a program could not be read"


def test_mtu() -> None:
    flow = _of({"mtu": 9000}, PLAIN)
    assert "longer than 1518 bytes" in step_of(flow, "receive").alternatives[0]
    assert step_of(_of({}, PLAIN), "receive").alternatives == ()


def test_full_ring() -> None:
    """Since v6.16 a qdisc is stopped instead."""
    stops = _of({"qdisc": "fq"}, native())
    assert "the TX queue stops" in step_of(stops, "receive").alternatives[-1]
    drops = _of({"qdisc": "noqueue"}, native())
    assert "dropped once 256" in step_of(drops, "receive").alternatives[-1]


@pytest.mark.parametrize(
    "sender, receiver, ends",
    [
        ({"flags": DOWN}, {}, "dropped: the sender is down"),
        ({"flags": (*DOWN, "UP")}, {}, "dropped: the sender has no carrier"),
        ({}, {"flags": DOWN}, "dropped: the receiver is down"),
        ({"peer": None}, {}, "dropped: veth0 has no peer"),
        ({"peer": BAD}, {}, f"the peer of veth0 could not be read: {BAD.reason}"),
    ],
)
def test_ends(sender: Any, receiver: Any, ends: str) -> None:
    flow = _of(sender, {**PLAIN, **receiver})
    assert flow.ends == ends
    # What does not depend on it is still told.
    assert steps_of(flow, "xps") and steps_of(flow, "qdisc")


def test_peer_that_is_nowhere() -> None:
    whole = pair({}, PLAIN)
    flow = only(path_of(whole._replace(devices=whole.devices[:1])))
    assert flow.ends == "the peer of veth0: it was not found in any namespace"


def test_unreadable_counts() -> None:
    flow = _of({}, {**native(), **queues(BAD, 1)})
    assert BAD.reason in step_of(flow, "rx-queue").text
    assert step_of(flow, "native").numbers["bypassed"] == BAD
    assert flow.ends == "IP stack of pod1"
    flow = _of(queues(1, BAD), PLAIN)
    assert flow.tx_queues == ()
    assert BAD.reason in flow.ends and steps_of(flow, "qdisc")


def test_unreadable_rq() -> None:
    flow = _of({}, {"xdp": Xdp(None, PROGRAM, None, BAD)})
    assert isinstance(step_of(flow, "receive").numbers["via"], Unreadable)
    assert step_of(flow, "native").numbers["bypassed"] == BAD


def test_torn_down() -> None:
    path = path_of(pair({**queues(0, 0), "reg_state": "UNREGISTERING"}, PLAIN))
    assert path.ends == "veth0 has no TX queues: it is being torn down"


def test_netkit() -> None:
    netkit = {"netkit": Netkit("l2", "forward", True)}
    flow = _of(netkit, PLAIN, kind="netkit")
    assert step_of(flow, "receive").numbers["via"] == "netif_rx"
    assert step_of(flow, "rx-queue").numbers["rx_queue"] is None
    assert steps_of(flow, "native") == []
    closed = {"netkit": Netkit("l2", "blackhole", True)}
    flow = _of(closed, PLAIN, kind="netkit")
    assert flow.ends == "dropped: the netkit policy is blackhole"


def test_netkit_programs() -> None:
    """They decide, and the policy only where they do not."""
    closed = Netkit("l2", "blackhole", True)
    programs = (
        TcProgram("netkit/primary", 5, "cil"),
        TcProgram("tcx/ingress", 6, "in"),
        TcProgram("netkit/peer", 7, "out"),
    )
    flow = _of({"netkit": closed, "tc": programs}, PLAIN, kind="netkit")
    assert flow.ends == "IP stack of pod1"
    step = step_of(flow, "tc-egress")
    assert step.function == "netkit_run"
    assert step.text == "netkit cil#5, out#7 decide"
    assert step.numbers == {"programs": (5, 7), "policy": "blackhole"}
    assert step.alternatives == (
        "dropped, or redirected",
        "without a verdict, the policy decides: blackhole",
    )
    unsure = closed._replace(policy=BAD)
    flow = _of({"netkit": unsure, "tc": programs}, PLAIN, kind="netkit")
    said = step_of(flow, "tc-egress").alternatives
    assert said[1] == "without a verdict, the policy decides: unknown"
    flow = _of({"netkit": unsure}, PLAIN, kind="netkit")
    said_so = f"no program, and the policy could not be read: {BAD.reason}"
    assert step_of(flow, "tc-egress").text == said_so
    # tc_programs() says so of its own programs first.
    flow = _of({"netkit": closed, "tc": BAD}, PLAIN, kind="netkit")
    steps = [s for s in steps_of(flow, "tc-egress") if s.function == "netkit_run"]
    assert [s.text for s in steps] == [
        f"netkit programs could not be read: {BAD.reason}"
    ]
    assert flow.ends == "IP stack of pod1"


def test_threaded_napi() -> None:
    """It polls on any CPU, whichever sends."""
    (queue,) = rqs(True, prog=7)
    for threaded, where, cpus in (
        (False, "CPU 3", (3,)),
        (True, "the CPU of its thread", None),
        (BAD, "the CPU of its thread", None),
    ):
        polled = (queue._replace(threaded=threaded),)
        receiver = {"xdp": Xdp(None, PROGRAM, None, polled)}
        flow = only(path_of(pair({}, receiver), cpu=3))
        assert step_of(flow, "receive").text == f"NAPI polls it on {where}"
        assert step_of(flow, "cpu").numbers["cpus"] == cpus


def test_nic_without_carrier() -> None:
    nic = device(HOST, 9, "ens9", kind=None, flags=("UP",))
    steps = steps_of(only(path_of(pair(None, None, nic), "ens9")), "receive")
    assert steps[0].function == "netif_carrier_ok"
    assert steps[0].text == "no carrier: nothing arrives now"
    # What would arrive is still told.
    assert steps[1].numbers["via"] == "driver"
    for flags in (("UP", "LOWER_UP"), BAD):
        one = pair(None, None, nic._replace(flags=flags))
        (step,) = steps_of(only(path_of(one, "ens9")), "receive")
        assert step.numbers["via"] == "driver"


@pytest.mark.parametrize("kind, via", [("openvswitch", "netif_rx"), ("vrf", "l3mdev")])
def test_what_no_napi_feeds(kind: str, via: str) -> None:
    whole = pair(
        None, None, device(HOST, 9, "other", kind=kind, flags=("UP", "LOWER_UP"))
    )
    flow = only(path_of(whole, "other"))
    assert step_of(flow, "receive").numbers["via"] == via
    assert not steps_of(flow, "gro")
