# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in queues.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer

from tests.support.rules.case import DRV, PEER, Case
from tests.support.snapshots import (
    BAD,
    CHANNELS,
    MANY_CPUS,
    OLD,
    TARGET,
    native,
    pair,
    queues,
)

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "xdp-native-queues": Case(
        pair(queues(14, 14), queues(48, 48)),
        "info",
        "veth0",
        "native XDP would be refused: only 14 real RX queues here, but peer eth0 "
        "(netns pod1) has 48 real TX queues",
        (("real_num_rx_queues", 14), ("peer_real_num_tx_queues", 48)),
        KernelAnswer(
            "veth_xdp_set",
            "ENOSPC",
            "veth: XDP expects number of rx queues not less than peer tx queues",
        ),
        ("ip netns exec pod1 ethtool -L eth0 tx 14",),
        [
            pair(queues(14, 14), queues(48, 14, 48, 48)),
            pair(queues(48, 14), queues(14, 48)),
            pair({**queues(14, 14), **native()}, queues(48, 48)),
            pair({**queues(14, 14), "kind": "dummy", "peer": None}, queues(48, 48)),
        ],
        [
            (
                pair(queues(BAD, 14), queues(48, 48)),
                "real_num_rx_queues",
                {"queues-cpus", "queues-one-sided", "veth-poll-out-of-range"},
            ),
            (
                pair(queues(14, 14), queues(48, BAD, None, 48)),
                "peer_real_num_tx_queues",
                {"queues-cpus", "queues-one-sided"},
            ),
            (
                pair({**queues(1, 1), **native(program=BAD)}, queues(4, 4)),
                "xdp_state[XDP_MODE_DRV]",
                DRV,
            ),
            (pair({"peer": BAD}), "peer", PEER),
        ],
    ),
    "queues-one-sided": Case(
        pair(queues(2, 3), queues(4, 4)),
        "info",
        "eth0",
        "queue counts differ: 4 real RX queues and 4 TX here (one for each of 4 "
        "possible CPUs), but peer veth0 (netns host) has 2 and 3, as if counts "
        "were given for one end only",
        (
            ("real_num_rx_queues", 4),
            ("real_num_tx_queues", 4),
            ("num_rx_queues", 4),
            ("num_tx_queues", 4),
            ("peer_real_num_rx_queues", 2),
            ("peer_real_num_tx_queues", 3),
            ("peer_num_rx_queues", 2),
            ("peer_num_tx_queues", 3),
            ("possible_cpus", 4),
        ),
        None,
        ("ip netns exec pod1 ethtool -L eth0 rx 2 tx 3",),
        [
            pair(queues(2, 3), queues(5, 4)),
            pair(queues(4, 4), queues(4, 4)),
            pair(queues(1, 1, 4, 4), queues(1, 1, 4, 4)),
            pair(queues(2, 3), queues(4, 4), target=TARGET._replace(possible_cpus=5)),
            pair(queues(2, 3), {**queues(4, 4), **OLD}),
        ],
        [
            (
                pair(
                    queues(2, 3),
                    {**queues(4, 4), "driver": CHANNELS._replace(set_channels=BAD)},
                ),
                "ethtool_ops->set_channels",
            ),
            (
                pair(queues(2, 3), queues(4, BAD, 4, 4)),
                "peer_real_num_tx_queues",
                {"queues-cpus", "xdp-native-queues"},
            ),
            (
                pair(
                    queues(2, 3),
                    queues(4, 4),
                    target=TARGET._replace(possible_cpus=BAD),
                ),
                "possible_cpus",
                {"queues-cpus"},
            ),
        ],
    ),
    "queues-cpus": Case(
        pair(queues(1, 5), queues(1, 1)),
        "info",
        "veth0",
        "1 real RX queue and 5 TX for 4 possible CPUs: more queues than there are "
        "CPUs to serve them",
        (
            ("real_num_rx_queues", 1),
            ("real_num_tx_queues", 5),
            ("peer_real_num_rx_queues", 1),
            ("peer_real_num_tx_queues", 1),
            ("possible_cpus", 4),
        ),
        None,
        (),
        [
            pair(queues(1, 4), queues(1, 1)),
            pair({**queues(4, 4), **native()}, queues(4, 4)),
            # More than are online now, and fewer than there could be.
            pair(queues(1, 5), target=MANY_CPUS),
            pair({**queues(4, 4), **native()}, queues(4, 4), target=MANY_CPUS),
        ],
        [
            (
                pair(queues(BAD, 4), queues(4, 4)),
                "real_num_rx_queues",
                {"queues-one-sided", "veth-poll-out-of-range", "xdp-native-queues"},
            ),
            (
                pair(queues(1, 2), target=TARGET._replace(possible_cpus=BAD)),
                "possible_cpus",
                {"queues-one-sided"},
            ),
            (pair(native(), target=TARGET._replace(online_cpus=BAD)), "online_cpus"),
        ],
    ),
}
