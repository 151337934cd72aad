# SPDX-License-Identifier: LGPL-2.1-or-later
"""The situations in which path_scene.py sends packets."""

from __future__ import annotations

from collections.abc import Iterator

from .redirecting import redirects
from .situation import (
    ALL,
    CPU_1,
    CPUS_1_2,
    ISOLATED,
    OFFLINE,
    Situation,
    Step,
    on_cpus,
    on_queues,
    pair,
    simple,
)
from .stacked import stacked

__all__ = ("SITUATIONS",)

#: Number of TX queues that send, and of RX queues that receive.
SHAPES = ((1, 1), (2, 1), (1, 2), (4, 4), (48, 14), (14, 48))


def _queues() -> Iterator[Situation]:
    for tx, rx in SHAPES:
        yield simple(f"q{tx}_{rx}", tx, rx)
        name = f"gen{tx}_{rx}"
        yield simple(name, tx, rx, ("xdp", name + "r", "generic", "pass"))
        # Each end needs as many RX queues as the other has TX queues.
        if tx <= rx:
            name = f"nat{tx}_{rx}"
            yield simple(name, tx, rx, ("xdp", name + "r", "native", "pass"))
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
        yield simple(
            name,
            tx,
            tx,
            ("xdp", name + "r", "native", "pass"),
            ("xdp", name + "s", "native", "pass"),
        )
        name = f"peer{tx}"
        yield simple(name, tx, tx, ("xdp", name + "s", "native", "pass"))
    name = "genb"
    yield simple(
        name,
        2,
        2,
        ("xdp", name + "r", "generic", "pass"),
        ("xdp", name + "s", "generic", "pass"),
    )
    name = "natgen"
    yield simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "pass"),
        ("xdp", name + "s", "generic", "pass"),
    )
    name = "frags"
    yield simple(name, 2, 2, ("xdp", name + "r", "native", "frags"), more="mtu 9000")
    for what in "drop", "aborted":
        for mode in "native", "generic":
            name = f"{what}{mode[0]}"
            yield simple(name, 2, 2, ("xdp", name + "r", mode, what))
    name = "txlost"
    yield simple(name, 2, 2, ("xdp", name + "r", "native", "tx"))
    name = "txnat"
    yield simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "tx"),
        ("xdp", name + "s", "native", "pass"),
    )
    name = "txgro"
    yield simple(
        name,
        2,
        2,
        ("xdp", name + "r", "native", "tx"),
        ("gro", name + "s", 1),
    )
    name = "txgen"
    yield simple(name, 2, 2, ("xdp", name + "r", "generic", "tx"))
    # Polled for GRO: only what a sender without TSO sends.
    for name, tso in (("grotso", 1), ("gronot", 0)):
        yield simple(
            name,
            4,
            4,
            ("gro", name + "r", 1),
            ("tso", name + "s", tso),
        )
    name = "groq"
    yield simple(name, 4, 2, ("gro", name + "r", 1), ("tso", name + "s", 0))
    name = "grogen"
    yield simple(
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
        yield simple(name, tx, rx, ("rps", name + "r", queue, mask))
    yield simple("rpspeer", 2, 2, ("rps", "rpspeers", ALL, CPU_1))
    yield simple(
        "rpstwo", 4, 4, ("rps", "rpstwor", 0, CPU_1), ("rps", "rpstwor", 2, 1 << 2)
    )
    for mode in "native", "generic":
        name = f"rps{mode[:3]}"
        yield simple(
            name,
            4,
            4,
            ("xdp", name + "r", mode, "pass"),
            ("rps", name + "r", ALL, CPU_1),
        )
    name = "rpsnat1"
    yield simple(
        name,
        4,
        4,
        ("xdp", name + "r", "native", "pass"),
        ("rps", name + "r", 1, CPU_1),
    )
    name = "rpsgro"
    yield simple(
        name,
        4,
        4,
        ("gro", name + "r", 1),
        ("tso", name + "s", 0),
        ("rps", name + "r", ALL, CPU_1),
    )
    name = "rpsgen48"
    yield simple(
        name,
        48,
        14,
        ("xdp", name + "r", "generic", "pass"),
        ("rps", name + "r", ALL, CPU_1),
    )
    # The global table is there: half of RFS, all of it, and with RPS.
    yield simple("rfs", 2, 2, ("rfs", "rfsr", ALL, 64))
    yield simple("rfs0", 4, 4, ("rfs", "rfs0r", 0, 64))
    yield simple(
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


SITUATIONS: tuple[Situation, ...] = (
    *_queues(),
    *_programs(),
    *_steering(),
    *redirects(),
    *stacked(),
)
