# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in rps_online.py."""

from drgn_veth.analysis.rules.finding import KernelAnswer, Undo

from tests.support.rules.case import MASK, MASKS, Case
from tests.support.snapshots import BAD, BR0, DOWN, TARGET, pair, queues, rps

__all__ = ("CASES",)

_OFF = TARGET._replace(online_cpus=(0, 1, 3))
_ISOLATED = TARGET._replace(isolated_cpus=(3,))
_MANY = TARGET._replace(possible_cpus=36, online_cpus=tuple(range(36)))
_FIRST = tuple(range(32))


def _write(*masks: str) -> str:
    words = " && ".join(
        f'echo {mask} >"$0"/rx-{i}/rps_cpus' for i, mask in enumerate(masks)
    )
    return f"ip netns exec pod1 sh -c '{words}' /sys/class/net/eth0/queues"


CASES: dict[str, Case] = {
    "rps-cpu-offline": Case(
        pair(queues(2, 2), {**queues(2, 2), **rps((2,), (0, 2))}, target=_OFF),
        "warning",
        "eth0",
        "its RPS steers nothing: CPU 2 is offline, and its masks name no other",
        (("rps_map", "2"), ("online_cpus", "0-1,3")),
        KernelAnswer("get_rps_cpu"),
        (_write("1", "1"),),
        [
            pair(b=rps((0, 1, 3)), target=_OFF),
            pair(b=rps(()), target=_OFF),
            # rx-1 steers nothing.
            pair(b={**queues(2, 2), **rps((0,), (2,))}, target=_OFF),
        ],
        [
            (
                pair(b=rps((0,)), target=TARGET._replace(online_cpus=BAD)),
                "online_cpus",
                {"rps-first-32-cpus"},
            ),
            (pair(b=rps(BAD), target=_OFF), "rps_map", MASK),
            (pair(b={"rps": BAD}, target=_OFF), "_rx[]", MASKS),
        ],
        fix_effect="takes CPU 2 out of the masks for good",
    ),
    "rps-isolated-cpus": Case(
        pair(b=rps((1, 3)), target=_ISOLATED),
        "info",
        "eth0",
        "its RPS sends packets to CPU 3, which is isolated",
        (("rps_map", "1,3"), ("isolated_cpus", "3"), ("online_cpus", "0-3")),
        KernelAnswer("store_rps_map"),
        (),
        [
            pair(b=rps((1,)), target=_ISOLATED),
            pair(b=rps((0, 1, 2))),
            pair(b=rps((0, 1, 2)), target=_ISOLATED._replace(online_cpus=(0, 1, 2))),
        ],
        [
            (
                pair(b=rps((0,)), target=TARGET._replace(isolated_cpus=BAD)),
                "isolated_cpus",
            ),
            (pair(b=rps(BAD), target=_ISOLATED), "rps_map", MASK),
        ],
        undo=Undo("which takes the isolated CPUs out of its masks", (_write("2"),)),
    ),
    "rps-first-32-cpus": Case(
        pair(None, None, BR0._replace(**rps(_FIRST)), target=_MANY),
        "info",
        "br0",
        "its RPS goes to the first 32 CPUs only: CPUs 32-35 get no packets",
        (("rps_map", "0-31"), ("online_cpus", "0-35")),
        KernelAnswer("get_rps_cpu"),
        (),
        [
            pair(None, None, BR0._replace(**rps(_FIRST))),
            pair(None, None, BR0._replace(**rps((*_FIRST, 32))), target=_MANY),
            pair(None, None, BR0._replace(**rps(_FIRST[1:])), target=_MANY),
            pair(
                *(None, None, BR0._replace(**rps(_FIRST))),
                target=_MANY._replace(isolated_cpus=(32, 33, 34, 35)),
            ),
            pair(b={**rps(()), "flags": DOWN}, target=_MANY),
        ],
        [
            (
                pair(b=rps(_FIRST), target=TARGET._replace(online_cpus=BAD)),
                "online_cpus",
                {"rps-cpu-offline"},
            ),
            (
                pair(
                    queues(3, 3),
                    {**queues(3, 3), **rps(_FIRST, BAD, ())},
                    target=_MANY,
                ),
                "rps_map",
                {"rps-cpu-offline", "rps-queue-off-by-one", "rps-queue-without-mask"},
            ),
        ],
        undo=Undo(
            "which adds the other online CPUs to all its masks",
            (
                (
                    'sh -c \'for f in "$0"/rx-*/rps_cpus; do echo f,ffffffff >"$f"; '
                    "done' /sys/class/net/br0/queues"
                ),
            ),
        ),
    ),
}
