# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about the MTU."""

from collections.abc import Sequence
from typing import Any, Optional

from drgn_veth.model import Device, Veth
import pytest

from tests.support.rules.case import AGAIN, again, found
from tests.support.snapshots import (
    BAD,
    BOND,
    BOND_SLAVE,
    BR0,
    FRAGS,
    HOST,
    KERNEL,
    WHY,
    WITH_XDP,
    Changes,
    device,
    kernel,
    native,
    pair,
    queues,
)


def test_slave_runs_the_program_of_its_bond() -> None:
    bond = BOND._replace(xdp=WITH_XDP)
    peer = {"max_mtu": 3506}
    assert found("mtu-frozen", pair(BOND_SLAVE, peer, bond))
    assert not found("mtu-frozen", pair(BOND_SLAVE, peer, BOND))
    bridge = BR0._replace(xdp=WITH_XDP)
    assert not found("mtu-frozen", pair(BOND_SLAVE, peer, bridge))
    lost = pair({**BOND_SLAVE, "veth": Veth(0, BAD)}, peer, bond)
    (finding,) = found("mtu-frozen", lost)
    assert finding.undecided == f"_xdp_prog could not be read: {WHY}"


def test_both_ends_get_the_smaller_mtu() -> None:
    first, second = found("xdp-peer-mtu", pair({"mtu": 9000}, {"mtu": 9000}))
    assert first.fix == (
        "ip link set dev veth0 mtu 3506",
        "ip netns exec pod1 ip link set dev eth0 mtu 3506",
    )
    assert second.fix == first.fix[::-1]


def test_an_mtu_that_is_right_is_left_alone() -> None:
    (finding,) = found("xdp-peer-mtu", pair({"mtu": 3506}, {"mtu": 3507}))
    assert finding.fix == ("ip netns exec pod1 ip link set dev eth0 mtu 3506",)


@pytest.mark.parametrize("own, wanted", [(1400, 1400), (3600, 3506), (BAD, 3506)])
def test_no_mtu_is_raised(own: Any, wanted: int) -> None:
    findings = found("xdp-peer-mtu", pair({"mtu": own}, {"mtu": 9000}))
    finding = next(f for f in findings if f.device and f.device.name == "veth0")
    lines = [f"ip netns exec pod1 ip link set dev eth0 mtu {wanted}"]
    if own == 3600:
        lines.insert(0, "ip link set dev veth0 mtu 3506")
    assert finding.fix == tuple(lines)


@pytest.mark.parametrize("kind", ["bond", "team"])
def test_mtu_of_a_port_is_its_masters(kind: str) -> None:
    master = BOND._replace(kind=kind, mtu=9000)
    port = {"master": master.ref, "mtu": 9000}
    (finding,) = found("mtu-mismatch", pair(port, None, master))
    assert finding.fix == ("ip link set dev bond0 mtu 1500",)
    first, second = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, master))
    assert first.fix == (
        "ip link set dev bond0 mtu 3506",
        "ip netns exec pod1 ip link set dev eth0 mtu 3506",
    )
    assert second.fix == first.fix[::-1]
    stale = pair(
        {**port, "max_mtu": 73138}, {**native(), "mtu": 9000}, master, kernel=KERNEL
    )
    (finding,) = found("xdp-max-mtu-stale", stale)
    lower = ("ip netns exec pod1 ip link set dev eth0 mtu 3506", first.fix[0])
    assert finding.fix == (again("eth0", *lower, way="ip netns exec pod1 "),)
    assert finding.fix_effect == (
        "lowers the MTU of eth0 and of bond0 (netns 4026531840) and all its ports, "
        f"{AGAIN}"
    )


@pytest.mark.parametrize(
    "others, changes, fix",
    [
        ((BR0._replace(net_device=BOND.net_device),), {}, "veth0"),
        # It is not known whose the MTU is.
        ((), {}, None),
        ((BOND._replace(kind=BAD),), {}, None),
        ((BOND._replace(mtu=BAD),), {}, None),
        ((BOND,), {"master": BAD}, None),
        # It would be raised, or it changes nothing.
        ((BOND._replace(mtu=1400),), {}, None),
        ((BOND._replace(mtu=1500),), {}, None),
    ],
)
def test_master_that_does_not_help(
    others: Sequence[Device], changes: Changes, fix: Optional[str]
) -> None:
    port = {"master": BOND.ref, "mtu": 9000, **changes}
    (finding,) = found("mtu-mismatch", pair(port, None, *others))
    wanted = () if fix is None else (f"ip link set dev {fix} mtu 1500",)
    assert finding.fix == wanted
    findings = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, *others))
    if fix is None:
        assert all(finding.fix == () for finding in findings)


def test_no_attach_that_would_be_refused() -> None:
    port = {"master": BAD, "max_mtu": 73138, "mtu": 9000}
    (finding,) = found("xdp-max-mtu-stale", pair(port, native()))
    assert finding.severity == "warning"
    assert finding.fix == ()


@pytest.mark.parametrize("mtu, severity", [(3506, "info"), (3507, "warning")])
def test_stale_max_mtu_that_hurts(mtu: int, severity: str) -> None:
    whole = pair(native(), {"max_mtu": 73138, "mtu": mtu})
    (finding,) = found("xdp-max-mtu-stale", whole)
    assert finding.severity == severity
    lower = ["ip netns exec pod1 ip link set dev eth0 mtu 3506"]
    assert finding.fix == (again("veth0", *lower[: severity == "warning"]),)
    assert (f"has MTU {mtu}, " in finding.summary) == (severity == "warning")


