# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a device takes what a program redirects to it, and the entries of maps."""

from typing import Any

from drgn_veth.analysis.path.redirect import takes_frames, takes_packets
from drgn_veth.analysis.path.topology import Topology
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    AfXdpSocket,
    Device,
    Driver,
    Features,
    Map,
    MapEntry,
    XskRing,
)
import pytest

from tests.support.paths import only, path_of, step_of, steps_of
from tests.support.snapshots import (
    BAD,
    BOND,
    DOWN,
    HOST,
    NO_XDP,
    PROGRAM,
    TARGET,
    WITH_XDP,
    device,
    generic,
    kernel,
    native,
    pair,
    queues,
    rqs,
    snapshot,
)

XMIT = Features(0, 0, 4)
NO_XMIT = Features(0, 0, 0)
OLD = Features(0, 0, None)
CAN = Driver("some", True, True, False)
TAP = device(HOST, 30, "tap0", kind="tun", features=XMIT)
VIRTIO = device(
    HOST, 31, "eth9", kind=None, features=OLD, driver=CAN._replace(name="virtio_net")
)


@pytest.mark.parametrize(
    "target, takes, errno",
    [
        (TAP, True, None),
        (TAP._replace(flags=("UP",)), False, "ENXIO"),
        (TAP._replace(flags=DOWN), False, "ENETDOWN"),
        (TAP._replace(flags=BAD), BAD, None),
        (TAP._replace(features=NO_XMIT), False, "EOPNOTSUPP"),
        (TAP._replace(features=Features(0, 0, BAD)), BAD, None),
        (TAP._replace(features=OLD), False, "EOPNOTSUPP"),
        (TAP._replace(features=OLD, driver=CAN), True, None),
        (VIRTIO, False, "ENXIO"),
        (VIRTIO._replace(xdp=WITH_XDP), True, None),
        (device(HOST, 32, "ens1", kind=None, features=XMIT, driver=CAN), None, None),
        (BOND._replace(features=XMIT), False, "ENXIO"),
        (device(HOST, 33, "v", features=XMIT, peer=None), False, "ENXIO"),
        (device(HOST, 33, "v", features=XMIT, peer=BAD), BAD, None),
    ],
)
def test_frames(target: Device, takes: Any, errno: Any) -> None:
    taken = takes_frames(Topology(snapshot(target)), target)
    assert (taken.takes, taken.errno) == (takes, errno)


def _veth(receiver: Any, cpu: Any = None) -> Any:
    whole = pair({"features": XMIT}, receiver)
    return takes_frames(Topology(whole), whole.devices[0], cpu)


def test_frames_into_a_veth() -> None:
    off = NO_XDP._replace(queues=rqs(False))
    assert _veth({"xdp": off}).errno == "ENXIO"
    on = _veth({"xdp": NO_XDP._replace(queues=rqs(True))})
    assert on.takes is True and "eth0 (netns pod1) receives it" in on.why
    assert "1518 bytes" in on.why
    half = {**queues(2, 1), "xdp": NO_XDP._replace(queues=rqs(True, False))}
    assert _veth(half).takes is None
    # veth_select_rxq() takes the CPU.
    assert _veth(half, cpu=2).takes is True
    assert _veth(half, cpu=3).errno == "ENXIO"
    assert isinstance(_veth({"xdp": NO_XDP._replace(queues=BAD)}).takes, Unreadable)
    # Not even one of several may be taken for one without NAPI.
    for napi in ((BAD,), (False, BAD), (True, BAD)):
        unsure = _veth({"xdp": NO_XDP._replace(queues=rqs(*napi))})
        assert (unsure.takes, unsure.errno) == (BAD, None)
        assert "whether eth0 (netns pod1) has NAPI could not be read" in unsure.why


def test_bond_asks_its_slaves() -> None:
    bond = BOND._replace(features=XMIT)
    taps = [TAP._replace(ifindex=60 + i, net_device=60 + i) for i in range(2)]
    slaves = [one._replace(master=bond.ref) for one in taps]
    taken = takes_frames(Topology(snapshot(bond, *slaves)), bond)
    assert taken.takes is True and taken.function == "bond_xdp_xmit"
    slaves[1] = slaves[1]._replace(flags=("UP",))
    assert takes_frames(Topology(snapshot(bond, *slaves)), bond).takes is None


