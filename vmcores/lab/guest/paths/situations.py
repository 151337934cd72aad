# SPDX-License-Identifier: LGPL-2.1-or-later
"""The situations in which path_scene.py sends packets."""

from __future__ import annotations

from collections.abc import Iterator

from .situation import (
    ISOLATED,
    OFFLINE,
    Flow,
    Situation,
    Step,
    on_cpus,
    on_queues,
    pair,
)

__all__ = ("KINDS", "SITUATIONS", "TARGET_SITUATIONS")

ALL = None
CPU_1, CPUS_1_2 = 1 << 1, 1 << 1 | 1 << 2
#: Number of TX queues that send, and of RX queues that receive.
SHAPES = ((1, 1), (2, 1), (1, 2), (4, 4), (48, 14), (14, 48))


def _simple(name: str, tx: int, rx: int, *steps: Step, more: str = "") -> Situation:
    return Situation(name, (pair(name, tx, rx, more=more),), on_queues(tx), steps)


def _queues() -> Iterator[Situation]:
    for tx, rx in SHAPES:
        yield _simple(f"q{tx}_{rx}", tx, rx)
        name = f"gen{tx}_{rx}"
        yield _simple(name, tx, rx, ("xdp", name + "r", "generic", "pass"))
        # Each end needs as many RX queues as the other has TX queues.
        if tx <= rx:
            name = f"nat{tx}_{rx}"
            yield _simple(name, tx, rx, ("xdp", name + "r", "native", "pass"))
    for name, mode in (("lq", ""), ("lgen", "generic")):
        attach: tuple[Step, ...] = (("xdp", name + "r", mode, "pass"),) if mode else ()
        yield Situation(
            name,
            (pair(name, 8, 8),),
            on_queues(8),
            (("channels", name + "r", 3, 1), *attach),
        )
    # Fewer queues, and a program that came before they grew again.
    yield Situation(
        "lnat",
        (pair("lnat", 8, 8),),
        on_queues(4),
        (
            ("channels", "lnats", 1, 4),
            ("channels", "lnatr", 4, 1),
            ("xdp", "lnatr", "native", "pass"),
        ),
    )
    yield Situation(
        "lgrow",
        (pair("lgrow", 8, 8),),
        on_queues(8),
        (
            ("channels", "lgrows", 1, 4),
            ("channels", "lgrowr", 4, 1),
            ("xdp", "lgrowr", "native", "pass"),
            ("channels", "lgrowr", 8, 1),
            ("channels", "lgrows", 1, 8),
        ),
    )


def _programs() -> Iterator[Situation]:
    for tx in 1, 4:
        name = f"both{tx}"
        yield _simple(
            name,
            tx,
            tx,
            ("xdp", name + "r", "native", "pass"),
            ("xdp", name + "s", "native", "pass"),
        )
        name = f"peer{tx}"
        yield _simple(name, tx, tx, ("xdp", name + "s", "native", "pass"))
    name = "genb"
    yield _simple(
        name,
        2,
        2,
        ("xdp", name + "r", "generic", "pass"),
        ("xdp", name + "s", "generic", "pass"),
    )
    name = "natgen"
    yield _simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "pass"),
        ("xdp", name + "s", "generic", "pass"),
    )
    name = "frags"
    yield _simple(name, 2, 2, ("xdp", name + "r", "native", "frags"), more="mtu 9000")
    for what in "drop", "aborted":
        for mode in "native", "generic":
            name = f"{what}{mode[0]}"
            yield _simple(name, 2, 2, ("xdp", name + "r", mode, what))
    name = "txlost"
    yield _simple(name, 2, 2, ("xdp", name + "r", "native", "tx"))
    name = "txnat"
    yield _simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "tx"),
        ("xdp", name + "s", "native", "pass"),
    )
    name = "txgro"
    yield _simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "tx"),
        ("gro", name + "s", 1),
    )
    name = "txgen"
    yield _simple(name, 2, 2, ("xdp", name + "r", "generic", "tx"))
    # Polled for GRO: only what a sender without TSO sends.
    for name, tso in (("grotso", 1), ("gronot", 0)):
        yield _simple(
            name,
            4,
            4,
            ("gro", name + "r", 1),
            ("tso", name + "s", tso),
        )
    name = "groq"
    yield _simple(name, 4, 2, ("gro", name + "r", 1), ("tso", name + "s", 0))
    name = "grogen"
    yield _simple(
        name,
        2,
        2,
        ("gro", name + "r", 1),
        ("tso", name + "s", 0),
        ("xdp", name + "r", "generic", "pass"),
    )
    name = "hidden"
    yield Situation(
        name,
        (pair(name, 2, 2, where="far"),),
        on_queues(2),
        (("xdp", name + "r", "native", "pass", "far"),),
        where="far",
    )


