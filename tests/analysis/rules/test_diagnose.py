# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rules of diagnosis.

Each rule on a Snapshot on which it fires, on near twins on which it does not (one value
is another), and on some where a value that it needs could not be read.
"""

import json
from pathlib import Path
import re
import shlex
import subprocess
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from drgn_veth.analysis.attach.questions import decision
from drgn_veth.analysis.diagnose import (
    diagnose,
    has_error,
    keep_findings,
    undecided_errors,
)
from drgn_veth.analysis.filters import keep
from drgn_veth.analysis.remedies import Fixes
from drgn_veth.analysis.rules import RULES, RULES_BY_ID
from drgn_veth.analysis.rules.finding import (
    Evidence,
    Finding,
    KernelAnswer,
    Then,
    Undo,
)
from drgn_veth.analysis.rules.page import explain, markdown
from drgn_veth.analysis.rules.values import rps_words
from drgn_veth.core.messages import BACK_PRESSURE
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import (
    Device,
    Driver,
    Features,
    Kernel,
    Namespace,
    Pair,
    QueueCount,
    Queues,
    RecordsRxQueue,
    RpsQueue,
    Snapshot,
    StaleProgram,
    StoppedTxQueue,
    Target,
    Task,
    Veth,
    Xdp,
    XdpLink,
    XdpProgram,
    XdpQueue,
    XpsQueue,
)
from drgn_veth.render import findings as render_findings
from drgn_veth.render import json as render_json
import jsonschema
import pytest

from tests.render.test_pure import BAD, HOST, POD, device

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
SCHEMA = json.loads((REPOSITORY / "docs" / "drgn-veth-1.schema.json").read_text())

WHY = BAD.reason
CHANNELS = Driver("veth", True, True, True)
OLD: Dict[str, Any] = {"driver": CHANNELS._replace(set_channels=False)}
TARGET = Target("6.1.0", "kdump", "x86_64", "btf", 4, (0, 1, 2, 3), 0)
MANY_CPUS = TARGET._replace(possible_cpus=128)
UPPER = "Cannot attach when an upper device already has a program"
MESSAGES = (
    ("dev_xdp_attach", frozenset({UPPER})),
    ("veth_xmit", frozenset({BACK_PRESSURE})),
)
#: What veth_poll() looks at: of 6.12.94, of 6.12.107, of v7.1 and later.
BY_RXQ = frozenset({"_tx", "xdp_rxq.queue_index"})
UNCHECKED = frozenset({"_tx"})
CHECKED = frozenset({"_tx", "real_num_tx_queues"})
KERNEL = Kernel(
    4096, 320, 17, 64, 0, 4, True, True, True, MESSAGES, None, None, UNCHECKED,
    RecordsRxQueue.NEVER,
)  # fmt: skip
PROGRAM = XdpProgram(7, "p", "00" * 8, "netlink", None, True, False, 1, 0)
LINKED = PROGRAM._replace(via="link", link_id=3)
DOWN = ("BROADCAST", "MULTICAST")
NO_XDP = Xdp(None, None, None, ())
GRO = 1 << 14
TSO = 1 << 16

Changes = Dict[str, Any]


def queues(rx: Any, tx: Any, num_rx: Any = None, num_tx: Any = None) -> Changes:
    count = Queues(QueueCount(rx, num_rx or rx), QueueCount(tx, num_tx or tx))
    return {"queues": count}


def rqs(*napi: Any, prog: Any = None, errors: Any = 0) -> Tuple[XdpQueue, ...]:
    return tuple(
        XdpQueue(
            i, prog if on else None, on, bool(on), errors, False, i if on is True else 0
        )
        for i, on in enumerate(napi)
    )


def indexed(*of_queues: Any) -> Changes:
    """All have NAPI, and such an xdp_rxq.queue_index."""
    ready = zip(rqs(*[True] * len(of_queues)), of_queues)
    queues = tuple(queue._replace(rxq_index=index) for queue, index in ready)
    return {"xdp": Xdp(None, None, None, queues)}


def native(*napi: Any, program: Any = PROGRAM, errors: Any = 0) -> Changes:
    ready = rqs(*napi or (True,), prog=7, errors=errors)
    return {"xdp": Xdp(None, program, None, ready)}


def generic(program: Any = PROGRAM) -> Changes:
    return {"xdp": Xdp(program, None, None, ())}


def rps(*cpus: Any, flows: Any = 0) -> Changes:
    return {"rps": tuple(RpsQueue(i, c, flows) for i, c in enumerate(cpus))}


def pair(
    a: Optional[Changes] = None,
    b: Optional[Changes] = None,
    *others: Device,
    kind: str = "veth",
    **whole: Any,
) -> Snapshot:
    """veth0 in the host's namespace and eth0 in that of pod1, with changes."""
    first = device(HOST, 3, "veth0", driver=CHANNELS, hard_header_len=14, kind=kind)
    second = device(POD, 2, "eth0", driver=CHANNELS, hard_header_len=14, kind=kind)
    second = second._replace(net_device=0xFFFF888000001000)
    first, second = first._replace(peer=second.ref), second._replace(peer=first.ref)
    first, second = first._replace(**a or {}), second._replace(**b or {})
    found = Snapshot(
        TARGET,
        (
            Namespace(HOST, True, 1),
            Namespace(POD, False, 1, names=("pod1",), mounts=("/run/netns/pod1",)),
        ),
        (first, *others, second),
        (Pair(kind, first.ref, second.ref),),
        kernel=KERNEL,
    )
    return found._replace(**whole)


def kernel(**changes: Any) -> Kernel:
    return KERNEL._replace(**changes)


def messages(function: str, *said: str) -> Kernel:
    return kernel(messages=((function, frozenset(said)),))


BR0 = device(HOST, 9, "br0", kind="bridge")
BOND = device(
    HOST, 9, "bond0", kind="bond", driver=Driver("bonding", True, True, False)
)
NIC = device(HOST, 2, "ens1", kind=None)
WITH_XDP = Xdp(None, PROGRAM, None, None)
HELD = kernel(rtnl_owner=Task(812, "ip"))
PIN = "/sys/fs/bpf/my link"


def link(holders: Any, pins: Any, **changes: Any) -> Snapshot:
    held = pair({"xdp": Xdp(LINKED, None, None, ())})
    one = XdpLink(3, held.devices[0].ref, pins, holders)
    return held._replace(links=(one._replace(**changes),))


class Case(NamedTuple):
    """What a rule says of a Snapshot, and on which it is silent or undecided."""

    fires: Snapshot
    severity: str
    name: str
    summary: str
    evidence: Evidence
    kernel: Optional[KernelAnswer]
    fix: Tuple[str, ...]
    twins: Sequence[Snapshot]
    #: Snapshots with an unreadable value: which.
    lost: Sequence[Tuple[Snapshot, str]] = ()
    undecided: Optional[str] = None
    fix_effect: Optional[str] = None
    undo: Optional[Undo] = None


FRAGS = PROGRAM._replace(frags=True)
TWO_RPS = rps((0, 1), ())
BOND_SLAVE: Changes = {
    "master": BOND.ref,
    "veth": Veth(0, 0xFFFF888000009000),
    "xdp": Xdp(None, None, None, rqs(True, prog=7)),
}
AGAIN = "detaches the program for a moment and attaches it again"


def again(name: str, *before: str, between: str = "", way: str = "") -> str:
    """The command that attaches the program of a device again."""
    attach = f"{way}bpftool net attach xdpdrv id 7 dev {name}"
    steps = (
        *before,
        "bpftool prog pin id 7 /sys/fs/bpf/drgn-veth-7",
        f"{way}bpftool net detach xdpdrv dev {name}",
        f"{{ {between}; {attach}; }}" if between else attach,
        "rm /sys/fs/bpf/drgn-veth-7",
    )
    return " && ".join(steps)


STALE = Veth(0, 0x77, stale=(StaleProgram(1, 0x77), StaleProgram(2, 0x77)))
STUCK = StoppedTxQueue(1, True, False)

