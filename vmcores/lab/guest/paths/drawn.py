# SPDX-License-Identifier: LGPL-2.1-or-later
"""Situations drawn at random, the same for the same seed."""

from __future__ import annotations

import random

from .redirecting import KINDS, TARGET_SITUATIONS
from .situation import Flow, Situation, Step, pair

__all__ = ("draw",)

_CPUS = (0, 1, 2, 3)
_MAC = "02:00:00:00:00:aa"
#: What is above the receiver: its letter, and the lines that make it.
_UPPERS = {
    "bridge": (
        "b",
        (
            "link add {0}o type veth peer name {0}p",
            "link add {0}b type bridge",
            "link set {0}r master {0}b",
            "link set {0}o master {0}b",
        ),
    ),
    "bond": (
        "b",
        (
            "link add {0}b type bond mode active-backup",
            "link set {0}r down master {0}b",
        ),
    ),
    "macvlan": (
        "m",
        ("link add {0}m link {0}r address " + _MAC + " type macvlan mode bridge",),
    ),
}


def _programs(rng: random.Random, name: str) -> list[Step]:
    steps: list[Step] = []
    for end in "r", "r", "s":
        if rng.random() < 0.5:
            continue
        mode = rng.choice(("native", "native", "generic"))
        if any(step[0] == "xdp" and step[1] == name + end for step in steps):
            continue  # The kernel takes no second program in another mode.
        what = "pass"
        if end == "r":
            what = rng.choice(("pass",) * 6 + ("drop", "aborted", "tx", "devmap"))
        step: Step = ("xdp", name + end, mode, what)
        if what == "devmap":
            step = (*step, rng.choice([kind for kind in KINDS if kind != "nic"]))
        steps.append(step)
    return steps


def _one(rng: random.Random, number: int, sends: int) -> Situation:
    name = f"rnd{number}"
    tx, rx = rng.choice((1, 1, 2, 3, 4, 8)), rng.choice((1, 1, 2, 3, 4, 8))
    steps = _programs(rng, name)
    if any(step[2] == "native" for step in steps):
        rx = max(tx, rx)  # What else would be refused.
    # Before the programs: a native one switches TSO of its peer off for good.
    for end in "rs":
        if rng.random() < 0.2:
            steps.insert(0, ("gro", name + end, 1))
        if rng.random() < 0.2:
            steps.insert(0, ("tso", name + end, 0))
    if rng.random() < 0.6:
        for queue in range(rx):
            if rng.random() < 0.6:
                # A mask of the isolated CPU alone is refused.
                mask = rng.randint(1, 63) | 1 << rng.choice(_CPUS)
                steps.append(("rps", name + "r", queue, mask))
            if rng.random() < 0.2:
                steps.append(("rfs", name + "r", queue, 64))
    if tx > 1 and rng.random() < 0.3:
        for queue in range(tx):
            if rng.random() < 0.6:
                steps.append(("xps", name + "s", queue, rng.randint(1, 15)))
    kind = rng.choice(("", "", *_UPPERS))
    links, watch, to = [pair(name, tx, rx)], [], ""
    if kind:
        letter, lines = _UPPERS[kind]
        links += [line.format(name) for line in lines]
        watch.append(name + letter)
        if kind == "macvlan":
            to = rng.choice(("", _MAC))
        if rng.random() < 0.3:
            steps.append(("xdp", name + letter, "generic", "pass"))
    how = rng.choice(("chosen", "chosen", "socket", "bypass"))
    flows = tuple(
        Flow(n, rng.randrange(tx) if how == "chosen" else None, rng.choice(_CPUS))
        for n in range(sends)
    )
    return Situation(
        name, tuple(links), flows, tuple(steps), how=how, watch=tuple(watch), to=to
    )


def draw(seed: int, count: int = 50, sends: int = 10) -> tuple[Situation, ...]:
    """Draw situations, each with as many sends."""
    rng = random.Random(seed)
    return (*TARGET_SITUATIONS, *(_one(rng, n, sends) for n in range(count)))