def _steering() -> Iterator[Situation]:
    for name, tx, rx, queue, mask in (
        ("rps0", 4, 4, 0, CPU_1),
        ("rps1", 4, 4, 1, CPU_1),
        ("rps3", 4, 4, 3, CPU_1),
        ("rpsall", 4, 4, ALL, CPU_1),
        ("rpsmore", 4, 4, ALL, CPUS_1_2),
        ("rps1_1", 1, 1, ALL, CPU_1),
        ("rps2_1", 2, 1, ALL, CPU_1),
        ("rps4_1", 4, 1, ALL, CPU_1),
        ("rps4_2", 4, 2, ALL, CPU_1),
        ("rps48", 48, 14, ALL, CPU_1),
        ("rps14", 14, 48, ALL, CPU_1),
        ("rpsoff", 2, 2, ALL, 1 << OFFLINE),
        ("rpshalf", 2, 2, ALL, 1 << OFFLINE | CPU_1),
        ("rpsiso", 2, 2, ALL, 1 << ISOLATED | CPU_1),
    ):
        yield _simple(name, tx, rx, ("rps", name + "r", queue, mask))
    yield _simple("rpspeer", 2, 2, ("rps", "rpspeers", ALL, CPU_1))
    yield _simple(
        "rpstwo", 4, 4, ("rps", "rpstwor", 0, CPU_1), ("rps", "rpstwor", 2, 1 << 2)
    )
    for mode in "native", "generic":
        name = f"rps{mode[:3]}"
        yield _simple(
            name,
            4,
            4,
            ("xdp", name + "r", mode, "pass"),
            ("rps", name + "r", ALL, CPU_1),
        )
    name = "rpsnat1"
    yield _simple(
        name,
        4,
        4,
        ("xdp", name + "r", "native", "pass"),
        ("rps", name + "r", 1, CPU_1),
    )
    name = "rpsgro"
    yield _simple(
        name,
        4,
        4,
        ("gro", name + "r", 1),
        ("tso", name + "s", 0),
        ("rps", name + "r", ALL, CPU_1),
    )
    name = "rpsgen48"
    yield _simple(
        name,
        48,
        14,
        ("xdp", name + "r", "generic", "pass"),
        ("rps", name + "r", ALL, CPU_1),
    )
    # The global table is there: half of RFS, all of it, and with RPS.
    yield _simple("rfs", 2, 2, ("rfs", "rfsr", ALL, 64))
    yield _simple("rfs0", 4, 4, ("rfs", "rfs0r", 0, 64))
    yield _simple(
        "rfsrps", 2, 2, ("rfs", "rfsrpsr", ALL, 64), ("rps", "rfsrpsr", ALL, CPU_1)
    )
    cpus = on_cpus(0, 1, 2, 3)
    for name, how in (("cpus", "socket"), ("bypass", "bypass")):
        yield Situation(name, (pair(name, 4, 4),), cpus, how=how)
    xps: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
        ("xpsrev", ((3, 1), (2, 2), (1, 4), (0, 8))),
        ("xpspart", ((2, 1),)),
        ("xpstwo", ((1, 1), (3, 1), (0, 2))),
    )
    for name, queues in xps:
        steps = tuple(("xps", name + "s", queue, mask) for queue, mask in queues)
        yield Situation(name, (pair(name, 4, 4),), cpus, steps, how="socket")
    name = "xpsnat"
    yield Situation(
        name,
        (pair(name, 4, 4),),
        cpus,
        (
            *((("xps", name + "s", 3 - n, 1 << n)) for n in range(4)),
            ("xdp", name + "r", "native", "pass"),
        ),
        how="bypass",
    )
    name = "xpsrxq"
    yield Situation(
        name,
        (pair(name, 4, 4),),
        cpus,
        (("xps_rxqs", name + "s", 1, 1), ("xps_rxqs", name + "s", 2, 2)),
        how="socket",
    )