CASES: Dict[str, Case] = {
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
            (pair(queues(BAD, 14), queues(48, 48)), "real_num_rx_queues"),
            (
                pair(queues(14, 14), queues(48, BAD, None, 48)),
                "peer_real_num_tx_queues",
            ),
            (
                pair({**queues(1, 1), **native(program=BAD)}, queues(4, 4)),
                "xdp_state[XDP_MODE_DRV]",
            ),
            (pair({"peer": BAD}), "peer"),
        ],
    ),
    "queues-one-sided": Case(
        pair(queues(2, 3), queues(4, 4)),
        "info",
        "eth0",
        "queue counts differ: 4 real RX queues and 4 TX here (one for each of 4 "
        "possible CPUs), but peer veth0 (netns 4026531840) has 2 and 3, as if counts "
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
            (pair(queues(2, 3), queues(4, BAD, 4, 4)), "peer_real_num_tx_queues"),
            (
                pair(
                    queues(2, 3),
                    queues(4, 4),
                    target=TARGET._replace(possible_cpus=BAD),
                ),
                "possible_cpus",
            ),
        ],
    ),
    "queues-cpus": Case(
        pair(queues(1, 5), queues(1, 1)),
        "info",
        "veth0",
        "1 real RX queue and 5 TX for 4 possible CPUs: more queues than CPUs can serve "
        "at a time",
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
            (pair(queues(BAD, 4), queues(4, 4)), "real_num_rx_queues"),
            (
                pair(queues(1, 2), target=TARGET._replace(possible_cpus=BAD)),
                "possible_cpus",
            ),
            (pair(native(), target=TARGET._replace(online_cpus=BAD)), "online_cpus"),
        ],
    ),
    "veth-poll-out-of-range": Case(
        pair(
            {**queues(4, 1), **native(True, True, True, True)},
            {**queues(1, 1, 1, 2), **native(True)},
        ),
        "warning",
        "veth0",
        "veth_poll() of rx-2-3 accesses TX queues that peer eth0 (netns pod1) does not "
        "have: it was created with 2",
        (
            ("real_num_rx_queues", 4),
            ("peer_num_tx_queues", 2),
            ("rq[].napi != NULL", "2-3"),
            ("possible_cpus", 4),
        ),
        KernelAnswer("veth_poll"),
        (again("veth0", between="ethtool -L veth0 rx 2"),),
        [
            pair({**queues(4, 1), **native(True, True)}, queues(1, 1, 1, 2)),
            pair({**queues(4, 1), **native(*[True] * 4)}, queues(1, 1, 1, 4)),
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=messages("veth_xmit"),
            ),
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(veth_poll=CHECKED),
            ),
            # No CPU has the number that leads there.
            pair(
                {**queues(8, 1), **native(*[True] * 8)},
                queues(1, 1, 1, 4),
            ),
            # It takes 0 for the number where nothing has registered the xdp_rxq.
            pair(
                {**queues(4, 1), **indexed(0, 0, 0, 0)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(veth_poll=BY_RXQ),
            ),
            # No code that could be read stops a queue, or wakes one.
            pair(
                {**queues(4, 1), **native(*[True] * 4)},
                queues(1, 1, 1, 2),
                kernel=KERNEL._replace(messages=BAD, veth_poll=frozenset()),
            ),
        ],
        [
            (
                pair({**queues(4, 1), "xdp": Xdp(None, None, None, BAD)}),
                "rq",
            ),
            (pair(queues(4, 1), queues(1, 1, 1, BAD)), "peer_num_tx_queues"),
            (
                pair(
                    {**queues(4, 1), **indexed(0, 1, 2, BAD)},
                    queues(1, 1, 1, 3),
                    kernel=KERNEL._replace(veth_poll=BY_RXQ),
                ),
                "rq[].xdp_rxq.queue_index",
            ),
        ],
        fix_effect=AGAIN,
    ),
    "tx-queue-stuck": Case(
        pair({"veth": Veth(0, 0, stopped=(STUCK, STUCK._replace(queue=2)))}),
        "error",
        "veth0",
        "TX queue 1-2 is stopped for good: peer eth0 (netns pod1) has nothing left to "
        "receive, and nothing will wake the queue",
        (
            ("_tx[].state & __QUEUE_STATE_DRV_XOFF", "1-2"),
            ("peer_rq[].xdp_ring", "empty"),
            ("peer_rq[].xdp_napi.state & NAPIF_STATE_SCHED", 0),
        ),
        KernelAnswer("veth_poll"),
        (),
        [
            pair({"veth": Veth(0, 0)}),
            pair({"veth": Veth(0, 0, stopped=(STUCK,)), "flags": DOWN}),
            pair(
                {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=False),))}
            ),
            pair(
                {
                    "veth": Veth(
                        0, 0, stopped=(STUCK._replace(peer_napi_scheduled=True),)
                    )
                }
            ),
        ],
        [
            (pair({"veth": Veth(0, 0, stopped=BAD)}), "_tx[].state"),
            (pair({"veth": Veth(0, 0, stopped=(STUCK,)), "flags": BAD}), "flags"),
            (
                pair(
                    {
                        "veth": Veth(
                            0, 0, stopped=(STUCK._replace(peer_napi_scheduled=BAD),)
                        )
                    }
                ),
                "peer_rq[].xdp_napi.state",
            ),
            (
                pair(
                    {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=BAD),))}
                ),
                "peer_rq[].xdp_ring",
            ),
        ],
    ),
    "rps-queue-out-of-range": Case(
        pair(queues(4, 4), {**queues(2, 2), **rps((0, 2, 3), ())}),
        "warning",
        "eth0",
        "RPS skips packets from 1 of the 4 TX queues of peer veth0 (netns 4026531840): "
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
        "rx-0 (CPUs 0,3), not rx-1 (CPU 33), steers packets from TX queue 1 of peer "
        "veth0 (netns 4026531840)",
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
        fix_effect="writes 2,00000009 (CPUs 0,3,33), the union of all masks, to all 2 "
        "RX queues",
    ),
    "rps-which-end": Case(
        pair(b={**rps((0, 1))}),
        "info",
        "eth0",
        "its RPS (0-1) steers what peer veth0 (netns 4026531840) sends; the peer's RPS "
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
        "its generic program runs on the CPUs that RPS picks (0-1), or on the "
        "receiving CPU if RPS skips the packet",
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
            (pair({"xdp": Xdp(None, PROGRAM, None, BAD)}), "rq"),
            (
                pair({"xdp": Xdp(None, PROGRAM, None, (XdpQueue(0, None, BAD),))}),
                "rq[].napi",
            ),
            (
                pair({"xdp": Xdp(None, PROGRAM, None, (XdpQueue(0, BAD, True),))}),
                "rq[].xdp_prog",
            ),
            (pair({**native(), "flags": BAD}), "flags"),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]"),
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
            (pair(native(), queues(1, BAD, None, 1)), "peer_real_num_tx_queues"),
            (pair(native(), {"features": Features(BAD, 0, None)}), "peer_features"),
            (pair(native(program=BAD)), "xdp_state[XDP_MODE_DRV]"),
        ],
    ),
    "xdp-tx-lost": Case(
        pair(native(True, True, errors=10), {"xdp": Xdp(None, None, None, rqs(False))}),
        "warning",
        "veth0",
        "its native program has lost 20 packets by XDP_TX so far: peer eth0 (netns "
        "pod1) has no native program",
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
            (pair(native(), {"flags": BAD}), "peer_flags"),
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
            (pair(None, {"mtu": BAD}), "peer_mtu"),
            (pair(None, {"hard_header_len": BAD}), "peer_hard_header_len"),
            (pair({"peer": BAD}), "peer"),
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
        [(pair(native(), {"max_mtu": BAD}), "peer_max_mtu")],
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
            (pair(native(), {"max_mtu": BAD}), "peer_max_mtu"),
            (pair(native(), kernel=kernel(net_ip_align=BAD)), "max_mtu"),
            (pair(native(), kernel=None), "kernel"),
        ],
        fix_effect=f"lowers the MTU of eth0 (netns pod1), {AGAIN}",
    ),
    "mtu-mismatch": Case(
        pair({"mtu": 9000, "veth": Veth(12, 0)}),
        "warning",
        "veth0",
        "its MTU is 9000, but peer eth0 (netns pod1) has 1500: larger packets are lost "
        "in one direction; it has dropped 12 so far",
        (("mtu", 9000), ("peer_mtu", 1500), ("dropped", 12)),
        KernelAnswer("__is_skb_forwardable"),
        ("ip link set dev veth0 mtu 1500",),
        [
            pair({"mtu": 1500, "veth": Veth(12, 0)}),
            pair({"mtu": 9000, "flags": DOWN}, {"flags": DOWN}),
            pair({"mtu": 9000}, {"flags": DOWN}),
            pair({"mtu": 9000}, kind="netkit"),
        ],
        [
            (pair({"mtu": BAD}), "mtu"),
            (pair({"mtu": 9000}, {"mtu": BAD}), "peer_mtu"),
            (pair({"mtu": 9000}, {"flags": BAD}), "peer_flags"),
        ],
    ),
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
    "xdp-mode-conflict": Case(
        pair(None, generic()),
        "info",
        "eth0",
        "native XDP, and so an attach without a mode, is refused: a generic program is "
        "attached",
        (("xdp_state[XDP_MODE_SKB] prog_id", 7),),
        KernelAnswer(
            "dev_xdp_attach",
            "EEXIST",
            "Native and generic XDP can't be active at the same time",
        ),
        (),
        [
            pair(),
            pair(None, native()),
            pair(None, {**generic(), "driver": CHANNELS._replace(ndo_bpf=False)}),
            pair(None, generic(), kind="netkit"),
        ],
        [
            (pair(None, generic(BAD)), "xdp_state[XDP_MODE_SKB]"),
            (
                pair(None, {**generic(), "driver": CHANNELS._replace(ndo_bpf=BAD)}),
                "netdev_ops->ndo_bpf",
            ),
        ],
        undo=Undo(
            "which detaches the program",
            ("ip netns exec pod1 ip link set dev eth0 xdpgeneric off",),
        ),
    ),
    "xdp-link-owns-hook": Case(
        pair(None, generic(LINKED)),
        "info",
        "eth0",
        "BPF link 3 holds its generic program: nothing else can replace or detach it",
        (("link_id", 3), ("prog_id", 7)),
        KernelAnswer("dev_xdp_attach", "EBUSY", "Can't replace active BPF XDP link"),
        (),
        [pair(None, generic()), pair()],
        [(pair(None, generic(BAD)), "xdp_state[XDP_MODE_SKB]")],
        undo=Undo("which detaches the program", ("bpftool link detach id 3",)),
    ),
    "xdp-link-pinned-only": Case(
        link(0, (PIN,)),
        "info",
        "veth0",
        "BPF link 3 holds its program, and only a pin holds the link; no process has "
        "it open",
        (("link_id", 3), ("link.refcnt", 1), ("pins", (PIN,))),
        KernelAnswer("bpf_link_put"),
        (),
        [link(1, (PIN,)), link(0, ()), link(0, (PIN,), id=4)],
        [(link(BAD, (PIN,)), "link.refcnt"), (link(0, BAD), "link.pins")],
        undo=Undo(
            "which removes its pin and so detaches the program", (f"rm '{PIN}'",)
        ),
    ),
    "xdp-upper-program": Case(
        pair({"uppers": (BOND.ref,)}, None, BOND._replace(xdp=WITH_XDP)),
        "info",
        "veth0",
        "XDP cannot be attached, nor detached by netlink: upper device bond0 (netns "
        "4026531840, ifindex 9) has a program",
        (("prog_id of upper bond0 (netns 4026531840, ifindex 9)", (7,)),),
        KernelAnswer("dev_xdp_attach", "EEXIST", UPPER),
        (),
        [
            pair({"uppers": (BOND.ref,)}, None, BOND),
            pair(None, None, BOND._replace(xdp=WITH_XDP)),
            pair(
                {"uppers": (BOND.ref,)},
                None,
                BOND._replace(xdp=WITH_XDP),
                kernel=messages("dev_xdp_attach", "another one"),
            ),
        ],
        [
            (pair({"uppers": BAD}), "adj_list.upper"),
            (
                pair(
                    {"uppers": (BOND.ref,)},
                    None,
                    BOND._replace(xdp=Xdp(BAD, None, None, None)),
                ),
                "upper xdp_state[XDP_MODE_SKB]",
            ),
        ],
        undo=Undo(
            "which detaches the program above it", ("ip link set dev bond0 xdpdrv off",)
        ),
    ),
    "netkit-default-attach": Case(
        pair(None, {"driver": CHANNELS._replace(ndo_bpf=False)}, kind="netkit"),
        "info",
        "veth0",
        "an attach without a mode is refused: it means native mode, which netkit does "
        "not support; generic mode works",
        (("netdev_ops->ndo_bpf", "netkit_xsk"),),
        KernelAnswer("netkit_xsk", "EOPNOTSUPP"),
        (),
        [
            pair(
                {"driver": CHANNELS._replace(ndo_bpf=False)},
                {"driver": CHANNELS._replace(ndo_bpf=False)},
                kind="netkit",
            ),
            pair(),
        ],
        [
            (
                pair(
                    {"driver": CHANNELS._replace(ndo_bpf=BAD)},
                    {"driver": CHANNELS._replace(ndo_bpf=False)},
                    kind="netkit",
                ),
                "netdev_ops->ndo_bpf",
            )
        ],
    ),
}


def found(rule: str, snapshot: Snapshot) -> List[Finding]:
    return [finding for finding in diagnose(snapshot) if finding.rule == rule]


def test_each_rule_has_a_case() -> None:
    assert set(CASES) == set(RULES_BY_ID)
    assert len(RULES_BY_ID) == len(RULES)


@pytest.mark.parametrize("rule", CASES)
def test_fires(rule: str) -> None:
    case = CASES[rule]
    (finding,) = found(rule, case.fires)
    ref = next(d.ref for d in case.fires.devices if d.name == case.name)
    assert finding == Finding(
        rule,
        case.severity,
        ref,
        case.summary,
        case.evidence,
        case.kernel,
        case.fix,
        case.undecided,
        case.fix_effect,
        case.undo,
    )


@pytest.mark.parametrize("rule", CASES)
def test_is_silent_on_twins(rule: str) -> None:
    twins = CASES[rule].twins
    assert len(twins) >= 2
    for twin in twins:
        assert found(rule, twin) == []


@pytest.mark.parametrize(
    "rule, lost, name",
    [(rule, *lost) for rule, case in CASES.items() for lost in case.lost],
)
def test_says_what_is_missing(rule: str, lost: Snapshot, name: str) -> None:
    finding = next(f for f in found(rule, lost) if f.undecided is not None)
    ((where, value),) = finding.evidence
    assert where == name
    assert isinstance(value, Unreadable)
    assert finding.severity == "info"
    assert finding.undecided == f"{name} could not be read: {value.reason}"
    assert finding.fix == () and finding.kernel is None


def test_each_rule_can_be_undecided() -> None:
    """But no-peer, which is then another rule's matter: the peer is not known."""
    assert {rule for rule, case in CASES.items() if not case.lost} == {"no-peer"}


def test_what_is_missing_for_all_is_said_once() -> None:
    lost = pair(kernel=kernel(page_size=BAD))
    (finding,) = found("xdp-peer-mtu", lost)
    assert finding.device is None
    assert finding.undecided == (
        f"max_mtu could not be read: PAGE_SIZE could not be read: {WHY}"
    )


# What a rule says besides


def test_second_end_alone_was_given_queues() -> None:
    (finding,) = found("queues-one-sided", pair(queues(1, 1, 4, 4), queues(1, 1, 3, 2)))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.summary == (
        "queue counts differ: 1 real RX queue and 1 TX here (created with 3 and 2), "
        "but peer veth0 (netns 4026531840) has 1 and 1, as if counts were given for "
        "one end only"
    )
    assert finding.fix == (
        "ip netns exec pod1 ethtool -L eth0 rx 3 tx 2",
        "ethtool -L veth0 rx 3 tx 2",
    )


