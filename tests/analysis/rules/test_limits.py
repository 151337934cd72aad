# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules at their limits, and on devices that lack what most have."""

from typing import Any

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import (
    Device,
    Driver,
    Features,
    Holder,
    RpsQueue,
    Snapshot,
)
import pytest

from tests.support.rules.case import found
from tests.support.rules.leaked import held
from tests.support.rules.lost import counted
from tests.support.rules.unregister import gone
from tests.support.rules.xdp_reach import SOCKET, redirected
from tests.support.snapshots import (
    BAD,
    CHANNELS,
    DOWN,
    GRO,
    HOST,
    NO_XDP,
    PROGRAM,
    TARGET,
    Changes,
    device,
    generic,
    native,
    pair,
    queues,
    rps,
    rqs,
)

NOT_READY = "xdp-redirect-not-ready"


def test_a_veth_without_a_peer() -> None:
    """Whatever else it has, only rules that need no peer are about it."""
    orphan: Changes = {
        "peer": None,
        **counted(5, rx_dropped=7, tx_dropped=3, rx_drops=3),
        **queues(4, 4, 8, 8),
        **rps((1,), (), (2,), ()),
        **native(True, False, True, True),
        "mtu": 9000,
        "qdisc": "fq",
        "af_xdp": (SOCKET,),
    }
    for changes in (orphan, {**orphan, **generic()}):
        whole = pair(changes, {"peer": None})
        rules = {one.rule for one in diagnose(whole) if one.undecided is None}
        assert "no-peer" in rules
        text = " ".join(one.summary for one in diagnose(whole))
        assert "its peer" not in text and "peer eth0" not in text


def test_no_task_was_looked_for_in_a_device_that_goes() -> None:
    rule = "device-stuck-unregistering"
    assert found(rule, gone(ref_tasks=(), refcount=2))
    assert found(rule, gone(ref_tasks=(), refcount=None)) == []


@pytest.mark.parametrize(("number", "said"), [(1, False), (2, True), (BAD, False)])
def test_holders_that_are_not_named(number: Any, said: bool) -> None:
    file = Holder("fd", 165, "sleep", 7)
    (one,) = found("netns-leaked", held(holders=(file,), holder_count=number))
    assert ("(the first 1 of 2 holders)" in one.summary) == said
    assert ("the first" in one.summary) == said


# XDP_REDIRECT


def _ends(*, down: bool, napi: bool, wanted: int = 0, act: Any = 5) -> Snapshot:
    # A NIC redirects to va, whose peer is vb.
    driver = CHANNELS._replace(ndo_xdp_xmit=True)
    va = device(HOST, 11, "va", driver=driver, features=Features(0, 0, act))
    vb = device(HOST, 12, "vb", driver=driver, peer=va.ref)
    vb = vb._replace(
        features=Features(wanted, wanted, 0),
        xdp=NO_XDP._replace(queues=rqs(napi)),
    )
    va = va._replace(peer=vb.ref, flags=DOWN if down else va.flags)
    whole = redirected(va)
    return whole._replace(devices=(*whole.devices, vb))


def test_napi_that_runs_already_is_not_turned_on() -> None:
    """What is down comes up, and that is all; features have no command."""
    (one,) = found(NOT_READY, _ends(down=True, napi=True))
    assert one.kernel is not None and one.kernel.errno == "ENETDOWN"
    assert one.fix == ("ip link set dev va up",)
    (one,) = found(NOT_READY, _ends(down=False, napi=True, act=0))
    assert one.kernel is not None and one.kernel.errno == "EOPNOTSUPP"
    assert one.fix == ()
    (one,) = found(NOT_READY, _ends(down=True, napi=False))
    (command,) = one.fix
    assert command == "ip link set dev va up && ethtool -K vb gro on"
    # GRO that is wanted and on, of a peer that is up: NAPI comes with the device.
    (one,) = found(NOT_READY, _ends(down=True, napi=False, wanted=GRO))
    assert one.fix == ()


def test_a_veth_in_a_map_that_has_no_peer() -> None:
    for flags, fix in ((("UP", "LOWER_UP"), ()), (DOWN, ("ip link set dev va up",))):
        va = device(HOST, 11, "va", flags=flags, features=Features(0, 0, 5))
        (one,) = found(NOT_READY, redirected(va))
        assert one.fix == fix
        assert "peer_rq[].napi != NULL" not in dict(one.evidence)