@pytest.mark.parametrize("dropped", [0, BAD, None])
def test_mismatch_that_has_dropped_nothing(dropped: Any) -> None:
    veth = None if dropped is None else Veth(dropped, 0)
    # What the other end has dropped was not too long.
    (finding,) = found(
        "mtu-mismatch", pair({"mtu": 9000, "veth": veth}, {"veth": Veth(5, 0)})
    )
    assert finding.severity == "info"
    assert finding.summary.endswith("larger packets would be lost in one direction")
    assert finding.evidence[-1] == ("dropped", dropped or 0)
    assert finding.undecided is None


def test_no_frags_before_there_were_any() -> None:
    old = kernel(xdp_frags=False)
    (finding,) = found("xdp-peer-mtu", pair(None, {"mtu": 9000}, kernel=old))
    assert finding.evidence == (("peer_mtu", 9000), ("max_mtu", 3506))


def test_max_mtu_that_is_too_small() -> None:
    (finding,) = found(
        "xdp-max-mtu-stale", pair(native(program=FRAGS), {"max_mtu": 3506})
    )
    assert finding.severity == "info"
    assert finding.fix == (again("veth0"),)


def test_program_that_could_not_be_attached_again_stays() -> None:
    """Its queues are too few by now."""
    overflow = {**native(), **queues(1, 1)}
    whole = pair(overflow, {**queues(2, 2), "max_mtu": 73138})
    (finding,) = found("xdp-max-mtu-stale", whole)
    assert finding.fix == () and finding.fix_effect is None
    (finding,) = found("xdp-max-mtu-stale", pair(native(), {"max_mtu": 73138}))
    assert finding.fix == (again("veth0"),)


def test_ports_whose_mtu_goes_down_as_well() -> None:
    port = {"master": BOND.ref, "mtu": 9000}
    bond = BOND._replace(mtu=9000)
    (finding,) = found("mtu-mismatch", pair(port, None, bond))
    assert finding.fix_effect == "lowers the MTU of all ports of bond0"
    (finding,) = found("mtu-mismatch", pair({"mtu": 9000}))
    assert finding.fix_effect is None
    first, second = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, bond))
    assert first.fix_effect == (
        "lowers the MTU of bond0 and all its ports and of eth0 (netns pod1)"
    )
    # One command where one bond has both.
    both = pair(port, {**port, "netns": HOST, "ifindex": 4}, bond)
    for finding in found("xdp-peer-mtu", both):
        assert finding.fix == ("ip link set dev bond0 mtu 3506",)
        assert finding.fix_effect == "lowers the MTU of bond0 and all its ports"


def test_devices_above_whose_mtu_goes_down_as_well() -> None:
    """A VLAN, a macvlan on it, and a bridge whose MTU was not set by hand."""
    port = {"mtu": 9000, "master": BR0.ref}
    on_bridge = device(HOST, 53, "br0.9", kind="vlan", mtu=9000)
    bridge = BR0._replace(mtu=9000, uppers=(on_bridge.ref,))
    vlan = device(HOST, 50, "veth0.7", kind="vlan", mtu=9000)
    over = device(HOST, 51, "mv0", kind="macvlan", mtu=9000)
    small = device(HOST, 52, "veth0.8", kind="vlan", mtu=1400)
    vlan = vlan._replace(uppers=(over.ref,))
    port["uppers"] = (bridge.ref, vlan.ref, small.ref)
    (finding,) = found(
        "mtu-mismatch", pair(port, None, bridge, vlan, over, small, on_bridge)
    )
    assert finding.fix == ("ip link set dev veth0 mtu 1500",)
    assert finding.fix_effect == (
        "lowers the MTU of veth0.7 and of mv0 and of br0 unless it was set by hand and "
        "of br0.9 unless it was set by hand"
    )


def test_ipv6_addresses_above_stay() -> None:
    """Those of a device whose MTU follows; the kernel announces no ipvlan's."""
    ipv6 = ("10.0.0.1/24", "fe80::1/64")
    for peer, fixed, changes in (
        (1200, False, {"kind": "vlan", "addresses": ipv6}),
        (1200, False, {"kind": "vlan", "addresses": BAD}),
        (1200, True, {"kind": "vlan", "addresses": ipv6[:1]}),
        # It is as small already.
        (1200, True, {"kind": "vlan", "addresses": ipv6, "mtu": 1200}),
        (1200, True, {"kind": "ipvlan", "addresses": ipv6}),
        (1280, True, {"kind": "vlan", "addresses": ipv6}),
        # Its tag and the ICV take 48 bytes.
        (1327, False, {"kind": "macsec", "addresses": ipv6}),
        (1328, True, {"kind": "macsec", "addresses": ipv6}),
    ):
        upper = device(HOST, 50, "above", **{"mtu": 1500, **changes})
        end = {"mtu": 1500, "uppers": (upper.ref,)}
        (finding,) = found("mtu-mismatch", pair(end, {"mtu": peer}, upper))
        assert bool(finding.fix) is fixed, changes


def test_ipv6_addresses_stay() -> None:
    """addrconf_ifdown() would take them below 1280 bytes."""
    for addresses, fixed in (
        (("10.0.0.1/24",), True),
        (("10.0.0.1/24", "fe80::1/64"), False),
        (BAD, False),
    ):
        end = {"mtu": 1500, "addresses": addresses}
        (finding,) = found("mtu-mismatch", pair(end, {"mtu": 1200}))
        assert bool(finding.fix) is fixed
        (finding,) = found("mtu-mismatch", pair(end, {"mtu": 1280}))
        assert finding.fix