@pytest.mark.parametrize(
    "a, b",
    [
        # The ends would have a program, and too few queues for it.
        (queues(2, 3), {**queues(4, 4), **native(*[True] * 4)}),
        # Or leave it in queues that are not in use.
        (queues(2, 2), {**queues(4, 4), **native(*[True] * 4)}),
        (queues(1, 1, 4, 4), {**queues(1, 1, 3, 3), **native()}),
        ({**queues(1, 1, 4, 4), **native()}, queues(1, 1, 3, 3)),
        # There are no more.
        (queues(1, 1, 4, 4), queues(1, 1, 5, 3)),
        (queues(1, 1, 4, 4), queues(1, 1, 3, 5)),
        (queues(5, 3), queues(4, 4)),
        # It would be found again, for the other reason.
        (queues(1, 1, 4, 4), queues(4, 4, 8, 8)),
    ],
)
def test_no_fix_that_would_be_refused(a: Changes, b: Changes) -> None:
    (finding,) = found("queues-one-sided", pair(a, b))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.fix == ()


def test_fix_of_both_ends_where_that_of_one_would_do_nothing() -> None:
    """With one queue each, the end that was made with 3 would be found again."""
    first, second = found("queues-one-sided", pair(queues(1, 1, 3, 3), queues(4, 4)))
    assert first.fix == (
        "ethtool -L veth0 rx 3 tx 3",
        "ip netns exec pod1 ethtool -L eth0 rx 3 tx 3",
    )
    assert second.fix == ()


def test_one_queue_for_one_cpu() -> None:
    alone = TARGET._replace(possible_cpus=1)
    assert not found("queues-one-sided", pair(queues(2, 2), target=alone))


@pytest.mark.parametrize("rx", [3, 2])
def test_fix_takes_what_there_is(rx: int) -> None:
    """RX queues that can be had are better than TX queues that are taken away."""
    few = queues(1, 1, rx, 1)
    (finding,) = found("xdp-native-queues", pair(few, queues(1, 3)))
    wanted = (
        "ethtool -L veth0 rx 3"
        if rx == 3
        else "ip netns exec pod1 ethtool -L eth0 tx 1"
    )
    assert finding.fix == (wanted,)


def test_no_fix_where_queues_cannot_be_set() -> None:
    before = pair({**queues(1, 1), **rps((0,)), **OLD}, {**queues(4, 4), **OLD})
    for rule in ("xdp-native-queues", "rps-queue-out-of-range"):
        (finding,) = found(rule, before)
        assert finding.fix == ()


def test_native_program_with_fewer_queues_than_cpus() -> None:
    """Those that are online; and no command, as new queues might run no program."""
    few = {**queues(1, 1, 8, 8), **native()}
    for target in (TARGET, MANY_CPUS):
        (finding,) = found("queues-cpus", pair(few, target=target))
        assert finding.summary == (
            "1 real RX queue and 1 TX for 4 online CPUs: CPUs that redirect frames to "
            "its peer share RX queues and their locks"
        )
        assert finding.evidence[-1] == ("online_cpus", 4)
        assert finding.fix == ()


def test_native_program_with_more_queues_than_cpus() -> None:
    many = {**queues(5, 5), "xdp": native(*[True] * 5)["xdp"]}
    (finding,) = found("queues-cpus", pair(many))
    assert "4 possible CPUs: more queues than CPUs" in finding.summary
    (finding,) = found("queues-cpus", pair(queues(5, 5)))
    assert finding.fix == () and finding.undo is None


STALE_VETHS = [
    Veth(0, 0, stale=(StaleProgram(2, 0x77),)),
    Veth(0, 0, stale=BAD),
]


@pytest.mark.parametrize("veth", STALE_VETHS, ids=["stale", "unreadable"])
def test_queues_with_stale_programs_are_not_put_to_use(veth: Veth) -> None:
    few = {**queues(2, 2, 4, 4), "veth": veth}
    (finding,) = found("xdp-native-queues", pair(few, queues(2, 3)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 2",)
    # For either end; fewer are no danger.
    one = {**queues(1, 1, 4, 4), "veth": veth}
    for a, b in ((one, queues(1, 1, 3, 2)), (queues(1, 1, 4, 4), {"veth": veth})):
        made = {**queues(1, 1, 3, 2), **b}
        (finding,) = found("queues-one-sided", pair(a, made))
        assert finding.fix == ()
    larger = pair(queues(5, 3), {**queues(4, 4, 8, 8), "veth": veth})
    (finding,) = found("queues-one-sided", larger)
    assert finding.fix == ()
    smaller = pair(queues(2, 3), {**queues(4, 4), "veth": veth})
    assert len(found("queues-one-sided", smaller)[0].fix) == 1
    for snapshot in (pair(few, queues(2, 3)), larger, smaller):
        raised = [line for f in diagnose(snapshot) for line in f.fix if " rx 5" in line]
        assert raised == []


def test_nothing_is_logged_with_one_rx_queue() -> None:
    (finding,) = found(
        "rps-queue-out-of-range", pair({**queues(1, 1), **rps((0,))}, queues(4, 4))
    )
    assert finding.kernel == KernelAnswer("get_rps_cpu")
    assert "2 of the 4 TX queues" in finding.summary


def test_rfs_alone_is_left_out_too() -> None:
    flows = {**queues(1, 1), **rps((), flows=64)}
    both = TARGET._replace(rps_sock_flow_entries=1024)
    (finding,) = found("rps-queue-out-of-range", pair(flows, queues(4, 4), target=both))
    assert finding.summary.startswith("RFS skips packets from 2 of the 4 TX queues")
    assert finding.evidence[2:] == (
        ("rps_flow_table", "64"),
        ("rps_sock_flow_table", 1024),
    )
    masks = {**queues(1, 1), **rps((0,), flows=64)}
    (finding,) = found("rps-queue-out-of-range", pair(masks, queues(4, 4), target=both))
    assert finding.summary.startswith("RPS skips packets")


@pytest.mark.parametrize(
    "tx, masks, said",
    [
        (1, ((), (3,)), "the mask of rx-1 (CPU 3) steers nothing: "),
        (1, ((0, 1), (3,)), "and rx-0, which is used, has CPUs 0-1"),
        (2, ((), (), (1, 2)), "has 2 real TX queues, and rx-0, which is used, has no "),
        (3, ((1,), (1,), (1,), (2,)), "the mask of rx-3 (CPU 2) steers nothing: "),
        (1, (BAD, (3,), (4,)), None),
        (2, ((1,), (1,), BAD), None),
    ],
)
def test_mask_of_a_queue_that_is_not_used(
    tx: int, masks: Sequence[Any], said: Optional[str]
) -> None:
    rx = len(masks)
    (finding,) = found(
        "rps-queue-off-by-one", pair(queues(1, tx), {**queues(rx, 1), **rps(*masks)})
    )
    if said is None:
        assert finding.undecided is not None
        return
    assert said in finding.summary
    assert finding.severity == "warning"
    (command,) = finding.fix
    assert "rx-*/rps_cpus" in command


def test_end_with_masks_that_nothing_uses_does_not_speak_for_both() -> None:
    unused = {**queues(2, 2), **rps((), (3,))}
    (finding,) = found("rps-which-end", pair(unused, rps((1,))))
    assert finding.device is not None and finding.device.name == "eth0"
    assert finding.evidence == (("rps_map", "1"), ("peer_rps_map", ""))


def test_rfs_alone_sends_no_program_elsewhere() -> None:
    flows = BR0._replace(**generic(), **rps((), flows=64))
    assert not found("generic-xdp-cpu", pair(None, None, flows))


def test_rps_of_both_ends_is_said_once() -> None:
    (finding,) = found("rps-which-end", pair(rps((0,)), rps((1,))))
    assert finding.device is not None and finding.device.name == "veth0"
    assert finding.evidence == (("rps_map", "0"), ("peer_rps_map", "1"))


@pytest.mark.parametrize(
    "poll, reason",
    [(BAD, WHY), (None, "its address is not known"), (frozenset(), "not understood")],
)
def test_poll_that_is_not_known(poll: Any, reason: str) -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    unknown = kernel(veth_poll=poll)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=unknown))
    assert finding.severity == "info" and finding.fix
    assert finding.undecided is not None and reason in finding.undecided
    (finding,) = found("tx-queue-stuck", pair(queues(1, 3), GRO_ALONE, kernel=unknown))
    assert finding.severity == "info"
    assert finding.undecided is not None and reason in finding.undecided
    assert finding.summary == (
        "TX queue 1-2, once stopped, may stay stopped: NAPI of rx-1-2 on peer eth0 "
        "(netns pod1) runs for GRO alone"
    )


def test_back_pressure_that_is_not_known() -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    unknown = kernel(messages=BAD, veth_poll=BAD)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=unknown))
    assert finding.undecided is not None and WHY in finding.undecided
    # The code of veth_poll() alone decides.
    known = kernel(messages=BAD)
    (finding,) = found("veth-poll-out-of-range", pair(case, kernel=known))
    # No program is there that would send frames.
    assert finding.severity == "info" and finding.undecided is None
    # A queue that is stopped shows that this kernel does so.
    stopped = {"veth": Veth(0, 0, stopped=(STUCK._replace(peer_ring_empty=False),))}
    unread = kernel(messages=BAD, veth_poll=frozenset())
    assert not found("veth-poll-out-of-range", pair(case, kernel=unread))
    (finding,) = found("veth-poll-out-of-range", pair(case, stopped, kernel=unread))
    assert finding.undecided is not None and "not understood" in finding.undecided


def test_no_fix_where_it_is_not_known_whether_there_is_a_program() -> None:
    case = {**queues(4, 1), **native(*[True] * 4, program=BAD)}
    (finding,) = found("veth-poll-out-of-range", pair(case, queues(1, 1, 1, 2)))
    assert finding.undecided is None and finding.fix == ()


def test_frames_that_another_program_redirects() -> None:
    case = {**queues(4, 1), **native(*[True] * 4)}
    other = BR0._replace(netns=POD, net_device=0xFFFF888000007000, xdp=WITH_XDP)
    (finding,) = found("veth-poll-out-of-range", pair(case, None, other))
    assert finding.severity == "warning"


def test_only_the_index_of_the_xdp_rxq_is_out_of_range() -> None:
    """Of NAPI for GRO alone, too, it stays what a native program made it."""
    case = {**queues(4, 1), **indexed(0, 1, 0, 3)}
    by_rxq = kernel(veth_poll=BY_RXQ)
    (finding,) = found(
        "veth-poll-out-of-range", pair(case, queues(1, 1, 1, 2), kernel=by_rxq)
    )
    assert finding.summary.startswith("veth_poll() of rx-3 accesses")
    # No program that would have to be detached.
    assert finding.fix == ("ethtool -L veth0 rx 2",)


@pytest.mark.parametrize(
    "queue",
    [
        STUCK._replace(peer_ring_empty=BAD, peer_napi_scheduled=True),
        STUCK._replace(peer_ring_empty=False, peer_napi_scheduled=BAD),
    ],
)
def test_tx_queue_that_will_be_woken_whatever_is_missing(queue: StoppedTxQueue) -> None:
    assert not found("tx-queue-stuck", pair({"veth": Veth(0, 0, stopped=(queue,))}))


