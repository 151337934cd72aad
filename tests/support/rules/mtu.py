# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in mtu.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Veth

from tests.support.rules.case import AGAIN, PEER, Case, again
from tests.support.snapshots import BAD, DOWN, FRAGS, PROGRAM, kernel, native, pair

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "xdp-peer-mtu": Case(
        pair({"mtu": 1500}, {"mtu": 3507}),
        "info",
        "veth0",
        "native XDP would be refused: peer eth0 (netns pod1) has MTU 3507, the limit "
        "is 3506 (73138 for a program that supports fragments)",
        (("peer_mtu", 3507), ("max_mtu", 3506), ("max_mtu with frags", 73138)),
        KernelAnswer(
            "veth_xdp_set", "ERANGE", "veth: Peer MTU is too large to set XDP"
        ),
        ("ip netns exec pod1 ip link set dev eth0 mtu 1500",),
        [
            pair({"mtu": 1500}, {"mtu": 3506}),
            pair({"mtu": 3507}, {"mtu": 1500, "kind": "dummy", "peer": None}),
            pair(native(), {"mtu": 3507}),
            pair(None, {"mtu": 3507}, kernel=kernel(page_size=8192)),
        ],
        [
            (pair(None, {"mtu": BAD}), "peer_mtu", {"mtu-mismatch"}),
            (pair(None, {"hard_header_len": BAD}), "peer_hard_header_len"),
            (pair({"peer": BAD}), "peer", PEER),
        ],
    ),
    "mtu-frozen": Case(
        pair(native(), {"max_mtu": 3506}),
        "info",
        "veth0",
        "its native program limits the MTU of peer eth0 (netns pod1) to 3506",
        (("peer_max_mtu", 3506), ("peer_mtu", 1500)),
        KernelAnswer("dev_validate_mtu", "EINVAL", "mtu greater than device maximum"),
        (),
        [
            pair(native(), {"max_mtu": 65535}),
            pair(None, {"max_mtu": 3506}),
            # xdp-max-mtu-stale says it.
            pair(native(), {"max_mtu": 9000}),
        ],
        [(pair(native(), {"max_mtu": BAD}), "peer_max_mtu", {"xdp-max-mtu-stale"})],
    ),
    "xdp-max-mtu-stale": Case(
        pair(native(), {"max_mtu": 73138, "mtu": 9000}),
        "warning",
        "veth0",
        "peer eth0 (netns pod1) has MTU 9000, but the native program does not support "
        "fragments: the limit should be 3506",
        (
            ("xdp_has_frags", False),
            ("peer_max_mtu", 73138),
            ("max_mtu", 3506),
            ("peer_mtu", 9000),
        ),
        KernelAnswer("veth_xdp_set"),
        (again("veth0", "ip netns exec pod1 ip link set dev eth0 mtu 3506"),),
        [
            pair(native(), {"max_mtu": 3506}),
            pair(native(program=FRAGS), {"max_mtu": 73138, "mtu": 9000}),
            pair(None, {"max_mtu": 73138, "mtu": 9000}),
        ],
        [
            (
                pair(native(program=PROGRAM._replace(frags=BAD)), {"max_mtu": 3506}),
                "xdp_has_frags",
            ),
            (pair(native(), {"max_mtu": BAD}), "peer_max_mtu", {"mtu-frozen"}),
            (
                pair(native(), kernel=kernel(net_ip_align=BAD)),
                "max_mtu",
                {"xdp-peer-mtu"},
            ),
            (pair(native(), kernel=None), "kernel", {"xdp-peer-mtu"}),
        ],
        fix_effect=f"lowers the MTU of eth0 (netns pod1), {AGAIN}",
    ),
    "mtu-mismatch": Case(
        pair({"mtu": 9000, "veth": Veth(12, 0)}),
        "warning",
        "veth0",
        "its MTU is 9000, but peer eth0 (netns pod1) has 1500: larger packets are lost "
        "in one direction, up to 12 so far",
        (("mtu", 9000), ("peer_mtu", 1500), ("dropped", 12)),
        KernelAnswer("__is_skb_forwardable"),
        ("ip link set dev veth0 mtu 1500",),
        [
            pair({"mtu": 1500, "veth": Veth(12, 0)}),
            pair({"mtu": 9000, "flags": DOWN}, {"flags": DOWN}),
            pair({"mtu": 9000}, {"flags": DOWN}),
            pair({"mtu": 9000}, kind="netkit"),
            # Room for a VLAN tag.
            pair({"mtu": 1504, "veth": Veth(12, 0)}),
        ],
        [
            (pair({"mtu": BAD}), "mtu", {"xdp-peer-mtu"}),
            (pair({"mtu": 9000}, {"mtu": BAD}), "peer_mtu", {"xdp-peer-mtu"}),
            (pair({"mtu": 9000}, {"flags": BAD}), "peer_flags", {"peer-down"}),
        ],
    ),
}