def test_packets() -> None:
    """A generic program needs no operation of the driver."""
    alone = Topology(snapshot())
    assert takes_packets(alone, TAP._replace(features=NO_XMIT)).takes is True
    assert takes_packets(alone, TAP._replace(flags=DOWN)).errno == "ENETDOWN"
    whole = pair({"mtu": 9000}, {"mtu": 1400})
    assert "1418 bytes" in takes_packets(Topology(whole), whole.devices[0]).why


def _map(kind: str, *entries: MapEntry, **changes: Any) -> Map:
    one = Map(4, kind, "to", 64, len(entries), entries)
    return one._replace(**changes)


def _steps(of: Map, *others: Device, **whole: Any) -> Any:
    program = PROGRAM._replace(maps=(4,))
    made = pair({}, native(program=program), *others, maps=(of,), **whole)
    return steps_of(only(path_of(made)), "redirect")


def test_devmap() -> None:
    dummy = device(HOST, 31, "d0", kind="dummy", features=NO_XMIT)
    one, two = _steps(
        _map("devmap", MapEntry(0, TAP.ref), MapEntry(3, dummy.ref)), TAP, dummy
    )
    assert one.numbers["takes"] is True and one.device.name == "tap0"
    assert one.text.startswith("devmap#4[0] to tap0")
    assert two.numbers["errno"] == "EOPNOTSUPP"
    assert two.text.startswith("devmap#4[3] lost at d0")


def test_cpumap() -> None:
    offline = TARGET._replace(online_cpus=(0, 1))
    one, two = _steps(
        _map("cpumap", MapEntry(1, cpu=1, qsize=192), MapEntry(2, cpu=2, qsize=64)),
        target=offline,
    )
    assert (one.numbers["cpu"], one.numbers["qsize"]) == (1, 192)
    assert "offline" in two.text and two.numbers["takes"] is True


def test_cpumap_of_a_generic_program() -> None:
    """Kernels before v5.15 lose the packet; the types tell v5.18."""
    of = _map("cpumap", MapEntry(1, cpu=1, qsize=192))
    program = PROGRAM._replace(maps=(4,))
    old = kernel(xdp_frags=False)
    for end, whose, takes in (
        (generic(program), old, False),
        (generic(program), None, False),
        (generic(program), kernel(), True),
        (native(program=program), old, True),
    ):
        made = pair({}, end, maps=(of,), kernel=whose)
        step = step_of(only(path_of(made)), "redirect")
        assert ("v5.15" in step.text) is not takes
        if takes:
            assert step.numbers["takes"] is True
        else:
            assert isinstance(step.numbers["takes"], Unreadable)


RING = XskRing(64, 8)
SOCKET = AfXdpSocket(0, "bound", False, RING, None, RING, None, None, 0, 0, 40, "xsk")


@pytest.mark.parametrize(
    "socket, takes, errno, said",
    [
        (SOCKET, True, None, "an AF_XDP socket of xsk (40)"),
        (SOCKET._replace(queue=1), False, "EINVAL", "bound to rx-1"),
        (SOCKET._replace(state="ready"), False, "ENXIO", "not bound"),
        (SOCKET._replace(fill=XskRing(64, 0)), False, None, "fill ring is empty"),
        (
            SOCKET._replace(fill=XskRing(64, 0), rx_ring_full=2),
            *(None, None, "fill ring is empty"),
        ),
        (SOCKET._replace(fill=XskRing(64, 0), zero_copy=True), True, None, "rx-0"),
        (None, False, None, "no socket"),
        (BAD, BAD, None, BAD.reason),
    ],
)
def test_xskmap(socket: Any, takes: Any, errno: Any, said: str) -> None:
    here = pair().devices[1].ref
    (step,) = _steps(_map("xskmap", MapEntry(0, here, socket=socket)))
    assert (step.numbers["takes"], step.numbers["errno"]) == (takes, errno)
    assert said in step.text