def test_program_is_attached_again() -> None:
    """The queues are needed: the peer sends to them."""
    grown = {
        **queues(2, 1),
        "xdp": Xdp(None, PROGRAM, None, (*rqs(True, prog=7), XdpQueue(1, None, True))),
    }
    (finding,) = found("xdp-queue-without-program", pair(None, grown, kernel=KERNEL))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 1",)
    (finding,) = found("xdp-queue-without-program", pair(queues(2, 2), grown))
    assert finding.fix == (again("eth0", way="ip netns exec pod1 "),)
    assert finding.fix_effect == AGAIN
    held = grown["xdp"]._replace(driver=LINKED)
    (finding,) = found(
        "xdp-queue-without-program", pair(queues(2, 2), {**grown, "xdp": held})
    )
    assert finding.fix == ()
    # Not the last ones: they cannot be taken away alone.
    first = (XdpQueue(0, 7, True), XdpQueue(1, None, True), XdpQueue(2, 7, True))
    hole = {**queues(3, 1), "xdp": Xdp(None, PROGRAM, None, first)}
    (finding,) = found("xdp-queue-without-program", pair(None, hole))
    assert finding.fix == (again("eth0", way="ip netns exec pod1 "),)


def test_slave_without_a_program_on_a_queue() -> None:
    """The bond has the program: it cannot be attached to the slave again."""
    bare = {**BOND_SLAVE, "xdp": Xdp(None, None, None, (XdpQueue(0, None, True),))}
    (finding,) = found(
        "xdp-queue-without-program", pair(bare, None, BOND._replace(xdp=WITH_XDP))
    )
    assert finding.evidence[0] == ("xdp_state[XDP_MODE_DRV] prog_id", None)
    assert finding.fix == ()


def gro_alone(*napi: Any, index: Any = 0) -> Changes:
    ready = tuple(q._replace(registered=False, rxq_index=index) for q in rqs(*napi))
    return {**queues(3, 1), "xdp": Xdp(None, None, None, ready)}


GRO_ALONE = gro_alone(True, True, True)
#: A kernel whose veth_poll() wakes TX queue 0 for them.
SLEEPY = kernel(veth_poll=BY_RXQ)


def test_tx_queue_that_could_be_stuck() -> None:
    (finding,) = found("tx-queue-stuck", pair(queues(1, 3), GRO_ALONE, kernel=SLEEPY))
    assert finding.device is not None and finding.device.name == "veth0"
    assert finding.severity == "info" and finding.undecided is None
    assert finding.summary == (
        "TX queue 1-2, once stopped (with a qdisc), stays stopped: NAPI of rx-1-2 on "
        "peer eth0 (netns pod1) wakes TX queue 0 instead"
    )
    # What is so now is more than what could be.
    whole = pair(
        {**queues(1, 3), "veth": Veth(0, 0, stopped=(STUCK,))},
        GRO_ALONE,
        kernel=SLEEPY,
    )
    (finding,) = found("tx-queue-stuck", whole)
    assert finding.severity == "error"
    waits = STUCK._replace(peer_ring_empty=False)
    whole = pair(
        {**queues(1, 3), "veth": Veth(0, 0, stopped=(waits,))},
        GRO_ALONE,
        kernel=SLEEPY,
    )
    (finding,) = found("tx-queue-stuck", whole)
    assert finding.severity == "info"


@pytest.mark.parametrize(
    "a, b, whose",
    [
        (queues(1, 3), GRO_ALONE, kernel(veth_poll=UNCHECKED)),
        (queues(1, 3), GRO_ALONE, kernel(veth_poll=CHECKED)),
        (queues(1, 3), GRO_ALONE, kernel(messages=BAD, veth_poll=BAD)),
        (queues(1, 1), GRO_ALONE, SLEEPY),
        (queues(1, 3), {**GRO_ALONE, **native(*[True] * 3)}, SLEEPY),
        (queues(1, 3), {**queues(3, 1), "xdp": NO_XDP}, SLEEPY),
        (queues(1, 3), {**GRO_ALONE, "xdp": Xdp(None, None, None, BAD)}, SLEEPY),
        (queues(1, 3), gro_alone(True, False, False), SLEEPY),
        (queues(1, 3), gro_alone(True, BAD, BAD), SLEEPY),
        (queues(1, 3), gro_alone(True, True, True, index=1), SLEEPY),
        (queues(1, 3), gro_alone(True, True, True, index=BAD), SLEEPY),
        (queues(1, 3), GRO_ALONE, messages("veth_xmit")),
        (queues(1, 3), GRO_ALONE, kernel(messages=BAD, veth_poll=None)),
        (queues(1, 3), GRO_ALONE, None),
        ({**queues(1, 3), "flags": DOWN}, GRO_ALONE, SLEEPY),
        ({**queues(1, 3), "flags": BAD}, GRO_ALONE, SLEEPY),
        (queues(1, BAD, 1, 3), GRO_ALONE, SLEEPY),
        ({**queues(1, 3), "peer": BAD}, GRO_ALONE, SLEEPY),
    ],
)
def test_tx_queue_that_could_not_be_stuck(
    a: Changes, b: Changes, whose: Optional[Kernel]
) -> None:
    assert not found("tx-queue-stuck", pair(a, b, kernel=whose))


def test_what_goes_past_the_ring_stops_no_queue() -> None:
    sender = {**queues(1, 3), "features": Features(TSO, 0, None)}
    assert not found("tx-queue-stuck", pair(sender, GRO_ALONE, kernel=SLEEPY))
    fraglist = {**GRO_ALONE, "features": Features(1 << 57, 0, None)}
    assert found("tx-queue-stuck", pair(sender, fraglist, kernel=SLEEPY))
    unknown = {**queues(1, 3), "features": Features(BAD, 0, None)}
    assert found("tx-queue-stuck", pair(unknown, GRO_ALONE, kernel=SLEEPY))


def test_types_that_are_missing_where_no_queue_is_stopped() -> None:
    """The code says so: it is of no matter what could not be read."""
    lost = {"veth": Veth(BAD, BAD, BAD, BAD), "xdp": Xdp(None, None, None, BAD)}
    never = messages("veth_xmit")
    for rule in ("tx-queue-stuck", "veth-poll-out-of-range"):
        assert not found(rule, pair({**queues(4, 1), **lost}, lost, kernel=never))
    assert found("tx-queue-stuck", pair(lost, lost))


def test_gro_that_would_do_harm() -> None:
    """What redirects are lost without wants NAPI at the peer, and not at any price."""
    other = BR0._replace(net_device=0xFFFF888000007000, xdp=WITH_XDP)

    def fix(a: Changes, b: Changes, poll: Any) -> Tuple[str, ...]:
        whole = pair(a, b, other, kernel=kernel(veth_poll=poll))
        (finding,) = found("xdp-redirect-not-ready", whole)
        return finding.fix

    gro = ("ip netns exec pod1 ethtool -K eth0 gro on",)
    assert fix(queues(1, 1), queues(3, 1), CHECKED) == gro
    assert fix(queues(1, 1), queues(3, 1), UNCHECKED) == ()
    assert fix(queues(1, 3), queues(3, 1), UNCHECKED) == gro
    assert fix(queues(1, 3), queues(3, 1), BY_RXQ) == ()
    assert fix(queues(1, 1), queues(1, 1), BY_RXQ) == gro
    assert fix(queues(1, 1), queues(3, 1), BAD) == ()


def test_nothing_is_detached_that_cannot_be_attached_again() -> None:
    grown = {
        **queues(2, 1),
        "xdp": Xdp(None, PROGRAM, None, (*rqs(True, prog=7), XdpQueue(1, None, True))),
    }

    def fix(changes: Changes, peer: Changes, *others: Device) -> Tuple[str, ...]:
        whole = pair({**grown, **changes}, {**queues(2, 2), **peer}, *others)
        (finding,) = found("xdp-queue-without-program", whole)
        return finding.fix

    assert fix({}, {}) == (again("veth0"),)
    assert fix({}, {"mtu": 9000}) == ()
    assert fix({}, {"mtu": BAD}) == ()
    free = {"uppers": (BR0.ref,)}
    assert fix(free, {}, BR0) == (again("veth0"),)
    assert fix(free, {}, BR0._replace(xdp=WITH_XDP)) == ()
    assert fix(free, {}, BR0._replace(xdp=Xdp(BAD, None, None, None))) == ()
    assert fix(free, {}) == ()
    assert fix({"uppers": BAD}, {}) == ()


def test_queues_are_not_added_before_there_is_set_channels() -> None:
    lost = {**native(), **OLD, "flags": BAD}
    assert not found("xdp-queue-without-program", pair(lost))


def test_rps_that_hurts_nothing() -> None:
    many = {**queues(2, 2), **rps((0, 1), ())}
    (finding,) = found("rps-queue-off-by-one", pair(many, queues(2, 2)))
    assert finding.severity == "info"
    both = {**queues(3, 3), **rps((0, 1), (), (2,))}
    (finding,) = found("rps-queue-off-by-one", pair(both, queues(3, 3)))
    assert finding.severity == "warning" and "TX queue 2" in finding.summary
    for ends in (({**both, "flags": DOWN}, queues(3, 3)), (both, {"flags": DOWN})):
        a, b = ends
        (finding,) = found("rps-queue-off-by-one", pair(a, {**queues(3, 3), **b}))
        assert finding.severity == "info"
    down = {**queues(1, 1), **rps((0,)), "flags": DOWN}
    (finding,) = found("rps-queue-out-of-range", pair(down, queues(4, 4)))
    assert finding.severity == "info"


@pytest.mark.parametrize(
    "veth",
    [
        STALE._replace(prog=0),
        STALE._replace(prog=0x88),
        STALE._replace(stale=(StaleProgram(2, 0x77),)),
        STALE._replace(prog=BAD),
    ],
    ids=["detached", "another", "gap", "unreadable"],
)
def test_stale_program_is_not_put_to_use(veth: Veth) -> None:
    whole = pair({**queues(1, 1, 4, 4), "veth": veth}, queues(1, 2))
    (finding,) = found("xdp-stale-program", whole)
    assert finding.fix == ()
    (finding,) = found("xdp-native-queues", whole)
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 1",)


def test_sender_with_tso() -> None:
    (finding,) = found(
        "xdp-queue-overflow", pair(native(), {"features": Features(GRO | TSO, 0, None)})
    )
    assert finding.evidence == (("peer_features & NETIF_F_ALL_TSO", "0x10000"),)
    assert finding.fix == (again("veth0"),)
    assert finding.fix_effect == AGAIN
    slave = pair(
        BOND_SLAVE,
        {"features": Features(TSO, 0, None)},
        BOND._replace(xdp=WITH_XDP),
    )
    (finding,) = found("xdp-queue-overflow", slave)
    assert finding.fix == ()


def test_xdp_tx_before_it_is_lost() -> None:
    (finding,) = found("xdp-tx-lost", pair(native()))
    assert finding.severity == "info"
    (finding,) = found("xdp-tx-lost", pair(native(errors=BAD)))
    assert finding.severity == "info"
    assert finding.undecided == f"rq[].stats.vs.xdp_tx_err could not be read: {WHY}"


def test_gro_at_the_peer_does_not_help() -> None:
    """As measured: the frames wait in a ring, and count as sent."""
    idle = rqs(True)
    (finding,) = found(
        "xdp-tx-lost", pair(native(), {"xdp": Xdp(None, None, None, idle)})
    )
    assert finding.severity == "info"
    stuck = tuple(queue._replace(waiting=True) for queue in idle)
    (finding,) = found(
        "xdp-tx-lost", pair(native(), {"xdp": Xdp(None, None, None, stuck)})
    )
    assert finding.severity == "error"
    assert "wait in RX queue 0 of peer eth0 (netns pod1)" in finding.summary
    assert finding.kernel == KernelAnswer("veth_xdp_flush", None)
    assert finding.fix == ()


@pytest.mark.parametrize("errors", [0, 10, BAD])
def test_frames_that_may_wait(errors: Any) -> None:
    """What was lost is no error by itself; what waits now is."""
    unsure = tuple(q._replace(waiting=BAD) for q in rqs(True, True))
    peer = {**queues(2, 1), "xdp": Xdp(None, None, None, unsure)}
    (finding,) = found("xdp-tx-lost", pair(native(errors=errors), peer))
    assert finding.severity == "info"
    assert finding.undecided == f"peer_rq[].xdp_ring could not be read: {WHY}"
    assert finding.evidence[-1] == ("peer_rq[].xdp_ring waits", BAD)
    known = (unsure[0], unsure[1]._replace(waiting=True))
    peer = {**peer, "xdp": Xdp(None, None, None, known)}
    (finding,) = found("xdp-tx-lost", pair(native(errors=errors), peer))
    assert (finding.severity, finding.undecided) == ("error", None)
    assert finding.evidence[-1] == ("peer_rq[].xdp_ring waits", (1,))


