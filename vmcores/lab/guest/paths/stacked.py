# SPDX-License-Identifier: LGPL-2.1-or-later
"""Situations with devices above and below a pair, and other kinds of pairs."""

from __future__ import annotations

from collections.abc import Iterator

from .situation import (
    ALL,
    CPU_1,
    Flow,
    Situation,
    Step,
    on_cpus,
    on_queues,
    pair,
    simple,
)

__all__ = ("stacked",)


def stacked() -> Iterator[Situation]:
    """Bridges, bonds, VLANs, macvlans, netkit, tc and qdiscs."""
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
    yield simple("mq", 2, 2, ("qdisc", "mqs", "mq"))
    yield simple("pfifo", 1, 1, ("qdisc", "pfifos", "pfifo"))
    yield simple("sdown", 1, 1, ("ip", "link set sdowns down"))
    yield simple("rdown", 1, 1, ("ip", "link set rdownr down"))
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
