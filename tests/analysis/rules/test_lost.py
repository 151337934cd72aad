# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lost packets, as far as counters beside a counter tell."""

from typing import Any, Optional

from drgn_veth.model import (
    CpuStats,
    Device,
    DeviceRef,
    Features,
    Map,
    MapEntry,
    QdiscStats,
    Snapshot,
    StoppedTxQueue,
    Veth,
    VethRing,
)
import pytest

from tests.support.rules.case import found
from tests.support.rules.lost import counted
from tests.support.rules.xdp_reach import redirected
from tests.support.snapshots import (
    BAD,
    CHANNELS,
    DOWN,
    HOST,
    PROGRAM,
    TARGET,
    WHY,
    Changes,
    device,
    native,
    pair,
    rps,
)

#: To peer eth0, 5 packets are lost.
START = "lost so far on the way to peer eth0 (netns pod1): 5 packets "
OR_FULL = ", or that met a full ring"
NOT_IN_A_MAP = device(HOST, 20, "ens1", kind=None, **native())


def _cpus(*dropped: Any, online: Optional[int] = None) -> Changes:
    cpus = tuple(CpuStats(cpu, 1, n, 0, 0, 0, 0) for cpu, n in enumerate(dropped))
    running = tuple(range(len(dropped) if online is None else online))
    target = TARGET._replace(possible_cpus=len(dropped), online_cpus=running)
    return {"cpus": cpus, "target": target}


def _routed(kind: str) -> Snapshot:
    """veth0, which has lost packets in its program, and a map of that."""
    one = Map(5, kind, "m", 4, 0, ())
    program = PROGRAM._replace(maps=(5,), redirects=False)
    first = {**native(program=program), **counted(rx_drops=2)}
    return pair(first, counted(), maps=(one,))


@pytest.mark.parametrize(
    "snapshot, words",
    [
        # Refused: the peer has counted it, too.
        (
            pair(counted(5), counted(rx_dropped=5)),
            "that its peer refused (it was down, or its MTU was smaller)" + OR_FULL,
        ),
        (
            pair(counted(5), {**counted(rx_dropped=9), "flags": DOWN}),
            "that its peer refused (it is down)" + OR_FULL,
        ),
        (
            pair(counted(5), counted(rx_dropped=5), **_cpus(0, 6)),
            "that its peer refused (the backlog of a CPU was full)" + OR_FULL,
        ),
        # Nobody knows what the CPU that is offline has counted.
        (
            pair(counted(5), counted(rx_dropped=5), **_cpus(0, 0, online=1)),
            "that its peer refused (the backlog of a CPU was full)" + OR_FULL,
        ),
        (
            pair(counted(5), counted(rx_dropped=5), **_cpus(0, 0)),
            "that its peer refused (it was down, or its MTU was smaller)" + OR_FULL,
        ),
        # Counters of queues are no counters of the core.
        (
            pair(counted(5, xdp_tx_err=1), counted(rx_dropped=7, rx_drops=6)),
            "that met a full ring",
        ),
        (
            pair(counted(5), counted(), NOT_IN_A_MAP),
            "that met a full ring, or were redirected while its peer had no NAPI",
        ),
        # Which programs are in its namespace is not known.
        (
            pair({**counted(5), "netns": BAD}, counted()),
            "that met a full ring, or were redirected while its peer had no NAPI",
        ),
        # The counters that would tell could not be read.
        (pair(counted(5), {**counted(), "stats": BAD}), "that it sent"),
        (pair(counted(5), {**counted(), "stats": None}), "that it sent"),
    ],
)
def test_where_a_veth_lost_packets(snapshot: Snapshot, words: str) -> None:
    (finding,) = found("veth-packets-lost", snapshot)
    assert finding.summary == START + words
    assert finding.severity == "info"


def test_full_ring_is_a_warning() -> None:
    full: Changes = {"ring": VethRing(256, 256), "peer_tq_xdp_xmit_err": 1}
    (finding,) = found("veth-packets-lost", pair(counted(), counted(**full)))
    assert finding.severity == "warning"
    assert finding.summary.endswith("the peer's MTU; full right now: 1 ring")
    for ring in (VethRing(256, 255), VethRing(BAD, BAD), None):
        nearly = {**full, "ring": ring}
        (finding,) = found("veth-packets-lost", pair(counted(), counted(**nearly)))
        assert finding.severity == "info"


def test_xdp_tx_to_a_peer_with_a_program() -> None:
    lost = pair(counted(xdp_tx_err=2), {**native(), **counted()})
    (finding,) = found("veth-packets-lost", lost)
    why = "met a full ring, or were longer than the peer's MTU"
    assert finding.summary.endswith(
        f"2 frames of XDP_TX that {why}, or were sent before the peer had a native "
        "program"
    )