@pytest.mark.parametrize(
    "changes",
    [
        {"features": Features(0, GRO, None)},
        {"features": Features(0, BAD, None)},
        {"driver": CHANNELS._replace(set_channels=False)},
    ],
    ids=["wanted", "unreadable", "old"],
)
def test_gro_would_not_help(changes: Changes) -> None:
    (finding,) = found(
        "xdp-redirect-not-ready", pair(None, changes, NIC._replace(xdp=WITH_XDP))
    )
    assert finding.fix == ()


def test_redirect_on_kernels_without_xdp_features() -> None:
    (finding,) = found(
        "xdp-redirect-not-ready", pair(None, None, NIC._replace(xdp=WITH_XDP))
    )
    assert finding.kernel == KernelAnswer("veth_xdp_xmit", "ENXIO")


def test_slave_runs_the_program_of_its_bond() -> None:
    bond = BOND._replace(xdp=WITH_XDP)
    peer = {"max_mtu": 3506}
    assert found("mtu-frozen", pair(BOND_SLAVE, peer, bond))
    assert not found("mtu-frozen", pair(BOND_SLAVE, peer, BOND))
    bridge = BR0._replace(xdp=WITH_XDP)
    assert not found("mtu-frozen", pair(BOND_SLAVE, peer, bridge))
    lost = pair({**BOND_SLAVE, "veth": Veth(0, BAD)}, peer, bond)
    (finding,) = found("mtu-frozen", lost)
    assert finding.undecided == f"_xdp_prog could not be read: {WHY}"


def test_both_ends_get_the_smaller_mtu() -> None:
    first, second = found("xdp-peer-mtu", pair({"mtu": 9000}, {"mtu": 9000}))
    assert first.fix == (
        "ip link set dev veth0 mtu 3506",
        "ip netns exec pod1 ip link set dev eth0 mtu 3506",
    )
    assert second.fix == first.fix[::-1]


def test_an_mtu_that_is_right_is_left_alone() -> None:
    (finding,) = found("xdp-peer-mtu", pair({"mtu": 3506}, {"mtu": 3507}))
    assert finding.fix == ("ip netns exec pod1 ip link set dev eth0 mtu 3506",)


@pytest.mark.parametrize("own, wanted", [(1400, 1400), (3600, 3506), (BAD, 3506)])
def test_no_mtu_is_raised(own: Any, wanted: int) -> None:
    findings = found("xdp-peer-mtu", pair({"mtu": own}, {"mtu": 9000}))
    finding = next(f for f in findings if f.device and f.device.name == "veth0")
    lines = [f"ip netns exec pod1 ip link set dev eth0 mtu {wanted}"]
    if own == 3600:
        lines.insert(0, "ip link set dev veth0 mtu 3506")
    assert finding.fix == tuple(lines)


@pytest.mark.parametrize("kind", ["bond", "team"])
def test_mtu_of_a_port_is_its_masters(kind: str) -> None:
    master = BOND._replace(kind=kind, mtu=9000)
    port = {"master": master.ref, "mtu": 9000}
    (finding,) = found("mtu-mismatch", pair(port, None, master))
    assert finding.fix == ("ip link set dev bond0 mtu 1500",)
    first, second = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, master))
    assert first.fix == (
        "ip link set dev bond0 mtu 3506",
        "ip netns exec pod1 ip link set dev eth0 mtu 3506",
    )
    assert second.fix == first.fix[::-1]
    stale = pair(
        {**port, "max_mtu": 73138}, {**native(), "mtu": 9000}, master, kernel=KERNEL
    )
    (finding,) = found("xdp-max-mtu-stale", stale)
    lower = ("ip netns exec pod1 ip link set dev eth0 mtu 3506", first.fix[0])
    assert finding.fix == (again("eth0", *lower, way="ip netns exec pod1 "),)
    assert finding.fix_effect == (
        "lowers the MTU of eth0 and of bond0 (netns 4026531840) and all its ports, "
        f"{AGAIN}"
    )


@pytest.mark.parametrize(
    "others, changes, fix",
    [
        ((BR0._replace(net_device=BOND.net_device),), {}, "veth0"),
        # It is not known whose the MTU is.
        ((), {}, None),
        ((BOND._replace(kind=BAD),), {}, None),
        ((BOND._replace(mtu=BAD),), {}, None),
        ((BOND,), {"master": BAD}, None),
        # It would be raised, or it changes nothing.
        ((BOND._replace(mtu=1400),), {}, None),
        ((BOND._replace(mtu=1500),), {}, None),
    ],
)
def test_master_that_does_not_help(
    others: Sequence[Device], changes: Changes, fix: Optional[str]
) -> None:
    port = {"master": BOND.ref, "mtu": 9000, **changes}
    (finding,) = found("mtu-mismatch", pair(port, None, *others))
    wanted = () if fix is None else (f"ip link set dev {fix} mtu 1500",)
    assert finding.fix == wanted
    findings = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, *others))
    if fix is None:
        assert all(finding.fix == () for finding in findings)


def test_no_attach_that_would_be_refused() -> None:
    port = {"master": BAD, "max_mtu": 73138, "mtu": 9000}
    (finding,) = found("xdp-max-mtu-stale", pair(port, native()))
    assert finding.severity == "warning"
    assert finding.fix == ()


@pytest.mark.parametrize("mtu, severity", [(3506, "info"), (3507, "warning")])
def test_stale_max_mtu_that_hurts(mtu: int, severity: str) -> None:
    whole = pair(native(), {"max_mtu": 73138, "mtu": mtu})
    (finding,) = found("xdp-max-mtu-stale", whole)
    assert finding.severity == severity
    lower = ["ip netns exec pod1 ip link set dev eth0 mtu 3506"]
    assert finding.fix == (again("veth0", *lower[: severity == "warning"]),)
    assert (f"has MTU {mtu}, " in finding.summary) == (severity == "warning")


@pytest.mark.parametrize("dropped", [0, BAD, None])
def test_mismatch_that_has_dropped_nothing(dropped: Any) -> None:
    veth = None if dropped is None else Veth(dropped, 0)
    # What the other end has dropped was not too long.
    (finding,) = found(
        "mtu-mismatch", pair({"mtu": 9000, "veth": veth}, {"veth": Veth(5, 0)})
    )
    assert finding.severity == "info"
    assert finding.summary.endswith("larger packets would be lost in one direction")
    assert finding.evidence[-1] == ("dropped", dropped or 0)
    assert finding.undecided is None


def test_no_frags_before_there_were_any() -> None:
    old = kernel(xdp_frags=False)
    (finding,) = found("xdp-peer-mtu", pair(None, {"mtu": 9000}, kernel=old))
    assert finding.evidence == (("peer_mtu", 9000), ("max_mtu", 3506))


def test_max_mtu_that_is_too_small() -> None:
    (finding,) = found(
        "xdp-max-mtu-stale", pair(native(program=FRAGS), {"max_mtu": 3506})
    )
    assert finding.severity == "info"
    assert finding.fix == (again("veth0"),)


@pytest.mark.parametrize(
    "rule, snapshot",
    [
        ("no-peer", CASES["no-peer"].fires),
        ("xdp-queue-without-program", CASES["xdp-queue-without-program"].fires),
        ("xdp-queue-overflow", CASES["xdp-queue-overflow"].fires),
    ],
)
def test_somebody_is_changing_it(rule: str, snapshot: Snapshot) -> None:
    (finding,) = found(rule, snapshot._replace(kernel=HELD))
    assert finding.severity == "info"
    assert finding.undecided == (
        "ip (812) holds rtnl_mutex and may have been changing this"
    )
    # Nothing may be broken.
    assert finding.fix == () and finding.fix_effect is None
    assert finding.evidence[-1] == ("rtnl_mutex.owner", "ip (812)")
    (finding,) = found(rule, snapshot._replace(kernel=kernel(rtnl_owner=BAD)))
    assert finding.severity == "error"
    assert finding.evidence[-1] == ("rtnl_mutex.owner", BAD)


def test_message_in_dev_xdp_install() -> None:
    message = "Native and generic XDP can't be active at the same time"
    late = messages("dev_xdp_install", message)
    (finding,) = found("xdp-mode-conflict", pair(generic(), kernel=late))
    assert finding.kernel == KernelAnswer("dev_xdp_install", "EEXIST", message)


def test_two_uppers_of_one_name() -> None:
    """As macvlans that were moved to two namespaces, with the same ifindex even."""
    uppers = [
        device(POD + i, 7, "mv", kind="macvlan", xdp=WITH_XDP, net_device=0x1000 + i)
        for i in range(2)
    ]
    refs = tuple(upper.ref for upper in uppers)
    (finding,) = found("xdp-upper-program", pair({"uppers": refs}, None, *uppers))
    names = [f"mv (netns {POD + i}, ifindex 7)" for i in range(2)]
    assert f": upper devices {', '.join(names)} have programs" in finding.summary
    assert dict(finding.evidence) == {f"prog_id of upper {n}": (7,) for n in names}


def test_link_whose_id_is_unreadable() -> None:
    lost = LINKED._replace(link_id=BAD)
    (finding,) = found("xdp-link-owns-hook", pair(generic(lost)))
    assert finding.summary.startswith(
        "a BPF link (its id could not be read) holds its generic program: "
    )
    assert finding.evidence[0] == ("link_id", BAD)
    assert finding.fix == ()


@pytest.mark.parametrize(
    "netns, names, said",
    [
        (POD, ("pod1",), "eth0 (netns pod1)"),
        (POD, (), f"eth0 (netns {POD})"),
        (POD, BAD, f"eth0 (netns {POD})"),
        (HOST, ("pod1",), "eth0"),
        (BAD, ("pod1",), "eth0"),
    ],
)
def test_peer_in_another_namespace(netns: Any, names: Any, said: str) -> None:
    whole = pair(None, {"netns": netns, "flags": DOWN})
    host, pod = whole.namespaces
    whole = whole._replace(namespaces=(host, pod._replace(names=names)))
    (finding,) = found("peer-down", whole)
    assert finding.summary == (
        f"it is up, but its peer {said} is down: no carrier, no traffic"
    )


def test_upper_where_the_code_is_not_known() -> None:
    case = CASES["xdp-upper-program"].fires
    (finding,) = found("xdp-upper-program", case._replace(kernel=kernel(messages=BAD)))
    assert finding.undecided == (
        f"whether this kernel asks for it (since v5.15): {WHY}"
    )


def test_peer_that_was_not_found() -> None:
    whole = pair({"mtu": 9000})
    lost = whole._replace(devices=whole.devices[:1])
    (finding,) = found("mtu-mismatch", lost)
    assert finding.undecided == (
        "peer could not be read: it was not found in any namespace"
    )


def test_dying_pairs_are_left_alone() -> None:
    gone = {"off_list": "netns is dying", "flags": DOWN, "mtu": 9000}
    sick = pair({**queues(1, 1), **native()}, {**queues(4, 4), **gone})
    assert [f for f in diagnose(sick) if f.severity != "info"] == []


# What undoes a state, and what comes after a fix

ENOSPC = KernelAnswer("veth_xdp_set", "ENOSPC", decision("veth-queues").message)
ERANGE = KernelAnswer("veth_xdp_set", "ERANGE", decision("veth-mtu").message)
EEXIST = KernelAnswer("dev_xdp_attach", "EEXIST", decision("other-mode").message)
#: As README's veth_xxx0: too few queues, a generic program; and a large MTU.
STORY = pair({**queues(2, 2), **generic()}, {**queues(4, 4), "mtu": 9000})


