# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces and devices as a tree."""

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import Veth
from drgn_veth.render.style import Style
from drgn_veth.render.tree import tree

from tests.support.snapshots import BAD, BOND, BR0, HOST, device, generic, pair


def test_tree() -> None:
    port = device(HOST, 12, "eth1", kind=None, master=BOND.ref)
    bond = BOND._replace(net_device=BOND.net_device, master=BR0.ref)
    bridge = BR0._replace(ifindex=8, net_device=8)
    bond = bond._replace(master=bridge.ref)
    whole = pair(
        {"mtu": 9000, "veth": Veth(1, 0), **generic()}, None, bridge, bond, port
    )
    lines = tree(whole, diagnose(whole), Style(encoding="ascii"))
    assert lines == [
        "host 4026531840: 4 devices",
        "W +- veth0 <-> eth0 (pod1) XDP generic p#7",
        "  +- br0 (bridge)",
        "     +- bond0 (bond)",
        "        +- eth1",
        "pod1 4026532281: 1 device",
        "  +- eth0 <-> veth0 (host)",
    ]
    boxes = tree(whole)
    assert boxes[1].startswith("  \u251c\u2500 veth0 <-> eth0 (pod1)")
    assert boxes[4] == "        \u2514\u2500 eth1"


def test_masters_of_each_other() -> None:
    """In a damaged dump: each device is there once."""
    one, other = device(HOST, 13, "a"), device(HOST, 14, "b")
    one, other = one._replace(master=other.ref), other._replace(master=one.ref)
    whole = pair(None, None, one, other, device(HOST, 15, "c", master=BAD))
    lines = tree(whole)
    for name in ("a", "b", "c", "veth0", "eth0"):
        assert sum(f"\u2500 {name} " in f"{line} " for line in lines) == 1


def test_devices_of_no_namespace() -> None:
    whole = pair()
    lines = tree(whole._replace(namespaces=whole.namespaces[:1]))
    assert lines[-2:] == [
        "no namespace that is known",
        "  \u2514\u2500 eth0 <-> veth0 (host)",
    ]
