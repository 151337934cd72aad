# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues: how many there are, which have a program, which take packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import os
from pathlib import Path
import re

from traffic import Listener, send

from .ends import (
    PACKETS,
    PASS,
    SENDERS,
    End,
    grown,
    must,
    real_queues,
    show_link,
    stats,
    tool,
)

__all__ = (
    "burst",
    "bypassed",
    "one_sided",
    "overflow",
    "pollers_of",
    "queue_state",
    "stale",
    "stuck",
)

# More than a ring takes.
BURST = 600
# Seconds for a thread of NAPI that has to wait for its CPU.
PATIENCE = 3.0
# Queues of the pairs of queues-one-sided.
ASKED = 2


def bypassed(end: End) -> tuple[bool, str]:
    """A program that drops everything, and packets that arrive."""
    before = stats(end.name, end.where)
    found: Counter[int] = Counter()
    with Listener(end.name, end.where) as listener:
        taken = sum(
            send(end.peer, cpu, PACKETS, end.peer_where) for cpu in (0, *SENDERS)
        )
        # They are to be dropped, so nobody knows how many to wait for.
        for packet in listener.arrived(taken):
            found[packet.queue] += 1
    told = (
        f"{taken} packets to a program that drops all: {sum(found.values())} arrived"
        + "".join(f", {n} by txq {queue}" for queue, n in sorted(found.items()))
        + f"; {grown(before, stats(end.name, end.where))}"
    )
    return bool(found), told


def overflow(end: End) -> tuple[bool, str]:
    """Packets that arrive once every way to more TX queues, or to TSO, was tried."""
    tried = []
    for argv in (
        ("ethtool", "-L", end.peer, "tx", "4"),
        ("ethtool", "-K", end.peer, "tso", "on"),
    ):
        status, said = tool(*argv, where=end.peer_where)
        tried.append(f"{' '.join(argv)}: {said if status else 'accepted'}")
    for way in ("tcp-segmentation-offload", "tx-tcp-segmentation"):
        said = tool("ethtool", "-k", end.peer, where=end.peer_where)[1]
        match = re.search(rf"\b{way}: (\w+)", said)
        if match:
            tried.append(f"{way} is {match.group(1)}")
    bad, told = bypassed(end)
    return bad, "; ".join([*tried, told])


def stale(end: End) -> tuple[bool, str]:
    """Queues that were taken away under a program, and given back under another."""

    def do(*argv: str, peer: bool = False) -> None:
        where = end.peer_where if peer else end.where
        must(tool(*argv, where=where), " ".join(argv))

    def attach(prog: str) -> None:
        do("ip", "link", "set", "dev", end.name, "xdpdrv", "pinned", prog)

    had = show_link(end.name, end.where).get("xdp")
    rx, tx = (
        real_queues(end.name, end.where)[0],
        real_queues(end.peer, end.peer_where)[1],
    )
    status, said = tool("ethtool", "-L", end.name, "rx", str(rx), where=end.where)
    if status and "not supported" in said:
        return False, f"ethtool -L {end.name}: {said}"
    if had:
        do("ip", "link", "set", "dev", end.name, "xdpdrv", "off")
    attach(PASS)
    do("ethtool", "-L", end.name, "rx", "4")
    do("ethtool", "-L", end.peer, "tx", "4", peer=True)
    with Listener(end.name, end.where) as listener:
        taken = send(end.peer, 3, PACKETS, end.peer_where)
        arrived = len(listener.arrived(taken))
    told = (
        f"detached, another program attached, rx {rx} -> 4: "
        f"{arrived} of {taken} packets passed the regrown queue"
    )
    # As it was: a program that drops, and queues taken away under it.
    do("ip", "link", "set", "dev", end.name, "xdpdrv", "off")
    if had:
        attach(end.prog)
    do("ethtool", "-L", end.peer, "tx", str(tx), peer=True)
    if rx != 4:
        do("ethtool", "-L", end.name, "rx", str(rx))
    return arrived < taken, told


def one_sided(end: End) -> tuple[bool, str]:
    """Each queue count was to be ASKED."""
    told, sound = [], True
    for name, where in ((end.name, end.where), (end.peer, end.peer_where)):
        link = show_link(name, where)
        real = real_queues(name, where)
        sound = sound and real == (ASKED, ASKED)
        told.append(
            f"{name}: rx/tx allocated {link['num_rx_queues']}/{link['num_tx_queues']}, "
            f"real {real[0]}/{real[1]}"
        )
    return not sound, "; ".join(told)


def queue_state(end: End) -> tuple[bool, str]:
    """Only told, as the kernel would read and write past an array."""
    rx = real_queues(end.name, end.where)[0]
    allocated = show_link(end.peer, end.peer_where)["num_tx_queues"]
    told = (
        f"{end.name} polls {rx} rx queues, {end.peer} has {allocated} tx queues at all"
    )
    return rx > allocated, told + "; nothing was sent to the queues beyond them"


def pollers_of(name: str) -> list[int]:
    """Return the threads that poll a device."""
    return [
        int(comm.parts[2])
        for comm in Path("/proc").glob("[0-9]*/comm")
        if comm.read_text().startswith(f"napi/{name}-")
    ]


def burst(end: End, cpu: int, pollers: Sequence[int]) -> int:
    """Send more than a ring takes, from a CPU on which the pollers may not run."""
    for pid in pollers:
        os.sched_setaffinity(pid, {cpu})
    # The threads are on the sender's CPU and have to wait for it.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        return send(end.name, cpu, BURST, end.where)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def stuck(end: End) -> tuple[bool, str]:
    """Fill the ring while its poller may not run, then let it run."""
    pollers = pollers_of(end.peer)
    told, is_stuck = [f"{len(pollers)} threads poll {end.peer}"], False
    with Listener(end.peer, end.peer_where) as listener:
        for cpu in SENDERS:
            taken = burst(end, cpu, pollers)
            arrived = len(listener.arrived(taken, PATIENCE))
            again = send(end.name, cpu, PACKETS, end.where)
            came = len(listener.arrived(again, PATIENCE))
            told.append(
                f"txq {cpu}: of a burst of {BURST} {taken} were taken and {arrived} "
                f"arrived, of {PACKETS} after it {again} and {came}"
            )
            is_stuck = is_stuck or came == 0
    return is_stuck, "; ".join(told)