@pytest.mark.parametrize(
    "rule, then, because",
    [
        ("xdp-native-queues", EEXIST, "veth0 has program 7 in generic mode"),
        ("xdp-peer-mtu", EEXIST, "veth0 has program 7 in generic mode"),
        ("xdp-mode-conflict", ERANGE, "peer eth0 has mtu 9000, the limit is 3506"),
    ],
)
def test_what_refuses_then(rule: str, then: KernelAnswer, because: str) -> None:
    finding = next(f for f in found(rule, STORY) if f.device and f.device.ifindex == 3)
    assert finding.fix or finding.undo
    assert finding.then is not None
    assert finding.then.answer == then
    assert finding.then.because.startswith(because)


def test_what_refuses_then_of_another_kernel() -> None:
    """It takes the decision in dev_xdp_install()."""
    late = messages("dev_xdp_install", EEXIST.message or "")
    late = late._replace(
        messages=(*late.messages, ("dev_xdp_attach", frozenset({UPPER})))
        if not isinstance(late.messages, Unreadable)
        else late.messages
    )
    (finding,) = found("xdp-native-queues", STORY._replace(kernel=late))
    assert finding.then is not None
    assert finding.then.answer == EEXIST._replace(function="dev_xdp_install")


def test_two_obstacles_each_show_the_other() -> None:
    both = pair(queues(2, 2), {**queues(4, 4), "mtu": 9000})
    (finding,) = found("xdp-native-queues", both)
    assert finding.then is not None and finding.then.answer == ERANGE
    (finding,) = found("xdp-peer-mtu", both)
    assert finding.then is not None and finding.then.answer == ENOSPC
    for one in (pair(queues(2, 2), queues(4, 4)), pair(None, {"mtu": 9000})):
        assert {f.then for f in diagnose(one)} == {None}


def test_rules_of_a_kernel_that_nobody_can_predict() -> None:
    """Before v5.9; what is found stays, without what comes then."""
    old = kernel(xdp_state=False)
    before = {f.rule: f for f in diagnose(STORY)}
    after = {f.rule: f for f in diagnose(STORY._replace(kernel=old))}
    assert set(before) == set(after)
    for rule, finding in after.items():
        assert finding == before[rule]._replace(then=None)
    assert after["xdp-mode-conflict"].undo is not None


def test_no_then_without_a_command() -> None:
    """Of kernels before v5.15, whose queues cannot be set."""
    (finding,) = found(
        "xdp-native-queues",
        pair({**queues(2, 2), **generic(), **OLD}, {**queues(4, 4), **OLD}),
    )
    assert finding.fix == () and finding.then is None


def test_no_undo_that_the_kernel_refuses() -> None:
    """A detach by netlink, while a device above has a program; a link's is not."""
    bridge = BR0._replace(xdp=WITH_XDP)
    below = {**generic(), "uppers": (BR0.ref,)}
    for rule in ("xdp-mode-conflict", "xdp-upper-program"):
        (finding,) = found(rule, pair(below, None, bridge))
        assert (finding.undo is None) == (rule == "xdp-mode-conflict")
        assert finding.fix == ()
    (finding,) = found(
        "xdp-link-owns-hook", pair({**below, **generic(LINKED)}, None, bridge)
    )
    assert finding.undo == Undo(
        "which detaches the program", ("bpftool link detach id 3",)
    )


def test_uppers_are_detached_from_the_top_down() -> None:
    top = device(HOST, 20, "vlan5", kind="vlan", xdp=WITH_XDP, net_device=0x2000)
    bridge = BR0._replace(xdp=WITH_XDP, uppers=(top.ref,))
    (finding,) = [
        f
        for f in found(
            "xdp-upper-program", pair({"uppers": (BR0.ref,)}, None, bridge, top)
        )
        if f.device and f.device.name == "veth0"
    ]
    assert finding.undo == Undo(
        "which detaches the programs above it",
        (
            "ip link set dev vlan5 xdpdrv off",
            "ip link set dev br0 xdpdrv off",
        ),
    )


def test_upper_then() -> None:
    below = {**generic(), **queues(1, 1), "uppers": (BR0.ref,)}
    bridge = BR0._replace(xdp=WITH_XDP)
    (finding,) = found("xdp-upper-program", pair(below, queues(4, 4), bridge))
    assert finding.then is not None and finding.then.answer == EEXIST
    own = {**native(), "uppers": (BR0.ref,)}
    (finding,) = found("xdp-upper-program", pair(own, None, bridge))
    assert finding.undo is not None and finding.then is None


def test_program_that_could_not_be_attached_again_stays() -> None:
    """Its queues are too few by now."""
    overflow = {**native(), **queues(1, 1)}
    whole = pair(overflow, {**queues(2, 2), "max_mtu": 73138})
    (finding,) = found("xdp-max-mtu-stale", whole)
    assert finding.fix == () and finding.fix_effect is None
    (finding,) = found("xdp-max-mtu-stale", pair(native(), {"max_mtu": 73138}))
    assert finding.fix == (again("veth0"),)


@pytest.mark.parametrize(
    "masks, lost",
    [
        (rps((0,), (0,), (), ()), None),
        (rps((0,), (), (1,), (1,)), "also removes the RPS settings of rx-2-3"),
        (rps((), (), BAD, ()), "also removes the RPS settings of rx-2"),
        ({"rps": BAD}, "also removes any RPS settings of rx-2 and above"),
    ],
)
def test_rps_that_is_lost_with_the_queues(masks: Changes, lost: Optional[str]) -> None:
    """A queue that goes takes its mask along."""
    (finding,) = found(
        "queues-one-sided", pair(queues(2, 3), {**queues(4, 4), **masks})
    )
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 2 tx 3",)
    assert finding.fix_effect == lost
    (finding,) = found(
        "veth-poll-out-of-range",
        pair({**queues(4, 1), **indexed(0, 1, 2, 3), **masks}, queues(1, 1, 1, 2)),
    )
    assert finding.fix == ("ethtool -L veth0 rx 2",)
    assert finding.fix_effect == lost
    native_too = {**queues(4, 1), **native(*[True] * 4), **masks}
    (finding,) = found("veth-poll-out-of-range", pair(native_too, queues(1, 1, 1, 2)))
    assert finding.fix_effect == (AGAIN if lost is None else f"{AGAIN}; {lost}")


def xps(*cpus: Any) -> Changes:
    return {"xps": tuple(XpsQueue(i, c, ()) for i, c in enumerate(cpus))}


@pytest.mark.parametrize(
    "maps, lost",
    [
        (xps((0,), (), (), ()), None),
        (xps((0,), (1,), (), (3,)), "also removes the XPS settings of tx-1,3 of eth0"),
        ({"xps": BAD}, "also removes any XPS settings of tx-1 and above of eth0"),
    ],
)
def test_xps_that_is_lost_with_the_queues(maps: Changes, lost: Optional[str]) -> None:
    """As XPS maps of the peer's TX queues."""
    lost = None if lost is None else f"{lost} (netns pod1)"
    few = {**queues(1, 1), **rps((0,))}
    many = {**queues(1, 4), **maps}
    for rule, changes in (
        ("rps-queue-out-of-range", few),
        ("xdp-native-queues", few),
        ("xdp-queue-overflow", {**few, **native()}),
    ):
        (finding,) = found(rule, pair(changes, many))
        assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 1",)
        assert finding.fix_effect == lost
    # None where RX queues are added, or none at all.
    (finding,) = found("xdp-native-queues", pair(queues(1, 1, 4, 4), many))
    assert finding.fix == ("ethtool -L veth0 rx 4",) and finding.fix_effect is None
    both = pair(queues(2, 1), {**queues(4, 4), **rps((), (), (1,), ()), **maps})
    (finding,) = found("queues-one-sided", both)
    settings = "also removes the RPS settings of rx-2"
    if lost is not None:
        more = lost.split(" of eth0")[0].replace("also removes ", "")
        settings += f" and {more}"
    assert finding.fix_effect == settings


def test_end_that_has_what_it_should_is_left_alone() -> None:
    (finding,) = found("queues-one-sided", pair(queues(3, 2, 4, 4), queues(1, 1, 3, 2)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 rx 3 tx 2",)


def test_both_ends_lose_settings() -> None:
    larger = {**queues(4, 3, 4, 4), **rps((), (), (), (2,))}
    (finding,) = found("queues-one-sided", pair(larger, queues(1, 1, 3, 2)))
    assert len(finding.fix) == 2
    assert finding.fix_effect == (
        "also removes the RPS settings of rx-3 of veth0 (netns 4026531840)"
    )


def test_no_undo_that_leaves_a_program_above() -> None:
    """One is above that nothing leads to."""
    far = device(POD + 5, 7, "mv", kind="macvlan", xdp=WITH_XDP, net_device=0x3000)
    near = BR0._replace(xdp=WITH_XDP)
    uppers = {"uppers": (BR0.ref, far.ref)}
    (finding,) = found("xdp-upper-program", pair(uppers, None, near, far))
    assert "have programs" in finding.summary
    assert finding.undo is None and finding.then is None


def test_only_what_changes_is_set() -> None:
    (finding,) = found("queues-one-sided", pair(queues(4, 2), queues(4, 4)))
    assert finding.fix == ("ip netns exec pod1 ethtool -L eth0 tx 2",)


def test_mask_that_could_not_be_read_is_not_written_over() -> None:
    masks = rps((0,), (1,), BAD)
    (finding,) = found(
        "rps-queue-off-by-one", pair({**queues(3, 3), **masks}, queues(3, 3))
    )
    assert finding.undecided is None
    assert finding.fix == () and finding.fix_effect is None


def test_ports_whose_mtu_goes_down_as_well() -> None:
    port = {"master": BOND.ref, "mtu": 9000}
    bond = BOND._replace(mtu=9000)
    (finding,) = found("mtu-mismatch", pair(port, None, bond))
    assert finding.fix_effect == "lowers the MTU of all ports of bond0"
    (finding,) = found("mtu-mismatch", pair({"mtu": 9000}))
    assert finding.fix_effect is None
    first, second = found("xdp-peer-mtu", pair(port, {"mtu": 9000}, bond))
    assert first.fix_effect == (
        "lowers the MTU of bond0 and all its ports and of eth0 (netns pod1)"
    )
    # One command where one bond has both.
    both = pair(port, {**port, "netns": HOST, "ifindex": 4}, bond)
    for finding in found("xdp-peer-mtu", both):
        assert finding.fix == ("ip link set dev bond0 mtu 3506",)
        assert finding.fix_effect == "lowers the MTU of bond0 and all its ports"


def test_all_pins_have_to_go() -> None:
    (finding,) = found("xdp-link-pinned-only", link(0, (PIN, "/b")))
    assert "and only 2 pins hold the link" in finding.summary
    assert finding.fix == ()
    assert finding.undo == Undo(
        "which removes its pins and so detaches the program", (f"rm '{PIN}'", "rm /b")
    )


# Commands


def test_rps_where_sysfs_is_that_of_another_namespace() -> None:
    """nsenter changes the network namespace, and not what /sys was mounted for."""
    whole = pair()
    pod = Namespace(POD, False, 1, process=Task(41, "nginx"))
    fixes = Fixes(whole._replace(namespaces=(pod,)))
    way = (
        "nsenter --net=/proc/41/ns/net unshare --mount sh -c 'mount -t sysfs sysfs "
        "/sys &&"
    )
    path = "/sys/class/net/eth0/queues"
    ref = whole.devices[-1].ref
    for_all = 'for f in "$0"/rx-*/rps_cpus; do echo 2 >"$f"; done'
    assert fixes.rps_all(ref, (1,)) == (f"{way} {for_all}' {path}",)
    assert fixes.rps(ref, 0, ()) == (f'{way} echo 0 >"$0"\' {path}/rx-0/rps_cpus',)


@pytest.mark.parametrize("name", ["a b", "it's", '"', "$(id)", "b\\s", "*", "-n"])
def test_rps_of_a_device_with_an_odd_name(name: str, tmp_path: Path) -> None:
    """The command, run by a shell, writes to the files that it should."""
    (tmp_path / name / "queues" / "rx-0").mkdir(parents=True)
    (tmp_path / name / "queues" / "rx-0" / "rps_cpus").write_text("")
    whole = pair({"name": name})
    (command,) = Fixes(whole).rps_all(whole.devices[0].ref, (0, 33))
    command = command.replace("/sys/class/net", str(tmp_path))
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    written = (tmp_path / name / "queues" / "rx-0" / "rps_cpus").read_text()
    assert written == "2,00000001\n"


@pytest.mark.parametrize("fails", ["nothing", "pin", "detach", "-L", "attach"])
def test_program_is_not_lost_on_the_way(fails: str, tmp_path: Path) -> None:
    """A shell stops where it has to: nothing is detached that is not pinned."""
    log = tmp_path / "log"
    for tool in ("bpftool", "ethtool", "rm"):
        script = tmp_path / tool
        script.write_text(
            f'#!/bin/sh\necho {tool} "$@" >>{log}\n'
            f'case " $* " in *" {fails} "*) exit 1;; esac\n'
        )
        script.chmod(0o755)
    case = CASES["veth-poll-out-of-range"]
    (command,) = found("veth-poll-out-of-range", case.fires)[0].fix
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], env=path, check=False)
    said = [line.split()[:3] for line in log.read_text().splitlines()]
    steps = [
        ["bpftool", "prog", "pin"],
        ["bpftool", "net", "detach"],
        ["ethtool", "-L", "veth0"],
        ["bpftool", "net", "attach"],
        ["rm", "/sys/fs/bpf/drgn-veth-7"],
    ]
    most = {"nothing": 5, "pin": 1, "detach": 2, "-L": 5, "attach": 4}[fails]
    assert said == steps[:most]
    assert (done.returncode == 0) == (fails in ("nothing", "-L"))


