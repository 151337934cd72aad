# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rule in xdp_gro.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Features

from tests.support.rules.case import DRV, Case
from tests.support.snapshots import BAD, GRO, TSO, generic, native, pair

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "xdp-gro-off": Case(
        pair({**native(), "features": Features(TSO, TSO, 0)}),
        "info",
        "veth0",
        "peer eth0 (netns pod1) sends TCP in packets of its MTU, and nothing merges "
        "them behind the native program: GRO is off",
        (("features & NETIF_F_GRO", 0), ("peer_features & NETIF_F_ALL_TSO", "0x0")),
        KernelAnswer("veth_xdp_rcv"),
        ("ethtool -K veth0 gro on",),
        [
            pair({**native(), "features": Features(GRO, 0, 0)}),
            pair(generic()),
            pair(),
        ],
        [
            (pair({**native(), "features": Features(BAD, 0, 0)}), "features"),
            (
                pair(native(), {"features": Features(BAD, 0, 0)}),
                "peer_features",
                {"xdp-queue-overflow", "xdp-unfinished-checksum"},
            ),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]", DRV),
        ],
    ),
}
