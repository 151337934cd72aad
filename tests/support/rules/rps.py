# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in rps.py."""

from typing import Dict

from drgn_veth.analysis.rules.finding import KernelAnswer

from tests.support.rules.case import Case
from tests.support.snapshots import BAD, BR0, TARGET, generic, pair, queues, rps

__all__ = ("CASES",)

CASES: Dict[str, Case] = {
    "rps-queue-out-of-range": Case(
        pair(queues(4, 4), {**queues(2, 2), **rps((0, 2, 3), ())}),
        "warning",
        "eth0",
        "RPS leaves out what comes from 1 of 4 TX queues of its peer veth0 (netns "
        "4026531840): 2 real RX queues here",
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
            (pair(queues(4, 4), {**queues(2, 2), **rps((), BAD)}), "rps_map"),
            (pair(queues(4, 4), {**queues(2, 2), "rps": BAD}), "_rx[]"),
            (
                pair(
                    queues(4, 4),
                    {**queues(2, 2), **rps((), (), flows=64)},
                    target=TARGET._replace(rps_sock_flow_entries=BAD),
                ),
                "rps_sock_flow_table",
            ),
        ],
    ),
    "rps-queue-off-by-one": Case(
        pair(queues(2, 2), {**queues(2, 2), **rps((0, 3), (33,))}),
        "warning",
        "eth0",
        "packets of TX queue 1 of its peer veth0 (netns 4026531840) are steered by "
        "rx-0 (CPUs 0,3), not by rx-1 (CPU 33)",
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
            (pair(queues(1, 1), {**queues(2, 2), **rps(BAD, (0,))}), "rps_map"),
            (pair(queues(2, 2), {**queues(2, 2), **rps((0, 3), BAD)}), "rps_map"),
            (pair(queues(2, 2), {**queues(2, 2), "rps": BAD}), "_rx[]"),
        ],
        fix_effect="writes 2,00000009 (CPUs 0,3,33), the union of all masks, to each "
        "of 2 RX queues",
    ),
    "rps-which-end": Case(
        pair(b={**rps((0, 1))}),
        "info",
        "eth0",
        "its RPS (0-1) steers what its peer veth0 (netns 4026531840) sends; what it "
        "sends itself is steered by that of its peer (none)",
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
            (pair(b={"rps": BAD}), "_rx[]"),
            (pair(b=rps(BAD)), "rps_map"),
            (
                pair(queues(1, BAD, 1, 1), {**queues(2, 2), **rps((), (0,))}),
                "peer_real_num_tx_queues",
            ),
        ],
    ),
    "generic-xdp-cpu": Case(
        pair(None, None, BR0._replace(**generic(), **rps((0, 1)))),
        "info",
        "br0",
        "its generic program runs after RPS: on CPUs 0-1, and where a packet is not "
        "steered on the CPU that has it",
        (("prog_id", 7), ("rps_map", "0-1")),
        KernelAnswer("__netif_receive_skb_core"),
        (),
        [
            pair(None, None, BR0._replace(**generic())),
            pair(None, None, BR0._replace(**generic(None), **rps((0, 1)))),
            pair(None, None, BR0._replace(kind="tun", **generic(), **rps((0, 1)))),
            pair(b={**queues(2, 2), **generic(), **rps((), (0, 1))}),
        ],
        [
            (
                pair(None, None, BR0._replace(**generic(BAD), **rps((0, 1)))),
                "xdp_state[XDP_MODE_SKB]",
            )
        ],
    ),
}