# Noise


def node(pairs: int) -> Snapshot:
    """A sound node: pods, a bridge, a NIC, lo; RPS on some; some pairs are down."""
    devices = [
        device(HOST, 1, "lo", kind=None, mtu=65536),
        device(HOST, 2, "ens1", kind=None, **queues(8, 8), **rps(*[()] * 8)),
        device(HOST, 3, "br0", kind="bridge"),
    ]
    made = []
    for i in range(pairs):
        cpus = (0, 1, 2, 3) if i % 3 == 0 else ()
        plain = {
            **queues(1, 1, 8, 8),
            "driver": CHANNELS,
            "hard_header_len": 14,
            "features": Features(TSO, TSO, 0),
            "xdp": Xdp(None, None, None, rqs(False)),
            **({"flags": DOWN, "operstate": "DOWN"} if i % 10 == 9 else {}),
        }
        a = device(HOST, 10 + i, f"veth{i}", master=devices[2].ref, **plain)
        a = a._replace(uppers=(devices[2].ref,), net_device=0x100000 + 2 * i)
        b = device(POD + i, 2, "eth0", **plain, **rps(cpus))
        b = b._replace(net_device=0x100001 + 2 * i)
        a, b = a._replace(peer=b.ref), b._replace(peer=a.ref)
        devices += [a, b]
        made.append(Pair("veth", a.ref, b.ref))
    inums = [HOST, *(POD + i for i in range(pairs))]
    return Snapshot(
        TARGET,
        tuple(Namespace(inum, inum == HOST, 2) for inum in inums),
        tuple(devices),
        tuple(made),
        kernel=KERNEL,
    )


def test_a_sound_node_is_quiet() -> None:
    findings = diagnose(node(1000))
    assert {finding.rule for finding in findings} == {"rps-which-end"}
    screen = render_findings.findings(findings)
    assert len(screen.splitlines()) == 4


def test_one_sick_pair_in_a_thousand_is_seen() -> None:
    whole = node(1000)
    devices = list(whole.devices)
    devices[500] = devices[500]._replace(mtu=9000, veth=Veth(1, 0))
    findings = diagnose(whole._replace(devices=tuple(devices)))
    assert [f.rule for f in findings if f.severity != "info"] == ["mtu-mismatch"]


def test_time_is_linear() -> None:
    def seconds(pairs: int) -> float:
        whole = node(pairs)
        times = []
        for _ in range(5):
            start = time.process_time()
            diagnose(whole)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(2000) < 10 * seconds(500)


# What is printed


def sick() -> Snapshot:
    """Some of everything, with names that a terminal would rather not have."""
    odd = {"name": "a\x1b[31m\n", "altnames": ()}
    whole = pair(
        {**queues(14, 14), **generic(), **rps((0,)), "mtu": BAD, **odd},
        {**queues(48, 48), **native(*[True] * 48), "xdp": Xdp(None, LINKED, None, BAD)},
    )
    return whole._replace(kernel=None)


def test_order() -> None:
    found = diagnose(sick())
    rank = {"error": 0, "warning": 1, "info": 2}
    keys = [(rank[f.severity], f.rule) for f in found]
    assert keys == sorted(keys)
    assert len({f.severity for f in found}) > 1


def test_filters() -> None:
    whole = pair({"mtu": 3000}, None, BR0._replace(**generic(), **rps((0,))))
    found = diagnose(whole)
    assert {f.device.name for f in found if f.device} == {"veth0", "br0"}
    other_end = keep_findings(found, keep(whole, names=["eth0"]))
    assert {f.device.name for f in other_end if f.device} == {"veth0"}
    bridge = keep_findings(found, keep(whole, kinds=["bridge"]))
    assert {f.device.name for f in bridge if f.device} == {"br0"}
    broken = diagnose(pair({"peer": None}))
    assert has_error(broken)
    assert not has_error(
        keep_findings(broken, keep(pair(), names=["eth0"])._replace(pairs=()))
    )


@pytest.mark.parametrize(
    "snapshot",
    [
        sick(),
        *(case.fires for case in CASES.values()),
        *(lost for case in CASES.values() for lost, _ in case.lost),
    ],
)
def test_json(snapshot: Snapshot) -> None:
    found = diagnose(snapshot)
    report = json.loads(render_json.render(snapshot, found))
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert len(report["findings"]) == len(found)
    assert report == json.loads(json.dumps(render_json.document(snapshot, found)))


def test_json_of_a_finding() -> None:
    case = CASES["xdp-native-queues"].fires
    (record,) = [
        r
        for r in json.loads(render_json.render(case, diagnose(case)))["findings"]
        if r["rule"] == "xdp-native-queues"
    ]
    assert record == {
        "rule": "xdp-native-queues",
        "severity": "info",
        "device": {"netns": HOST, "ifindex": 3, "name": "veth0"},
        "summary": CASES["xdp-native-queues"].summary,
        "evidence": {"real_num_rx_queues": 14, "peer_real_num_tx_queues": 48},
        "kernel": {
            "function": "veth_xdp_set",
            "errno": "ENOSPC",
            "message": decision("veth-queues").message,
        },
        "fix": ["ip netns exec pod1 ethtool -L eth0 tx 14"],
    }
    (record,) = [
        r
        for r in json.loads(render_json.render(STORY, diagnose(STORY)))["findings"]
        if r["rule"] == "xdp-mode-conflict"
    ]
    assert record["fix"] == [] and "fix_effect" not in record
    assert record["undo"] == {
        "effect": "which detaches the program",
        "commands": ["ip link set dev veth0 xdpgeneric off"],
    }
    because = record["then"].pop("because")
    assert because.startswith("peer eth0 has mtu 9000, the limit is 3506")
    assert record["then"] == ERANGE._asdict()
    poll = CASES["veth-poll-out-of-range"].fires
    (record,) = [
        r
        for r in json.loads(render_json.render(poll, diagnose(poll)))["findings"]
        if r["rule"] == "veth-poll-out-of-range"
    ]
    assert record["fix_effect"] == AGAIN
    lost = pair({"mtu": BAD}, {"mtu": 9000})
    records = json.loads(render_json.render(lost, diagnose(lost)))["findings"]
    first, second = [r for r in records if r["rule"] == "mtu-mismatch"]
    assert first["evidence"] == {"mtu": {"unreadable": WHY}}
    assert first["undecided"] == f"mtu could not be read: {WHY}"
    assert second["evidence"] == {"peer_mtu": {"unreadable": WHY}}


