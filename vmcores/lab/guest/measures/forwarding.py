# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where packets go that a program sends: XDP_TX and XDP_REDIRECT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import os
import re
import subprocess

from places import BPFFS
import programs
from traffic import Listener, send

from .ends import PACKETS, SENDERS, End, grown, ifindex_of, stats, tool

__all__ = (
    "by_map",
    "queues_cpus",
    "redirect",
    "slow_tx",
    "xdp_tx",
)

REDIRECT = BPFFS + "/redirect"
# The device whose program redirects, and its peer; both have one queue a CPU.
REDIRECTS, INTO_REDIRECTS = "srca", "srcb"
#: By the device in its map: what sends to a program that redirects by a map.
INTO_MAPS = {"rrma": "srmb", "trma": "stmb"}


def xdp_tx(end: End) -> tuple[bool, str]:
    """What XDP_TX sends back does not arrive."""
    before = stats(end.name, end.where)
    with Listener(end.peer, end.peer_where) as listener:
        taken = send(end.peer, 1, PACKETS, end.peer_where)
        back = len(listener.arrived(taken))
    after = stats(end.name, end.where)
    told = f"{taken} packets sent to XDP_TX: {back} came back; {grown(before, after)}"
    return back < taken, told


def _redirected(end: End, cpus: Sequence[int]) -> tuple[int, int, str]:
    """Send packets to a program that redirects them to a device; where they went."""
    at = end.where
    before = stats(REDIRECTS, at), stats(end.name, at)
    programs.set_redirect(REDIRECT, ifindex_of(end.name, at))
    try:
        with Listener(end.peer, end.peer_where) as listener:
            taken = sum(send(INTO_REDIRECTS, cpu, PACKETS, at) for cpu in cpus)
            arrived = len(listener.arrived(taken))
    finally:
        programs.set_redirect(REDIRECT, 0)
    told = (
        f"{taken} packets to a program on {REDIRECTS} that redirects to {end.name}: "
        f"{arrived} arrived at {end.peer}; {REDIRECTS}: "
        f"{grown(before[0], stats(REDIRECTS, at))}; {end.name}: "
        f"{grown(before[1], stats(end.name, at))}"
    )
    return taken, arrived, told


def redirect(end: End) -> tuple[bool, str]:
    """What is redirected to a device does not arrive."""
    taken, arrived, told = _redirected(end, SENDERS)
    return taken > 0 and arrived == 0, told


def _queue_packets(end: End) -> Counter[int]:
    said = tool("ethtool", "-S", end.name, where=end.where)[1]
    return Counter(
        {
            int(queue): int(number)
            for queue, number in re.findall(r"rx_queue_(\d+)_xdp_packets: (\d+)", said)
        }
    )


def by_map(end: End) -> tuple[bool, str]:
    """What is redirected to a device by a map does not arrive."""
    into = INTO_MAPS[end.name]
    with Listener(end.peer, end.peer_where) as listener:
        taken = sum(send(into, cpu, PACKETS, end.where) for cpu in SENDERS)
        arrived = len(listener.arrived(taken))
    return taken > 0 and arrived == 0, (
        f"{taken} packets sent by {into} to a program whose map has {end.name}: "
        f"{arrived} arrived at {end.peer}"
    )


def slow_tx(end: End) -> tuple[bool, str]:
    """The driver has said that there are too few queues."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, check=True).stdout
    said = re.search(
        rf"{re.escape(end.name)}: XDP request \d+ queues but max is \d+\. XDP_TX and "
        r"XDP_REDIRECT will operate in a slower locked tx mode",
        log.decode("utf-8", "replace"),
    )
    return said is not None, said.group() if said else "the log does not say it"


def queues_cpus(end: End) -> tuple[bool, str]:
    """What is redirected from all CPUs shares queues, or leaves some without work."""
    cpus = tuple(range(os.cpu_count() or 1))
    before = _queue_packets(end)
    # The packets go to the peer, and come out of this one.
    target = End(end.peer, end.name, end.peer_where, end.where)
    taken, arrived, _ = _redirected(target, cpus)
    after = _queue_packets(end)
    used = {queue: after[queue] - before[queue] for queue in sorted(after)}
    told = (
        f"{taken} packets redirected to {end.peer} by {len(cpus)} CPUs, {arrived} "
        f"arrived; by rx queue of {end.name}: "
        + ", ".join(f"{queue}: {number}" for queue, number in used.items())
    )
    return set(used.values()) != {PACKETS}, told
