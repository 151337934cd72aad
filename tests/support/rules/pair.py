# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in pair.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer

from tests.support.rules.case import Case
from tests.support.snapshots import BAD, BR0, DOWN, pair

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "peer-down": Case(
        pair({"operstate": "LOWERLAYERDOWN"}, {"flags": DOWN}),
        "warning",
        "veth0",
        "it is up, but its peer eth0 (netns pod1) is down: no carrier, no traffic",
        (
            ("flags & IFF_UP", 1),
            ("peer_flags & IFF_UP", 0),
            ("operstate", "LOWERLAYERDOWN"),
        ),
        None,
        ("ip netns exec pod1 ip link set dev eth0 up",),
        [
            pair(),
            pair({"flags": DOWN}, {"flags": DOWN}),
            pair(None, {"flags": DOWN, "off_list": "netns is dying"}),
            pair(None, None, BR0._replace(flags=DOWN)),
        ],
        [(pair({"flags": BAD}), "flags"), (pair(None, {"flags": BAD}), "peer_flags")],
    ),
    "no-peer": Case(
        pair({"peer": None}),
        "error",
        "veth0",
        "this veth has no peer",
        (("peer", None),),
        KernelAnswer(
            "veth_xdp_set", "ENOTCONN", "veth: Cannot set XDP when peer is detached"
        ),
        (),
        [
            pair(),
            pair({"peer": None, "off_list": "it is being unregistered"}),
            pair({"peer": None, "kind": "dummy"}),
            pair({"peer": None}, kind="netkit"),
            pair({"peer": BAD}),
        ],
    ),
}