#: Targets of redirects, and their links; the last letter p is for a peer.
TARGETS = (
    "link add tready type veth peer name treadyp",
    pair("tmany", 4, 4).replace("tmanys", "tmany").replace("tmanyr", "tmanyp"),
    "link add tgro type veth peer name tgrop",
    "link add tnone type veth peer name tnonep",
    "link add tdown group 1 type veth peer name tdownp",
    "link add tpdown type veth peer name tpdownp group 1",
    "link add tmtu mtu 68 type veth peer name tmtup",
    "link add tdum type dummy",
    "link add tlow type dummy",
    "link add tbr type bridge",
    "link add tbond type bond mode active-backup",
    "link add tvlan link tlow type vlan id 9",
    "link add tmacv link tlow type macvlan mode bridge",
    "link add tlow2 type dummy",
    "link add tipv link tlow2 type ipvlan mode l2",
    "link add tifb type ifb",
    "tuntap add dev ttap mode tap",
    "tuntap add dev ttapn mode tap",
    "tuntap add dev ttun mode tun",
)
TARGET_STEPS: tuple[Step, ...] = (
    ("xdp", "treadyp", "native", "pass"),
    ("xdp", "tmanyp", "native", "pass"),
    ("xdp", "tdownp", "native", "pass"),
    ("xdp", "tmtup", "native", "pass"),
    ("gro", "tgrop", 1),
    ("tap", "ttap", "tap"),
    ("tap", "ttun", "tun"),
)
#: Devices to redirect to. Nothing is sent by them.
TARGET_SITUATIONS = (
    Situation("targets", TARGETS, steps=TARGET_STEPS),
    Situation("tnk", ("link add tnk type netkit mode l2 peer name tnkp",)),
)
KINDS = (
    "tready", "tmany", "tgro", "tnone", "tdown", "tpdown", "tmtu", "tdum", "tbr",
    "tbond", "tvlan", "tmacv", "tipv", "tifb", "ttap", "ttapn", "ttun", "tnk",
    "lo", "nic",
)  # fmt: skip


def _redirect(name: str, mode: str, what: str, target: str) -> Situation:
    flows = on_cpus(0, 1, 2, 3) if target == "tmany" else on_cpus(0)
    if target == "tmtu":
        # One that is short enough, and one that is not.
        flows = (Flow(0), Flow(60))
    return Situation(
        name, (pair(name),), flows, (("xdp", name + "r", mode, what, target),)
    )


def _redirects() -> Iterator[Situation]:
    yield from TARGET_SITUATIONS
    for target in KINDS:
        yield _redirect("d" + target, "native", "devmap", target)
    for target in "tready", "tnone", "tdum", "tdown":
        yield _redirect("h" + target, "native", "hash", target)
    for target in "tready", "tnone", "tdum", "tdown", "tgro", "ttap":
        yield _redirect("b" + target, "native", "bare", target)
    for target in "tready", "tnone", "tdum", "tdown", "tbr", "tgro", "tmtu", "tnk":
        yield _redirect("g" + target, "generic", "devmap", target)
    for target in "tnone", "tdum":
        yield _redirect("i" + target, "generic", "bare", target)
    yield _redirect("ptready", "native", "entry", "tready")
    yield _redirect("etready", "native", "empty", "tready")
    for mode in "native", "generic":
        letter = mode[0]
        name = f"cpu{letter}"
        yield Situation(
            name,
            (pair(name, 2, 2),),
            on_queues(2),
            (("xdp", name + "r", mode, "cpumap", 1),),
        )
        # A socket on queue 0; queue 1 has none.
        name = f"xsk{letter}"
        yield Situation(
            name,
            (pair(name, 2, 2),),
            on_queues(2),
            (("xdp", name + "r", mode, "xskmap", 1),),
        )
    name = "xskdry"
    yield Situation(
        name, (pair(name),), on_queues(1), (("xdp", name + "r", "native", "xskmap", 0),)
    )


