# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes after the device: tc programs, VLANs, masters, the IP stack."""

from typing import Any

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    BridgePort,
    Device,
    Ipvlan,
    Macvlan,
    RpsQueue,
    TcProgram,
    Traits,
    Vlan,
    Xdp,
)
import pytest

from tests.support.paths import only, path_of, step_of, steps_of
from tests.support.snapshots import (
    BAD,
    BOND,
    BR0,
    DOWN,
    NO_XDP,
    POD,
    PROGRAM,
    device,
    generic,
    native,
    pair,
    queues,
    rps,
    rqs,
    snapshot,
)

PLAIN = {"xdp": NO_XDP._replace(queues=rqs(False))}
OVS = device(POD, 20, "ovs-system", kind="openvswitch")
VRF = device(POD, 21, "red", kind="vrf")


def _port(ifindex: int, name: str, master: Device, **changes: Any) -> Device:
    one = device(POD, ifindex, name, master=master.ref, kind=None)
    return one._replace(**changes)


def _under(master: Device, *others: Device, **changes: Any) -> Any:
    receiver = {**PLAIN, "master": master.ref, "uppers": (master.ref,), **changes}
    return pair({}, receiver, master, *others)


def test_stack() -> None:
    flow = only(path_of(pair({}, PLAIN)))
    assert (flow.steps[-1].kind, flow.ends) == ("stack", "IP stack of pod1")


def test_tc_programs() -> None:
    """tcx before clsact, and netkit's of the end that sends."""
    there = (
        TcProgram("tcx/ingress", 5, "first"),
        TcProgram("clsact/ingress", 6, "second"),
        TcProgram("tcx/egress", 7, "out"),
    )
    flow = only(path_of(pair({"tc": there}, {**PLAIN, "tc": there})))
    assert step_of(flow, "tc-egress").numbers["programs"] == (7,)
    ingress = step_of(flow, "tc-ingress")
    assert ingress.numbers["programs"] == (5, 6)
    assert ingress.text == "first#5, second#6 decide"
    kinds = [step.kind for step in flow.steps]
    assert kinds[:2] == ["tc-egress", "xps"]
    assert kinds[-2:] == ["tc-ingress", "stack"]
    flow = only(path_of(pair({"tc": BAD}, PLAIN)))
    assert BAD.reason in step_of(flow, "tc-egress").text


def test_bridge() -> None:
    closed = _port(31, "shut", BR0, bridge_port=BridgePort("blocking"))
    opened = _port(32, "ens9", BR0, bridge_port=BridgePort("forwarding"))
    path = path_of(_under(BR0, closed, opened))
    flow = only(path)
    (out,) = step_of(flow, "master").alternatives
    assert out == "out by another port: ens9"
    assert flow.steps[-1].device.name == "br0"


@pytest.mark.parametrize("state", ["disabled", "blocking", "learning"])
def test_closed_port(state: str) -> None:
    flow = only(path_of(_under(BR0, bridge_port=BridgePort(state))))
    assert flow.ends.startswith("dropped: the port of br0")
    assert steps_of(flow, "stack") == []


@pytest.mark.parametrize("state", ["forwarding", BAD])
def test_port_that_is_not_known_to_be_closed(state: Any) -> None:
    flow = only(path_of(_under(BR0, bridge_port=BridgePort(state))))
    assert "dropped" not in str(flow.ends)


def test_rps_of_the_bridge() -> None:
    """br_pass_frame_up() asks for RPS again, with the queue mapping of the port."""
    steered = BR0._replace(**rps((1, 2)))
    many = {**queues(4, 4), "xdp": NO_XDP._replace(queues=rqs(*[False] * 4))}
    path = path_of(
        pair(queues(4, 4), {**many, "master": steered.ref, **rps(*[()] * 4)}, steered)
    )
    found = {}
    for flow in path.flows:
        step = next(s for s in flow.steps if s.kind == "rps" and s.device.name == "br0")
        found[flow.tx_queues] = step.numbers["skipped"]
    assert found == {(0, 1): False, (2, 3): True}