@pytest.mark.parametrize(
    "kind, words",
    [
        (
            "xskmap",
            (
                "the RX ring of an AF_XDP socket was full, its fill ring empty, or the "
                "socket not bound to the queue"
            ),
        ),
        ("devmap", "XDP_REDIRECT found no device that takes them, or memory ran out"),
    ],
)
def test_why_a_redirect_failed(kind: str, words: str) -> None:
    (finding,) = found("xdp-redirect-failed", _routed(kind))
    assert finding.summary.endswith(f"redirected 0: {words}")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"redirects": False}, "XDP_TX failed, or memory ran out"),
        ({"maps": BAD}, "XDP_REDIRECT or XDP_TX failed, or memory ran out"),
        ({}, "XDP_REDIRECT found no device that takes them, or memory ran out"),
    ],
)
def test_why_without_a_map(changes: Changes, words: str) -> None:
    program = PROGRAM._replace(**changes)
    lost = pair({**native(program=program), **counted(rx_drops=1)}, counted())
    (finding,) = found("xdp-redirect-failed", lost)
    assert finding.summary.endswith(
        f"has lost 1 packet so far, and redirected 0: {words}"
    )


def test_targets_that_take_frames_are_not_named() -> None:
    """They lose frames after XDP_REDIRECT has succeeded, if at all."""
    target = device(HOST, 8, "veth8", driver=CHANNELS, **counted())
    entry = MapEntry(0, DeviceRef(HOST, 8, "veth8", target.net_device))
    whole = Map(5, "devmap", "m", 4, 1, (entry,))
    program = PROGRAM._replace(maps=(5,))
    first = {**native(program=program), **counted(rx_drops=2)}
    (finding,) = found(
        "xdp-redirect-failed", pair(first, counted(), target, maps=(whole,))
    )
    assert "veth8" not in finding.summary


def test_stopped_queues_fill_the_qdisc() -> None:
    stopped = Veth(0, 0, (), (StoppedTxQueue(0, False, False),))
    changes = {"qdisc": "fq", "qdisc_stats": QdiscStats(1, 0, 0), "veth": stopped}
    (finding,) = found("qdisc-drops", pair(changes))
    assert finding.summary == (
        "its qdisc fq has dropped 1 packet so far; TX queues are stopped: rings of its "
        "peer were full"
    )


@pytest.mark.parametrize(
    ("dropped", "causes"),
    [
        ((0, 0), "no protocol takes them"),
        ((0, 6), "no protocol takes them, or the backlog of a CPU was full"),
        ((0, BAD), "no protocol takes them, or the backlog of a CPU was full"),
    ],
)
def test_why_a_packet_is_not_delivered(dropped: Any, causes: str) -> None:
    """Of a CPU whose counter could not be read, the backlog may have been full."""
    whole = pair(counted(rx_dropped=5), counted(), **_cpus(*dropped))
    (finding,) = found("veth-not-delivered", whole)
    assert finding.summary == f"5 received packets dropped so far: {causes}"


def _bridges(number: int, **changes: Any) -> list[Device]:
    plain = {"kind": "bridge", **changes}
    return [
        device(HOST, 20 + i, f"br{i}", net_device=0x100 + i, **plain)
        for i in range(number)
    ]


def test_who_steers_to_a_backlog_that_was_full() -> None:
    """Not who steers to other CPUs; and so many names are enough."""
    full = _cpus(0, 3)
    aside = pair(None, rps((1,)), *_bridges(1, **rps((0,))), **full)
    (finding,) = found("backlog-overflow", aside)
    assert finding.summary.endswith("; RPS of eth0 steers packets there")
    for number, more in (
        (3, ""),
        (4, " and 1 more device"),
        (5, " and 2 more devices"),
    ):
        many = pair(None, None, *_bridges(number, **rps((), (0, 1))), **full)
        (finding,) = found("backlog-overflow", many)
        assert f"; RPS of br0, br1, br2{more} steers packets there" in finding.summary


def test_only_some_of_those_that_refuse_frames_are_named() -> None:
    refusing = _bridges(5, features=Features(0, 0, 0))
    program = PROGRAM._replace(maps=(5,))
    first = {**native(program=program), **counted(rx_drops=2)}
    maps = redirected(*refusing).maps
    (finding,) = found(
        "xdp-redirect-failed", pair(first, counted(), *refusing, maps=maps)
    )
    said = finding.summary.split("redirected 0: ")[1].split("; ")
    assert [one.split()[0] for one in said] == ["br0", "br1", "br2"]


def test_backlogs_are_said_once() -> None:
    (finding,) = found("backlog-overflow", pair(**_cpus(0, 3)))
    assert finding.device is None
    assert finding.summary == "the backlog of CPU 1 has dropped 3 packets"
    (finding,) = found("backlog-overflow", pair(cpus=BAD))
    assert finding.device is None
    assert finding.undecided == f"softnet_data could not be read: {WHY}"
