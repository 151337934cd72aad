# SPDX-License-Identifier: LGPL-2.1-or-later
"""Situations in which XDP programs redirect, and the devices that they redirect to."""

from __future__ import annotations

from collections.abc import Iterator

from .situation import Flow, Situation, Step, on_cpus, on_queues, pair

__all__ = ("KINDS", "TARGET_SITUATIONS", "redirects")

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


def redirects() -> Iterator[Situation]:
    """The targets, and one situation for each and each way to redirect."""
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