def test_bond() -> None:
    """Its own generic program and VLANs get another round."""
    bond = BOND._replace(xdp=Xdp(PROGRAM, None, None, None))
    vlan = device(POD, 40, "vl7", kind="vlan", vlan=Vlan(7, "802.1Q"))
    vlan = vlan._replace(lowers=(bond.ref,))
    flow = only(path_of(_under(bond, vlan)))
    assert [step.numbers.get("prog_id") for step in steps_of(flow, "generic")] == [
        None,
        7,
    ]
    assert "VLAN 7 to vl7" in step_of(flow, "vlan").alternatives[0]


def test_open_vswitch() -> None:
    flow = only(path_of(_under(OVS, _port(33, "vnet0", OVS))))
    assert flow.ends == "Open vSwitch (ovs-system) decides"
    assert "vnet0" in step_of(flow, "master").alternatives[0]


def test_vrf() -> None:
    assert only(path_of(_under(VRF))).ends == "IP stack of pod1, VRF red"


def test_unknown_master() -> None:
    hsr = device(POD, 22, "hsr0", kind="hsr")
    assert only(path_of(_under(hsr))).ends == "hsr0 decides"
    flow = only(path_of(pair({}, {**PLAIN, "master": BAD})))
    assert BAD.reason in flow.ends


@pytest.mark.parametrize(
    "mode, goes",
    [
        ("bridge", "packets for its own MAC"),
        ("passthru", "all goes to"),
        ("source", "packets go on unless nodst"),
    ],
)
def test_macvlan(mode: str, goes: str) -> None:
    whole = pair({}, PLAIN)
    lower = whole.devices[1]
    over = device(POD, 41, "mv0", kind="macvlan", macvlan=Macvlan(mode))
    over = over._replace(lowers=(lower.ref,), netns_label="pod1")
    flow = only(path_of(whole._replace(devices=(*whole.devices, over))))
    assert goes in step_of(flow, "macvlan").text
    assert (flow.steps[-1].device.name == "mv0") is (mode == "passthru")


def test_vlan_that_is_down() -> None:
    whole = pair({}, PLAIN)
    vlan = device(POD, 42, "vl7", kind="vlan", vlan=Vlan(7, "802.1Q"), flags=DOWN)
    vlan = vlan._replace(lowers=(whole.devices[1].ref,), netns_label="pod1")
    flow = only(path_of(whole._replace(devices=(*whole.devices, vlan))))
    (tagged,) = step_of(flow, "vlan").alternatives
    assert "VLAN 7 to vl7 (down: dropped)" in tagged


def test_masters_of_each_other() -> None:
    """A damaged dump: it ends."""
    one = device(POD, 50, "bond1", kind="bond")
    two = device(POD, 51, "bond2", kind="bond", master=one.ref)
    one = one._replace(master=two.ref)
    flow = only(path_of(_under(one, two)))
    assert flow.ends == "a loop: bond1 is above itself"


def _received(one: Device, **options: Any) -> Any:
    return only(path_of(snapshot(one, **options), str(one.name)))


def test_what_a_nic_receives() -> None:
    nic = device(POD, 2, "ens1", kind=None, **queues(2, 2), **rps((0,), (1,)))
    path = path_of(snapshot(nic), "ens1")
    assert not path.sends
    assert [flow.rx_queues for flow in path.flows] == [(0,), (1,)]
    found = [step_of(flow, "rps").numbers["cpus"] for flow in path.flows]
    assert found == [(0,), (1,)]  # Its driver records them: no number is off by one.


