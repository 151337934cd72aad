# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in rps_unset.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer

from tests.support.rules.case import MASKS, Case
from tests.support.snapshots import BAD, BR0, TARGET, kernel, pair, queues, rps

__all__ = ("CASES",)

_RFS = TARGET._replace(rps_sock_flow_entries=1024)
_FOUR = queues(4, 4)
_WITHOUT = pair(_FOUR, {**_FOUR, **rps((0, 1), (), (), ())})

CASES: dict[str, Case] = {
    "rps-queue-without-mask": Case(
        _WITHOUT,
        "warning",
        "eth0",
        "RPS does not steer packets from TX queues 2-3 (2 of 4) of peer veth0 (netns "
        "host): the kernel takes them for packets of rx-1-2, which have no mask",
        (
            ("real_num_rx_queues", 4),
            ("peer_real_num_tx_queues", 4),
            ("rps_map", "rx0:0-1"),
        ),
        KernelAnswer("get_rps_cpu"),
        (
            (
                "ip netns exec pod1 sh -c "
                '\'for f in "$0"/rx-*/rps_cpus; do echo 3 >"$f"; done\' '
                "/sys/class/net/eth0/queues"
            ),
        ),
        [
            # TX queue 1 counts for rx-0.
            pair(queues(4, 2), {**_FOUR, **rps((0, 1), (), (), ())}),
            pair(_FOUR, {**_FOUR, **rps((0,), (0,), (0,), ())}),
            # No TX queue is steered, which is another rule's.
            pair(_FOUR, {**_FOUR, **rps((), (), (), (1,))}),
            pair(_FOUR, {**_FOUR, **rps((), (), (), ())}),
            pair(_FOUR, {**_FOUR, **rps((0,), (), (), (), flows=64)}, target=_RFS),
        ],
        [
            (
                pair(_FOUR, {**_FOUR, **rps((0,), BAD, (0,), ())}),
                "rps_map",
                {"rps-cpu-offline"},
            ),
            (
                pair(_FOUR, {**_FOUR, **rps((0,), BAD, (0,), (0,))}),
                "rps_map",
                {"rps-cpu-offline", "rps-queue-off-by-one"},
            ),
            # All that are not known may be without, too: another rule's.
            (
                pair(_FOUR, {**_FOUR, **rps(BAD, (), (), (0,))}),
                "rps_map",
                {"rps-cpu-offline", "rps-which-end"},
            ),
            (pair(_FOUR, {**_FOUR, "rps": BAD}), "_rx[]", MASKS),
            (
                _WITHOUT._replace(kernel=kernel(records_rx_queue=BAD)),
                "whether veth_xmit() records the RX queue",
                {"rps-queue-off-by-one"},
            ),
        ],
        fix_effect="writes 3 (CPUs 0-1), the union of all masks, to all 4 RX queues",
    ),
    "rfs-half-set": Case(
        pair(b={**queues(2, 2), **rps((), (), flows=512)}),
        "warning",
        "eth0",
        "RFS does nothing: rx-0-1 have flow tables, but the global table is missing "
        "(net.core.rps_sock_flow_entries is 0)",
        (("rps_flow_table", "512"), ("rps_sock_flow_table", 0)),
        KernelAnswer("get_rps_cpu"),
        ("sysctl -w net.core.rps_sock_flow_entries=32768",),
        [
            pair(b=rps((), flows=512), target=_RFS),
            pair(b=rps((0,))),
            # Another device has a flow table.
            pair(
                *(None, rps((0,)), BR0._replace(**rps((), flows=64))),
                target=_RFS,
            ),
        ],
        [
            (
                pair(
                    b=rps((), flows=512),
                    target=TARGET._replace(rps_sock_flow_entries=BAD),
                ),
                "rps_sock_flow_table",
            ),
            (pair(b={"rps": BAD}), "_rx[]", MASKS),
        ],
        fix_effect="turns RFS on for every RX queue that has a flow table",
    ),
}
