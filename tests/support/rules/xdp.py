# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in xdp.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Features, Veth, Xdp, XdpQueue

from tests.support.rules.case import DRV, Case
from tests.support.snapshots import (
    BAD,
    DOWN,
    GRO,
    NIC,
    POD,
    PROGRAM,
    STALE,
    TSO,
    WITH_XDP,
    native,
    pair,
    queues,
    rqs,
)

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "xdp-queue-without-program": Case(
        pair(
            {
                **queues(4, 1),
                "xdp": Xdp(
                    None,
                    PROGRAM,
                    None,
                    (
                        *rqs(True, True, prog=7),
                        XdpQueue(2, None, True),
                        XdpQueue(3, None, True),
                    ),
                ),
            }
        ),
        "error",
        "veth0",
        "rx-2-3 of 4 real RX queues run no program: their packets bypass the native "
        "program",
        (
            ("xdp_state[XDP_MODE_DRV] prog_id", 7),
            ("real_num_rx_queues", 4),
            ("rq[].xdp_prog == NULL", "2-3"),
            ("rq[].napi != NULL", "2-3"),
        ),
        KernelAnswer("veth_set_channels"),
        ("ethtool -L veth0 rx 2",),
        [
            pair({**queues(4, 1), **native(True, True, True, True)}),
            pair({**queues(2, 1), **native(False, False)}),
            pair(
                {
                    "flags": DOWN,
                    "xdp": Xdp(None, PROGRAM, None, (XdpQueue(0, None, True),)),
                }
            ),
            # NAPI for GRO alone.
            pair({"xdp": Xdp(None, None, None, (XdpQueue(0, None, True),))}),
        ],
        [
            (pair({"xdp": Xdp(None, PROGRAM, None, BAD)}), "rq", {"xdp-tx-lost"}),
            (
                pair({"xdp": Xdp(None, PROGRAM, None, (XdpQueue(0, None, BAD),))}),
                "rq[].napi",
            ),
            (
                pair({"xdp": Xdp(None, PROGRAM, None, (XdpQueue(0, BAD, True),))}),
                "rq[].xdp_prog",
            ),
            (pair({**native(), "flags": BAD}), "flags", {"peer-down", "xdp-tx-lost"}),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]", DRV),
        ],
    ),
    "xdp-stale-program": Case(
        pair({**queues(1, 1, 4, 4), **native(), "veth": STALE}),
        "warning",
        "veth0",
        "unused rx-1-2 still have a program: once in use again, they run it, even if "
        "it was freed",
        (
            ("real_num_rx_queues", 1),
            ("rq[].xdp_prog", ("rx-1: 0x77", "rx-2: 0x77")),
            ("_xdp_prog", "0x77"),
        ),
        KernelAnswer("veth_set_channels"),
        (),
        [
            pair({**queues(1, 1, 4, 4), **native(), "veth": Veth(0, 0x77)}),
            pair({**queues(4, 4), "veth": Veth(0, 0, stale=BAD)}),
        ],
        [
            (
                pair({**queues(1, 1, 4, 4), "veth": Veth(0, 0, stale=BAD)}),
                "rq[].xdp_prog",
            )
        ],
    ),
    "xdp-queue-overflow": Case(
        pair({**queues(1, 1, 4, 4), **native()}, queues(2, 3)),
        "error",
        "veth0",
        "packets from 2 of the 3 TX queues of peer eth0 (netns pod1) bypass the native "
        "program: only 1 real RX queue here",
        (("real_num_rx_queues", 1), ("peer_real_num_tx_queues", 3)),
        KernelAnswer("veth_xmit"),
        ("ip netns exec pod1 ethtool -L eth0 tx 1",),
        [
            pair({**queues(3, 1, 4, 4), **native()}, queues(2, 3)),
            pair({**queues(1, 1, 4, 4)}, queues(2, 3)),
            pair(native(), {"features": Features(GRO, GRO, None)}),
            pair(None, {"features": Features(TSO, TSO, None)}),
        ],
        [
            (
                pair(native(), queues(1, BAD, None, 1)),
                "peer_real_num_tx_queues",
                {"queues-cpus", "queues-one-sided", "xdp-native-queues"},
            ),
            (
                pair(native(), {"features": Features(BAD, 0, None)}),
                "peer_features",
                {"xdp-gro-off", "xdp-unfinished-checksum"},
            ),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]", DRV),
        ],
    ),
    "xdp-tx-lost": Case(
        pair(native(True, True, errors=10), {"xdp": Xdp(None, None, None, rqs(False))}),
        "warning",
        "veth0",
        "XDP_TX has lost 20 packets so far: peer eth0 (netns pod1) has no native "
        "program",
        (
            ("rq[].stats.vs.xdp_tx_err", 20),
            ("peer_rq[].xdp_prog != NULL", 0),
            ("peer_rq[].napi != NULL", 0),
            ("peer_rq[].xdp_ring waits", ()),
        ),
        KernelAnswer("veth_xdp_xmit", "ENXIO"),
        (),
        [
            pair(native(errors=10), native()),
            pair({"xdp": Xdp(None, None, None, rqs(True, errors=10))}),
            pair({**native(errors=10), "flags": DOWN}),
            pair(native(errors=10), {"flags": DOWN}),
        ],
        [
            (pair(native(), {"xdp": Xdp(None, None, None, BAD)}), "peer_rq"),
            (
                pair(native(), {"xdp": Xdp(None, None, None, rqs(BAD, prog=None))}),
                "peer_rq[].napi",
            ),
            (
                pair(native(), {"xdp": Xdp(None, None, None, rqs(True, prog=BAD))}),
                "peer_rq[].xdp_prog",
            ),
            (pair(native(), {"flags": BAD}), "peer_flags", {"peer-down"}),
        ],
    ),
    "xdp-redirect-not-ready": Case(
        pair({"features": Features(0, 0, 0)}, None, NIC._replace(xdp=WITH_XDP)),
        "info",
        "veth0",
        "XDP_REDIRECT to it loses packets, and native programs run in its namespace: "
        "peer eth0 (netns pod1) has no NAPI",
        (("xdp_features", "0x0"), ("peer_rq[].napi != NULL", 0)),
        KernelAnswer("__xdp_enqueue", "EOPNOTSUPP"),
        ("ip netns exec pod1 ethtool -K eth0 gro on",),
        [
            pair(
                {"features": Features(0, 0, 4)},
                {"xdp": Xdp(None, None, None, rqs(True))},
                NIC._replace(xdp=WITH_XDP),
            ),
            pair({"features": Features(0, 0, 0)}, None, NIC),
            pair(native()),
            pair({"flags": DOWN}, None, NIC._replace(xdp=WITH_XDP)),
            pair(
                {"features": Features(0, 0, 0)},
                None,
                NIC._replace(xdp=WITH_XDP, netns=POD + 1),
            ),
        ],
        [
            (
                pair(
                    {"features": Features(0, 0, BAD)}, None, NIC._replace(xdp=WITH_XDP)
                ),
                "xdp_features",
            ),
            (
                pair(
                    None,
                    {"xdp": Xdp(None, None, None, BAD)},
                    NIC._replace(xdp=WITH_XDP),
                ),
                "peer_rq",
            ),
        ],
    ),
}