@pytest.mark.parametrize(
    "kind, steers",
    [
        ("vlan", "nothing"),
        ("bond", "nothing"),
        ("macvlan", "only broadcast and multicast"),
        ("ipvlan", "only broadcast, multicast, and what other ipvlan devices send"),
    ],
)
def test_rps_of_an_upper_device(kind: str, steers: str) -> None:
    flow = _received(device(POD, 2, "up0", kind=kind, **rps((0, 1))))
    step = step_of(flow, "rps")
    assert step.numbers["skipped"] is True and f"steers {steers}:" in step.text


def test_rps_of_a_macvlan_that_gets_copies() -> None:
    """macvlan_forward_source_one() calls netif_rx()."""
    over = device(POD, 2, "up0", kind="macvlan", macvlan=Macvlan("source"))
    flow = _received(over._replace(**rps((0, 1))))
    assert step_of(flow, "receive").numbers["via"] == "netif_rx"
    assert "is 1 or more" in step_of(flow, "receive").alternatives[0]
    assert step_of(flow, "rps").numbers["cpus"] == (0, 1)


def test_others_that_receive() -> None:
    dummy = _received(device(POD, 2, "d0", kind="dummy"))
    assert "a dummy" in dummy.ends
    down = _received(device(POD, 2, "ens1", kind=None, flags=DOWN))
    assert down.ends == "dropped: ens1 is down"
    tap = _received(device(POD, 2, "tap0", kind="tun", **generic()))
    kinds = [step.kind for step in tap.steps]
    # tun_get_user() runs the native program alone.
    assert kinds.index("native") < kinds.index("rps") < kinds.index("generic")
    assert kinds.count("generic") == 1 and "gro" not in kinds
    loop = device(POD, 1, "lo", kind=None, flags=("LOOPBACK", "UP", "LOWER_UP"))
    assert step_of(_received(loop), "receive").numbers["via"] == "netif_rx"
    bridge = _received(BR0._replace(rps=(RpsQueue(0, (1,), 0),)))
    assert "RPS skips it if" in step_of(bridge, "receive").alternatives[0]
    nameless = _received(device(POD, 2, "ens1", kind=None, **queues(BAD, 1)))
    assert BAD.reason in nameless.ends
    assert isinstance(BAD, Unreadable)


@pytest.mark.parametrize("kind", ["macvtap", "ipvtap"])
def test_a_tap_on_another_device(kind: str) -> None:
    """tap_handle_frame() is a receive handler of the device itself."""
    flow = _received(device(POD, 2, "tap1", kind=kind))
    assert flow.ends == "the reader of tap1"
    assert "IP stack" in step_of(flow, "stack").alternatives[0]


def test_unknown_receive_handler() -> None:
    """As that of a device that has a macsec device on it."""
    nic = device(POD, 2, "ens1", kind=None, traits=Traits(rx_handler=True))
    assert _received(nic).ends == "the receive handler of ens1 decides"


def test_what_a_bond_receives() -> None:
    bond = device(POD, 2, "bond0", kind="bond", **native())
    step = step_of(_received(bond), "native")
    assert step.function == "bond_xdp_set" and step.numbers["prog_id"] == PROGRAM.id
    lost = _received(bond._replace(**native(program=BAD)))
    assert "the native program ran" in step_of(lost, "native").text


def test_ipvlan_l3s() -> None:
    """IP has its packets, and no program of the device sees them."""
    over = device(POD, 2, "ipv0", kind="ipvlan", ipvlan=Ipvlan("l3s", ()), **generic())
    flow = _received(over)
    assert [step.kind for step in flow.steps] == ["receive"]
    assert "(l3s)" in flow.ends


def test_macvlan_that_is_down() -> None:
    whole = pair({}, PLAIN)
    lower = whole.devices[1]
    over = device(POD, 41, "mv0", kind="macvlan", macvlan=Macvlan("passthru"))
    over = over._replace(lowers=(lower.ref,), netns_label="pod1", flags=DOWN)
    flow = only(path_of(whole._replace(devices=(*whole.devices, over))))
    assert flow.ends == "dropped: mv0 is down"
