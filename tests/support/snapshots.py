# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots that are made by hand: a device, a pair, a node, with changes."""

from typing import Any, Optional

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

__all__ = (
    "BAD",
    "BOND",
    "BOND_SLAVE",
    "BR0",
    "BY_RXQ",
    "CHANNELS",
    "CHECKED",
    "Changes",
    "DOWN",
    "FRAGS",
    "GRO",
    "HELD",
    "HOST",
    "KERNEL",
    "LINKED",
    "MANY_CPUS",
    "MESSAGES",
    "NIC",
    "NO_XDP",
    "OLD",
    "PIN",
    "POD",
    "PROGRAM",
    "STALE",
    "STORY",
    "STUCK",
    "TARGET",
    "TSO",
    "TWO_RPS",
    "UNCHECKED",
    "UPPER",
    "WHY",
    "WITH_XDP",
    "device",
    "generic",
    "indexed",
    "kernel",
    "link",
    "messages",
    "native",
    "node",
    "pair",
    "queues",
    "rps",
    "rqs",
    "sick",
    "snapshot",
    "xps",
)

HOST = 4026531840
POD = 4026532281
BAD = Unreadable("Excluded page: 0x1000")


def device(netns: int, ifindex: int, name: str, **changes: Any) -> Device:
    """A plain veth, with changes."""
    plain = Device(
        netns=netns,
        ifindex=ifindex,
        name=name,
        altnames=(),
        alias=None,
        net_device=0xFFFF888000000000 + ifindex,
        kind="veth",
        flags=("BROADCAST", "MULTICAST", "UP", "RUNNING", "LOWER_UP"),
        operstate="UP",
        reg_state="REGISTERED",
        mtu=1500,
        min_mtu=68,
        max_mtu=65535,
        mac="02:00:00:00:00:01",
        qdisc="noqueue",
        addresses=(),
        master=None,
        lowers=(),
        uppers=(),
        queues=Queues(QueueCount(1, 1), QueueCount(1, 1)),
        peer=None,
        xdp=Xdp(None, None, None, ()),
        rps=(RpsQueue(0, (), 0),),
        xps=(XpsQueue(0, (), ()),),
    )
    return plain._replace(**changes)


def snapshot(*devices: Device, **changes: Any) -> Snapshot:
    pairs = []
    if len(devices) >= 2:
        pairs.append(Pair("veth", devices[0].ref, devices[1].ref))
    inums = sorted({d.netns for d in devices if isinstance(d.netns, int)})
    whole = Snapshot(
        Target("6.1.0", "kdump", "x86_64", "dwarf", 4, (0, 1, 2, 3), 0),
        tuple(
            Namespace(n, n == HOST, 1, label="host" if n == HOST else f"net:{n}")
            for n in inums
        ),
        devices,
        tuple(pairs),
    )
    return whole._replace(**changes)


WHY = BAD.reason
CHANNELS = Driver("veth", True, True, True)
OLD: dict[str, Any] = {"driver": CHANNELS._replace(set_channels=False)}
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
Changes = dict[str, Any]


def queues(rx: Any, tx: Any, num_rx: Any = None, num_tx: Any = None) -> Changes:
    count = Queues(QueueCount(rx, num_rx or rx), QueueCount(tx, num_tx or tx))
    return {"queues": count}


def rqs(*napi: Any, prog: Any = None, errors: Any = 0) -> tuple[XdpQueue, ...]:
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


def xps(*cpus: Any) -> Changes:
    return {"xps": tuple(XpsQueue(i, c, ()) for i, c in enumerate(cpus))}


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
    first = first._replace(netns_label="host")
    second = second._replace(netns_label="pod1")
    second = second._replace(net_device=0xFFFF888000001000)
    first, second = first._replace(peer=second.ref), second._replace(peer=first.ref)
    first, second = first._replace(**a or {}), second._replace(**b or {})
    found = Snapshot(
        TARGET,
        (
            Namespace(HOST, True, 1, label="host"),
            Namespace(
                *(POD, False, 1),
                names=("pod1",),
                mounts=("/run/netns/pod1",),
                label="pod1",
            ),
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


FRAGS = PROGRAM._replace(frags=True)
TWO_RPS = rps((0, 1), ())
BOND_SLAVE: Changes = {
    "master": BOND.ref,
    "veth": Veth(0, 0xFFFF888000009000),
    "xdp": Xdp(None, None, None, rqs(True, prog=7)),
}
STALE = Veth(0, 0x77, stale=(StaleProgram(1, 0x77), StaleProgram(2, 0x77)))
STUCK = StoppedTxQueue(1, True, False)
#: As README's veth_xxx0: too few queues, a generic program; and a large MTU.
STORY = pair({**queues(2, 2), **generic()}, {**queues(4, 4), "mtu": 9000})


def sick() -> Snapshot:
    """Some of everything, with names that a terminal would rather not have."""
    odd = {"name": "a\x1b[31m\n", "altnames": ()}
    whole = pair(
        {**queues(14, 14), **generic(), **rps((0,)), "mtu": BAD, **odd},
        {**queues(48, 48), **native(*[True] * 48), "xdp": Xdp(None, LINKED, None, BAD)},
    )
    return whole._replace(kernel=None)


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
        tuple(Namespace(inum, inum == HOST, 2, label=f"net:{inum}") for inum in inums),
        tuple(devices),
        tuple(made),
        kernel=KERNEL,
    )