def test_schema_refuses_another_shape() -> None:
    case = CASES["xdp-native-queues"].fires
    report = json.loads(render_json.render(case, diagnose(case)))
    wrongs: List[Changes] = [
        {"severity": "bad"},
        {"fix": "x"},
        {"evidence": {"a": {}}},
        {"x": 1},
        {"fix_effect": None},
        {"undo": None},
        {"undo": {"effect": "which detaches the program", "commands": []}},
        {"then": None},
        {"then": {**ENOSPC._asdict(), "errno": None}},
    ]
    for wrong in wrongs:
        broken = {**report, "findings": [{**report["findings"][0], **wrong}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_screen() -> None:
    whole = pair(
        {"mtu": 9000, "veth": Veth(3, 0)},
        {**queues(2, 2)},
        BR0._replace(**generic(), **rps((0,))),
    )
    assert render_findings.findings(diagnose(whole)) == (
        "found: 1 warning, 3 infos; --explain RULE says more\n"
        "\n"
        "warning  mtu-mismatch  4026531840 3: veth0\n"
        "    its MTU is 9000, but peer eth0 (netns pod1) has 1500: larger packets are "
        "lost in one direction; it has dropped 3 so\n"
        "    far\n"
        "    $ ip link set dev veth0 mtu 1500\n"
        "info     generic-xdp-cpu  4026531840 9: br0\n"
        "    its generic program runs on the CPUs that RPS picks (0), or on the "
        "receiving CPU if RPS skips the packet\n"
        "info     xdp-native-queues  4026531840 3: veth0\n"
        "    native XDP would be refused: only 1 real RX queue here, but peer eth0 "
        "(netns pod1) has 2 real TX queues\n"
        "    $ ip netns exec pod1 ethtool -L eth0 tx 1\n"
        "info     xdp-peer-mtu  4026532281 2: eth0\n"
        "    native XDP would be refused: peer veth0 (netns 4026531840) has MTU 9000, "
        "the limit is 3506 (73138 for a program that\n"
        "    supports fragments)\n"
        "    $ ip link set dev veth0 mtu 1500"
    )


def test_screen_tells_undo_from_fix() -> None:
    """Only what cures has a "$"; what comes then stands behind it."""
    screen = render_findings.findings(diagnose(STORY), unfold=True)
    assert (
        "info     xdp-mode-conflict  4026531840 3: veth0\n"
        "    native XDP, and so an attach without a mode, is refused: a generic "
        "program is attached\n"
        "    to undo it, which detaches the program: "
        "ip link set dev veth0 xdpgeneric off\n"
        '    a native attach would then fail with ERANGE "veth: Peer MTU is too large '
        'to set XDP": peer eth0 has mtu 9000, the\n'
        "    limit is 3506: "
    ) in screen
    assert (
        "    $ ip netns exec pod1 ethtool -L eth0 tx 2\n"
        '    a native attach would then fail with EEXIST "Native and generic XDP '
        "can't be active at the same time\": veth0 has\n"
        "    program 7 in generic mode\n"
    ) in screen
    masks = CASES["rps-queue-off-by-one"].fires
    screen = render_findings.findings(diagnose(masks))
    assert (
        "    this writes 2,00000009 (CPUs 0,3,33), the union of all masks, to all 2 RX "
        "queues:\n"
        "    $ ip netns exec pod1 sh -c "
    ) in screen


def test_screen_of_more_than_one_command_that_undoes() -> None:
    pins = found("xdp-link-pinned-only", link(0, (PIN, "/b")))
    assert render_findings.findings(pins).splitlines()[-3:] == [
        "    to undo it, which removes its pins and so detaches the program:",
        f"       rm '{PIN}'",
        "       rm /b",
    ]
    # One that is too long for the line has lines of its own.
    long = [f"/{'x' * 50}", *"yz" * 30]
    undo = Undo("which detaches the program", (shlex.join(["rm", *long]),))
    screen = render_findings.findings([pins[0]._replace(undo=undo)])
    start = screen.index("program:\n") + len("program:\n")
    assert shlex.split(screen[start:].replace("\\\n", " ")) == ["rm", *long]
    assert all(len(line) <= 120 for line in screen.splitlines())


def test_no_command_is_shown_as_a_cure_where_nothing_is_broken() -> None:
    for rule in (
        "queues-cpus",
        "xdp-link-owns-hook",
        "xdp-link-pinned-only",
        "xdp-mode-conflict",
        "xdp-upper-program",
    ):
        assert "$" not in render_findings.findings(found(rule, CASES[rule].fires))


def many(count: int, *findings: Finding) -> List[Finding]:
    return [
        finding._replace(device=device(HOST, i, f"veth{i}").ref)
        for finding in findings
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("records", "program", "outcome"),
    [
        (RecordsRxQueue.NEVER, False, "shifted"),
        (RecordsRxQueue.NEVER, True, "shifted"),
        (RecordsRxQueue.ALWAYS, False, "as numbered"),
        (RecordsRxQueue.ALWAYS, True, "as numbered"),
        (RecordsRxQueue.WITH_XDP, True, "as numbered"),
        (RecordsRxQueue.WITH_XDP, False, "undecided"),
        (BAD, True, "undecided"),
        (None, False, "undecided"),
    ],
)
def test_who_writes_the_rx_queue(records: Any, program: bool, outcome: str) -> None:
    """Where veth_xmit() does, masks are used as they are numbered."""
    end = {**queues(2, 2), **rps((0, 1), (2,))}
    if program:
        end.update(native(True, True))
    snapshot = pair(queues(2, 2), end, kernel=kernel(records_rx_queue=records))
    findings = found("rps-queue-off-by-one", snapshot)
    if outcome == "as numbered":
        assert findings == []
        return
    (finding,) = findings
    assert finding.severity == ("info" if outcome == "undecided" else "warning")
    assert bool(finding.undecided) == (outcome == "undecided")
    assert bool(finding.fix) == bool(finding.fix_effect) == (outcome == "shifted")
    if outcome == "undecided":
        assert "skb_record_rx_queue()" in (finding.undecided or "")


@pytest.mark.parametrize(
    ("records", "steers"),
    [(RecordsRxQueue.NEVER, 1), (RecordsRxQueue.ALWAYS, 2)],
)
def test_which_masks_steer(records: RecordsRxQueue, steers: int) -> None:
    """Of two, with two TX queues at the peer: rx-0 serves both, or each its own."""
    end = {**queues(2, 2), **rps((1,), (2,))}
    snapshot = pair(queues(2, 2), end, kernel=kernel(records_rx_queue=records))
    (finding,) = found("rps-which-end", snapshot)
    masks = snapshot.devices[1].rps
    assert isinstance(masks, tuple)
    assert f"its RPS ({rps_words(masks[:steers])}) steers" in finding.summary


#: Two values that could not be read, for the same reason: not known to be equal.
LOST = [
    ("queues-one-sided", queues(BAD, 1, 4, 4), "real_num_rx_queues"),
    ("queues-one-sided", queues(1, 1, BAD, 4), "num_rx_queues"),
    ("mtu-mismatch", {"mtu": BAD}, "mtu"),
    ("rps-which-end", {**queues(3, 3), **rps((1,), BAD, (1,))}, "rps_map"),
    ("xdp-stale-program", {**queues(BAD, 1), "veth": Veth(0, 0, BAD)}, "rq[].xdp_prog"),
]


@pytest.mark.parametrize(("rule", "changes", "name"), LOST)
def test_two_lost_values_are_not_equal(rule: str, changes: Changes, name: str) -> None:
    findings = found(rule, pair(changes, changes))
    assert findings
    for finding in findings:
        assert finding.undecided and finding.undecided.startswith(name)


def test_link_with_a_lost_id_is_no_other_one() -> None:
    held = LINKED._replace(link_id=BAD)
    snapshot = pair({"xdp": Xdp(held, None, None, ())})
    other = XdpLink(BAD, snapshot.devices[0].ref, (PIN,), 0)
    (finding,) = found("xdp-link-pinned-only", snapshot._replace(links=(other,)))
    assert finding.undecided == f"link_id could not be read: {WHY}"


def one(rule: str) -> Finding:
    (finding,) = found(rule, CASES[rule].fires)
    return finding


def test_many_warnings_are_counted() -> None:
    found = many(14, one("mtu-mismatch"))
    screen = render_findings.findings(found)
    assert "found: 14 warnings;" in screen
    assert len(re.findall("^warning  mtu-mismatch  4026531840", screen, re.M)) == 10
    assert screen.endswith("warning  mtu-mismatch  4 more; --findings all lists them")
    whole = render_findings.findings(found, unfold=True)
    assert len(re.findall("^warning  mtu-mismatch  4026531840", whole, re.M)) == 14


def test_infos_are_folded() -> None:
    found = many(14, one("xdp-native-queues"), one("mtu-frozen"))
    lines = render_findings.findings(found).splitlines()
    assert lines[2:] == [
        (
            "info     xdp-native-queues  14, such as 4026531840 0: veth0: native XDP "
            "would be refused: only 14 real RX queues here,"
        ),
        "    but peer eth0 (netns pod1) has 48 real TX queues",
        (
            "info     mtu-frozen  14, such as 4026531840 0: veth0: its native program "
            "limits the MTU of peer eth0 (netns pod1) to"
        ),
        "    3506",
    ]
    assert lines[0] == "found: 28 infos; --explain RULE says more"
    unfolded = render_findings.findings(found, unfold=True)
    assert len(re.findall("^info ", unfolded, re.M)) == 28


def test_one_reason_is_one_line() -> None:
    """As where veth has no types: each of its members is missing for each device."""
    lost = [
        found(rule, snapshot)[0]
        for rule, snapshot in (
            ("xdp-tx-lost", CASES["xdp-tx-lost"].lost[0][0]),
            ("mtu-mismatch", CASES["mtu-mismatch"].lost[0][0]),
        )
    ]
    lines = render_findings.findings(many(50, *lost)).splitlines()
    assert lines == [
        "found: 100 undecided; --explain RULE says more",
        "",
        (
            "info     undecided  100, such as 4026531840 0: veth0: peer_rq could not "
            f"be read: {WHY}"
        ),
        "    in mtu-mismatch, xdp-tx-lost",
    ]
    reasons = [
        lost[0]._replace(evidence=(("rq", Unreadable(f"fault {i}")),), undecided="rq")
        for i in range(25)
    ]
    lines = render_findings.findings(reasons).splitlines()
    assert len(lines) == 2 + 2 * 10 + 1
    assert lines[-1] == "info     15 more undecided; --findings all lists them"


def test_rules_that_one_reason_stops_are_named() -> None:
    """As many as one line takes."""
    lost = [one("mtu-mismatch")._replace(rule=rule) for rule in RULES_BY_ID]
    lost = [
        f._replace(evidence=(("rq", BAD),), undecided="rq", severity="info")
        for f in lost
    ]
    line = render_findings.findings(lost).splitlines()[-1]
    names = line[len("    in ") :].split(" and ")[0].split(", ")
    assert names == sorted(RULES_BY_ID)[: len(names)]
    assert line.endswith(f" and {len(RULES_BY_ID) - len(names)} more")
    assert 80 < len(line) <= 120
    line = render_findings.findings(lost[:3]).splitlines()[-1]
    assert line == f"    in {', '.join(sorted(f.rule for f in lost[:3]))}"


def test_undecided_are_counted_apart() -> None:
    fires = CASES["veth-poll-out-of-range"].fires
    unread = fires._replace(kernel=kernel(veth_poll=BAD))
    (poll,) = found("veth-poll-out-of-range", unread)
    held = found("no-peer", CASES["no-peer"].fires._replace(kernel=HELD))[0]
    screen = render_findings.findings(
        [one("no-peer"), *many(2, one("mtu-mismatch")), one("mtu-frozen"), poll, held]
    )
    assert screen.startswith("found: 1 error, 2 warnings, 1 info, 2 undecided; ")
    # What they say is more than that something is missing.
    assert poll.summary[:40] in screen
    assert "ip (812) holds rtnl_mutex" in screen
    assert undecided_errors([one("no-peer"), poll]) is None
    everywhere = held._replace(device=None)
    assert undecided_errors([held, held, *many(3, held)]) == (
        "undecided on 4 devices, and so no error for --check: no-peer"
    )
    assert undecided_errors([everywhere]) == (
        "undecided on all devices, and so no error for --check: no-peer"
    )


def test_types_that_are_missing_are_one_line() -> None:
    """veth is a module, and its types are not there: nothing of it can be read."""
    whole = node(200)
    devices = tuple(
        d._replace(veth=Veth(BAD, BAD, BAD, BAD), xdp=d.xdp._replace(queues=BAD))
        if d.kind == "veth"
        else d
        for d in whole.devices
    )
    findings = diagnose(whole._replace(devices=devices))
    assert len([f for f in findings if f.undecided is not None]) > 500
    screen = render_findings.findings(findings)
    assert len(re.findall("^info     undecided ", screen, re.M)) == 1
    assert re.match(r"found: \d+ infos, \d+ undecided; ", screen)


def test_screen_is_empty_without_findings() -> None:
    assert render_findings.findings(()) == ""


def test_screen_fits_whatever_is_in_it() -> None:
    wild = "\x1b[7m\u202e\x07" * 2
    finding = one("rps-queue-off-by-one")._replace(
        device=device(HOST, 3, wild).ref,
        summary=f"a {wild} b" * 9,
        undecided=wild,
        fix=("x " * 200,),
        fix_effect=f"does {wild} " * 9,
        undo=Undo(f"which {wild} " * 9, ("y " * 200, wild, "z " * 200)),
        then=Then(KernelAnswer("f", "EBUSY", wild * 9), f"a {wild} " * 9),
    )
    for unfold in (True, False):
        for severity in ("error", "info"):
            found = [finding._replace(severity=severity)]
            for line in render_findings.findings(found, unfold).splitlines():
                assert len(line) <= 120 or " " not in line.strip()[2:]
                assert line.isprintable()


@pytest.mark.parametrize(
    "words",
    [
        ["echo"] + ["word"] * 60,
        ["sh", "-c", "echo  'two  blanks' " * 20],
        ["echo", "a b" * 60],
    ],
    ids=["words", "script", "one"],
)
def test_long_command_can_be_copied(words: List[str]) -> None:
    finding = one("mtu-mismatch")._replace(fix=(shlex.join(words),))
    lines = render_findings.findings([finding]).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    $ "))
    copied = "\n".join(lines[start:])[len("    $ ") :]
    assert shlex.split(copied.replace("\\\n", " ")) == words
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -- {copied.replace('echo', 'echo', 1)}; printf '%s\\0' \"$@\"",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\0")[:-1] == words


# The page


def test_page_is_made_of_the_rules() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drgn_veth.analysis.rules"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY / "helpers",
    )
    assert done.stdout == markdown()
    assert (REPOSITORY / "docs" / "rules.md").read_text() == markdown()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_tells_all(rule: Any) -> None:
    assert rule.severity in ("error", "warning", "info")
    text = explain(rule)
    assert text.startswith(f"{rule.id} ({rule.severity}): {rule.title}\n")
    assert all(len(line) <= 88 for line in text.splitlines())
    for part in (rule.predicate, rule.sees, rule.fix):
        assert len(part) > 15
    # A function and its file.
    assert re.search(r"\w\(\)", rule.why)
    assert re.search(r"\((net|drivers|kernel|include)/[\w/]+\.[ch]\)|\.c\)", rule.why)
    assert f"\n## {rule.id}\n" in markdown()