def _stacked() -> Iterator[Situation]:
    for mode in "", "native", "generic":
        attach: tuple[Step, ...] = ()
        name = "bdg" + mode[:1]
        if mode:
            attach = (("xdp", name + "r", mode, "pass"),)
        yield Situation(
            name,
            (
                pair(name, 2, 2),
                f"link add {name}o type veth peer name {name}p",
                f"link add {name}b type bridge",
                f"link set {name}r master {name}b",
                f"link set {name}o master {name}b",
            ),
            on_queues(2),
            attach,
            watch=(name + "b", name + "p"),
        )
        name = "bo" + mode[:1]
        yield Situation(
            name,
            (
                pair(name, 2, 2),
                f"link add {name}b type bond mode active-backup",
                f"link set {name}r down master {name}b",
            ),
            on_queues(2),
            tuple((step[0], name + "r", *step[2:]) for step in attach),
            watch=(name + "b",),
        )
    name = "bonat"
    yield Situation(
        name,
        (
            pair(name, 2, 2),
            f"link add {name}b type bond mode active-backup",
            f"link set {name}r down master {name}b",
        ),
        on_queues(2),
        (("xdp", name + "b", "native", "pass"),),
        watch=(name + "b",),
    )
    name = "bosend"
    yield Situation(
        name,
        (
            f"link add {name}s type bond mode active-backup",
            f"link add {name}l type veth peer name {name}r",
            f"link set {name}l down master {name}s",
        ),
        on_queues(1),
    )
    for name, tag in (("vlan", 5), ("vlanno", 6)):
        yield Situation(
            name,
            (pair(name), f"link add link {name}r name {name}v type vlan id 5"),
            on_cpus(0),
            how="bypass",
            watch=(name + "v",),
            tag=tag,
        )
    name = "vlang"
    yield Situation(
        name,
        (pair(name), f"link add link {name}r name {name}v type vlan id 5"),
        on_cpus(0),
        (("xdp", name + "v", "generic", "pass"),),
        how="bypass",
        watch=(name + "v",),
        tag=5,
    )
    mac = "02:00:00:00:00:aa"
    for name, to in (("macv", mac), ("macvno", ""), ("macvg", mac)):
        yield Situation(
            name,
            (
                pair(name, 2, 2),
                f"link add {name}m link {name}r address {mac} type macvlan mode bridge",
            ),
            on_queues(2),
            (("xdp", name + "m", "generic", "pass"),) if name == "macvg" else (),
            watch=(name + "m",),
            to=to,
        )
    for name, steps in (
        ("nk", ()),
        ("nkg", (("xdp", "nkgr", "generic", "pass"),)),
        ("nkrps", (("rps", "nkrpsr", ALL, CPU_1),)),
    ):
        yield Situation(
            name,
            (f"link add {name}s type netkit mode l2 peer name {name}r",),
            on_queues(1),
            steps,
        )
    yield Situation(
        "nkhole",
        ("link add nkholes type netkit mode l2 blackhole peer name nkholer",),
        on_queues(1),
    )
    for name, hook in (("tcin", "r ingress"), ("tcout", "s egress")):
        for what in "pass", "drop":
            full = name + what[0]
            device, way = hook.split()
            yield Situation(
                full,
                (pair(full, 2, 2),),
                on_queues(2),
                (("tc", full + device, way, what),),
            )
    yield _simple("mq", 2, 2, ("qdisc", "mqs", "mq"))
    yield _simple("pfifo", 1, 1, ("qdisc", "pfifos", "pfifo"))
    yield _simple("sdown", 1, 1, ("ip", "link set sdowns down"))
    yield _simple("rdown", 1, 1, ("ip", "link set rdownr down"))
    # Longer than the MTU of the receiver, and short enough.
    yield Situation(
        "mtu",
        ("link add mtus type veth peer name mtur mtu 100",),
        (Flow(0), Flow(100)),
    )
    yield Situation(
        "thread",
        (pair("thread", 2, 2),),
        on_queues(2),
        (("xdp", "threadr", "native", "pass"), ("threaded", "threadr", 1)),
    )


SITUATIONS: tuple[Situation, ...] = (
    *_queues(),
    *_programs(),
    *_steering(),
    *_redirects(),
    *_stacked(),
)
