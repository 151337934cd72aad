# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in rps.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer

from tests.support.rules.case import MASK, MASKS, SKB, Case
from tests.support.snapshots import BAD, BR0, TARGET, generic, pair, queues, rps

__all__ = ("CASES",)

CASES: dict[str, Case] = {
    "rps-queue-out-of-range": Case(
        pair(queues(4, 4), {**queues(2, 2), **rps((0, 2, 3), ())}),
        "warning",
        "eth0",
        "RPS skips packets from TX queue 3 (1 of 4) of peer veth0 (netns host): "
        "only 2 RX queues here",
        (
            ("real_num_rx_queues", 2),
            ("peer_real_num_tx_queues", 4),
            ("rps_map", "rx0:0,2-3"),
        ),
        KernelAnswer(
            "get_rps_cpu",
            None,
            "eth0 received packet on queue 2, but number of RX queues is 2",
        ),
        ("ethtool -L veth0 tx 2",),
        [
            pair(queues(4, 3, 4, 4), {**queues(2, 2), **rps((0, 2, 3), ())}),
            pair(queues(4, 4), {**queues(2, 2), **rps((), ())}),
            # RFS takes both tables.
            pair(queues(4, 4), {**queues(2, 2), **rps((), (), flows=64)}),
            pair(
                queues(4, 4),
                {**queues(2, 2), **rps((0,), ()), "kind": "dummy", "peer": None},
            ),
        ],
        [
            (
                pair(queues(4, 4), {**queues(2, 2), **rps((), BAD)}),
                "rps_map",
                MASK | {"rps-queue-off-by-one"},
            ),
            (pair(queues(4, 4), {**queues(2, 2), "rps": BAD}), "_rx[]", MASKS),
            (
                pair(
                    queues(4, 4),
                    {**queues(2, 2), **rps((), (), flows=64)},
                    target=TARGET._replace(rps_sock_flow_entries=BAD),
                ),
                "rps_sock_flow_table",
                {"rfs-half-set"},
            ),
        ],
    ),
    "rps-queue-off-by-one": Case(
        pair(queues(2, 2), {**queues(2, 2), **rps((0, 3), (33,))}),
        "warning",
        "eth0",
        "rx-0 (CPUs 0,3), not rx-1 (CPU 33), steers packets from TX queue 1 of peer "
        "veth0 (netns host)",
        (
            ("real_num_rx_queues", 2),
            ("peer_real_num_tx_queues", 2),
            ("rps_map", "rx0:0,3 rx1:33"),
        ),
        KernelAnswer("get_rps_cpu"),
        (
            (
                "ip netns exec pod1 sh -c "
                '\'for f in "$0"/rx-*/rps_cpus; do echo 2,00000009 >"$f"; done\' '
                "/sys/class/net/eth0/queues"
            ),
        ),
        [
            pair(queues(2, 2), {**queues(2, 2), **rps((0, 3), (0, 3))}),
            pair(queues(1, 1), {**queues(1, 1), **rps((0, 3))}),
            # rx-2 serves TX queue 3, which is not there.
            pair(queues(2, 2), {**queues(3, 2), **rps((1,), (1,), ())}),
            pair(queues(1, 1), {**queues(3, 2), **rps((), (), ())}),
            pair(queues(1, 1), {**queues(3, 2), **rps((1,), (), (1,))}),
            # Nobody can say what it serves.
            pair(queues(1, 1), {**queues(2, 2), **rps(BAD, ())}),
        ],
        [
            (pair(queues(1, 1), {**queues(2, 2), **rps((0,), BAD)}), "rps_map"),
            (
                pair(queues(1, 1), {**queues(2, 2), **rps(BAD, (0,))}),
                "rps_map",
                {
                    "rps-cpu-offline",
                    "rps-which-end",
                },
            ),
            (pair(queues(2, 2), {**queues(2, 2), **rps((0, 3), BAD)}), "rps_map"),
            (pair(queues(2, 2), {**queues(2, 2), "rps": BAD}), "_rx[]", MASKS),
        ],
        fix_effect="writes 2,00000009 (CPUs 0,3,33), the union of all masks, to all 2 "
        "RX queues",
    ),
    "rps-which-end": Case(
        pair(b={**rps((0, 1))}),
        "info",
        "eth0",
        "its RPS (0-1) steers what peer veth0 (netns host) sends; the peer's RPS "
        "(none) steers what this end sends",
        (("rps_map", "0-1"), ("peer_rps_map", "")),
        KernelAnswer("get_rps_cpu"),
        (),
        [
            pair(rps((0, 1)), rps((0, 1))),
            pair(),
            pair(None, None, BR0._replace(**rps((0, 1)))),
            # rx-1 is nobody's.
            pair(b={**queues(2, 2), **rps((), (0, 1))}),
            pair(rps((0,)), {**queues(2, 2), **rps((0,), (1,))}),
        ],
        [
            (pair(b={"rps": BAD}), "_rx[]", MASKS),
            (pair(b=rps(BAD)), "rps_map", MASK),
            (
                pair(queues(1, BAD, 1, 1), {**queues(2, 2), **rps((), (0,))}),
                "peer_real_num_tx_queues",
                MASK
                | {
                    "queues-cpus",
                    "queues-one-sided",
                    "rps-queue-off-by-one",
                    "rps-queue-out-of-range",
                    "xdp-native-queues",
                },
            ),
        ],
    ),
    "generic-xdp-cpu": Case(
        pair(None, None, BR0._replace(**generic(), **rps((0, 1)))),
        "info",
        "br0",
        "its generic program runs on the CPUs that RPS picks (0-1), or on the "
        "receiving CPU if RPS skips the packet",
        (("prog_id", 7), ("rps_map", "0-1")),
        KernelAnswer("__netif_receive_skb_core"),
        (),
        [
            pair(None, None, BR0._replace(**generic())),
            pair(None, None, BR0._replace(**generic(None), **rps((0, 1)))),
            # RPS of the device below decides.
            pair(None, None, BR0._replace(kind="bond", **generic(), **rps((0, 1)))),
            pair(b={**queues(2, 2), **generic(), **rps((), (0, 1))}),
        ],
        [
            (
                pair(None, None, BR0._replace(**generic(BAD), **rps((0, 1)))),
                "xdp_state[XDP_MODE_SKB]",
                SKB,
            )
        ],
    ),
}