def test_xskmap_of_another_device() -> None:
    (step,) = _steps(_map("xskmap", MapEntry(0, TAP.ref, socket=SOCKET)), TAP)
    assert step.numbers["errno"] == "EINVAL" and "bound to tap0" in step.text


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, ["XDP_REDIRECT: where a map or bpf_redirect() says"]),
        ({"redirects": False}, []),
        ({"redirects": BAD}, ["XDP_REDIRECT: where a map or bpf_redirect() says"]),
        ({"maps": BAD}, [f"XDP_REDIRECT: its maps could not be read: {BAD.reason}"]),
        (
            {"maps": (4,), "redirects": False},
            ["XDP_REDIRECT: to an entry of its maps"],
        ),
        (
            {"maps": (4,)},
            ["XDP_REDIRECT: to an entry of its maps, or where bpf_redirect() says"],
        ),
    ],
)
def test_what_it_may_redirect_to(changes: Any, said: list[str]) -> None:
    there = _map("devmap", MapEntry(0, TAP.ref))
    program = PROGRAM._replace(**changes)
    made = pair({}, native(program=program), TAP, maps=(there,))
    step = step_of(only(path_of(made)), "native")
    found = [one for one in step.alternatives if one.startswith("XDP_REDIRECT")]
    assert found == said


def test_maps_that_say_little() -> None:
    assert _steps(_map("devmap")) == []
    (step,) = _steps(_map("devmap", entries=BAD))
    assert step.numbers["takes"] == BAD
    one, more = _steps(_map("devmap", MapEntry(0, TAP.ref), entry_count=70), TAP)
    assert "69 more entries" in more.text
    (step,) = _steps(_map("devmap", MapEntry(0, BAD)))
    assert step.numbers["takes"] == BAD
    (step,) = _steps(_map("devmap", MapEntry(0, TAP.ref)))  # It is nowhere.
    assert isinstance(step.numbers["takes"], Unreadable)


def test_virtio_slave_of_a_bond_with_a_program() -> None:
    """virtnet_info.rq[].xdp_prog is what counts, not xdp_state."""
    bond = BOND._replace(xdp=WITH_XDP)
    slave = VIRTIO._replace(master=bond.ref)
    assert takes_frames(Topology(snapshot(slave, bond)), slave).takes is True
    lost = slave._replace(xdp=NO_XDP._replace(driver=BAD))
    assert takes_frames(Topology(snapshot(lost, bond)), lost).takes == BAD
    lost = slave._replace(master=BAD)
    assert takes_frames(Topology(snapshot(lost)), lost).takes == BAD


def test_bond_that_is_its_own_slave() -> None:
    """A damaged dump: it ends."""
    one = BOND._replace(features=XMIT)
    two = one._replace(name="bond1", ifindex=70, net_device=70, master=one.ref)
    one = one._replace(master=two.ref)
    assert takes_frames(Topology(snapshot(one, two)), one).takes is None


def test_bond_of_bonds() -> None:
    outer = BOND._replace(features=XMIT)
    inner = outer._replace(name="bond1", ifindex=70, net_device=70, master=outer.ref)
    tap = TAP._replace(master=inner.ref)
    taken = takes_frames(Topology(snapshot(outer, inner, tap)), outer)
    assert taken.takes is True


def test_smaller_mtu_of_the_two_ends() -> None:
    on = {"xdp": NO_XDP._replace(queues=rqs(True))}
    whole = pair({"features": XMIT, "mtu": 9000}, {**on, "mtu": 1400})
    taken = takes_frames(Topology(whole), whole.devices[0])
    assert "1418 bytes" in taken.why
    # Without one of them, the smaller one is not known.
    for lost in (pair({"mtu": BAD}, {}), pair({}, {"mtu": BAD})):
        taken = takes_packets(Topology(lost), lost.devices[0])
        assert (taken.takes, taken.why) == (
            True,
            "it sends the packet, without a qdisc",
        )


def test_map_without_entries() -> None:
    """What bpf_redirect_map() returns then is in its flags."""
    program = PROGRAM._replace(maps=(4,))
    made = pair({}, native(program=program), maps=(_map("xskmap"),))
    (said,) = [
        one
        for one in step_of(only(path_of(made)), "native").alternatives
        if one.startswith("XDP_REDIRECT")
    ]
    assert "its maps are empty, so" in said
