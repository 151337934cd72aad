# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a report says that it lacks."""

from drgn_veth.analysis.missing import missing_from
from drgn_veth.core.driver_counters import no_driver_counters
from drgn_veth.core.module_types import module_without_types, no_module_types
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Bond, Device
from drgn_veth.render import head

from tests.support.snapshots import BAD, HOST, device, snapshot


def without(type: str, module: str) -> Unreadable:
    return Unreadable(no_module_types(type, module))


NO_BONDING = without("struct bonding", "bonding")
NO_IPVLAN = without("struct ipvl_dev", "ipvlan")
NO_VETH = without("struct veth_priv", "veth")


def bond(ifindex: int) -> Device:
    slaves = ()
    return device(HOST, ifindex, f"b{ifindex}", bond=Bond(NO_BONDING, BAD, slaves))


def test_reason_names_the_module() -> None:
    assert module_without_types(NO_BONDING.reason) == "bonding"
    assert module_without_types(BAD.reason) is None
    assert module_without_types("no type struct bonding") is None


def test_nothing() -> None:
    whole = snapshot(device(HOST, 1, "a"))
    missing = missing_from(whole)
    assert (missing.brief(), missing.line()) == ("", None)
    assert head.totals(whole)[-1].endswith("RPS: none")


def test_types_of_modules_are_no_damage() -> None:
    lacking = snapshot(bond(1), bond(2), device(HOST, 3, "c", ipvlan=NO_IPVLAN))
    missing = missing_from(lacking)
    assert missing.brief() == "no types of bonding, ipvlan"
    assert missing.line() == (
        "partial report: 3 values missing: no types of bonding, ipvlan "
        "(drgn -s vmlinux -s .../bonding.ko loads them)"
    )
    assert head.totals(lacking)[-1] == "  no types of bonding, ipvlan"


def test_what_only_a_driver_knows_is_no_damage() -> None:
    """A node with a NIC that is not modelled has a whole report."""
    for driver in ("mlx5_core", None):
        stats = Unreadable(no_driver_counters(driver))
        missing = missing_from(snapshot(device(HOST, 2, "eth0", stats=stats)))
        assert (missing.brief(), missing.line()) == ("", None)
    lost = missing_from(snapshot(device(HOST, 2, "eth0", stats=BAD)))
    assert lost.brief() == "1 value unreadable"


def test_damage_comes_first() -> None:
    both = snapshot(bond(1), device(HOST, 3, "c", mtu=BAD))
    missing = missing_from(both)
    assert missing.brief() == "1 value unreadable; no types of bonding"
    line = missing.line()
    assert line is not None
    start, end = line.split("; 1 value missing: ")
    assert BAD.reason in start and "(4026531840, 3)].mtu" in start
    assert end.startswith("no types of bonding (")


def test_veth_is_needed() -> None:
    """Without its types, there is not much of a report."""
    lacking = snapshot(device(HOST, 1, "a", peer=NO_VETH))
    assert missing_from(lacking).brief() == "1 value unreadable"
    line = missing_from(lacking).line()
    assert line is not None and "struct veth_priv" in line