def test_features_that_do_not_matter_could_not_be_read() -> None:
    """A generic program needs none of them."""
    target = device(
        HOST, 9, "target", kind="dummy", flags=(), features=Features(0, 0, BAD)
    )
    (one,) = found(NOT_READY, redirected(target, generic=True))
    assert one.undecided is None
    assert ("xdp_features", BAD) in one.evidence


def test_devices_that_refuse_frames_are_named() -> None:
    """The first three; one that is not among the devices is none of them."""
    xmit = Driver("x", True, True, False)
    for number in (1, 3, 4):
        targets: list[Device] = [
            device(HOST, 30 + i, f"t{i}", kind="dummy", driver=xmit, flags=())
            for i in range(number)
        ]
        lost = device(HOST, 60, "lost", kind="dummy")
        whole = redirected(lost, *targets)
        program = PROGRAM._replace(maps=(5,), redirects=False)
        sender = {**native(program=program), **counted(rx_drops=2)}
        there = pair(sender, counted(), *targets, maps=whole.maps)
        (finding,) = found("xdp-redirect-failed", there)
        names = [f"t{i} " in finding.summary for i in range(number)]
        assert names == [i < 3 for i in range(number)]
        assert "lost" not in finding.summary.partition(":")[2]


# RPS


@pytest.mark.parametrize(
    ("cpus", "mask", "fires"),
    [
        (33, 32, True),
        (64, 32, True),
        (32, 32, False),
        (34, 33, False),
        (34, 31, False),
    ],
)
def test_the_first_cpus(cpus: int, mask: int, fires: bool) -> None:
    """Of a mask of one word: all 32, and no other."""
    online = tuple(range(cpus))
    target = TARGET._replace(possible_cpus=cpus, online_cpus=online, isolated_cpus=())
    whole = pair(rps(tuple(range(mask))), target=target)
    said = [one.summary for one in found("rps-first-32-cpus", whole)]
    assert bool(said) == fires
    if fires:
        assert said[0].startswith("its RPS goes to the first 32 CPUs only: ")
        assert ("32" if cpus == 33 else f"32-{cpus - 1}") in said[0].partition(":")[2]


def test_masks_that_are_the_same_need_no_queue_counts() -> None:
    """Which of them are used does not matter then."""
    same: Changes = {**queues(BAD, BAD, 2, 2), **rps((1,), (1,))}
    offline = TARGET._replace(online_cpus=(0, 2, 3))
    (one,) = found("rps-cpu-offline", pair(same, target=offline))
    assert one.undecided is None
    other: Changes = {**queues(BAD, BAD, 2, 2), **rps((1,), (0,))}
    (one,) = found("rps-cpu-offline", pair(other, target=offline))
    assert one.undecided is not None


def test_a_flow_table_somewhere() -> None:
    """That no device has one is said only if that is so."""
    entries = TARGET._replace(rps_sock_flow_entries=32768)
    masks = (RpsQueue(0, (1,), 0),)
    first = pair({"rps": masks}, target=entries)
    fires = found("rfs-half-set", first)
    assert [one.device and one.device.name for one in fires] == ["veth0"]
    nic = device(HOST, 40, "ens1", kind=None)
    for queue in (RpsQueue(0, (1,), 4096), RpsQueue(0, (), 4096)):
        one = nic._replace(rps=(queue,))
        assert (
            found("rfs-half-set", pair({"rps": masks}, None, one, target=entries)) == []
        )


def test_two_masks_are_a_symptom_of_each_end_once() -> None:
    both = pair(rps((0,)), rps((1,)))
    (one,) = found("rps-which-end", both)
    assert one.device is not None and one.device.name == "veth0"
    assert found("rps-which-end", pair(rps((0,)), rps((0,)))) == []


# Queues


@pytest.mark.parametrize(
    ("counts", "fires"),
    [((1, 1), False), ((2, 2), False), ((4, 4), False), ((5, 5), True)],
)
def test_more_queues_than_cpus(counts: tuple[int, int], fires: bool) -> None:
    """TARGET has four CPUs."""
    plain: Changes = queues(*counts)
    assert bool(found("queues-cpus", pair(plain, plain))) == fires
    # With a native program, fewer RX queues than CPUs are worth a note, too.
    both = {**plain, **native(*[True] * counts[0])}
    said = found("queues-cpus", pair(both, plain))
    assert bool(said) == (counts != (4, 4))
