# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that counters say were lost, and where."""

from __future__ import annotations

import json
import socket
from typing import Any

from traffic import frame, netns, send

from .ends import JUMBO, PACKETS, End, dropped, must, set_link, show_link, stats, tool
from .queues import burst, pollers_of

__all__ = (
    "full_ring",
    "not_delivered",
    "qdisc_dropped",
    "redirect_failed",
    "refused",
)

# For experiments: no protocol takes it (ETH_P_802_EX1).
NOBODYS = b"\x88\xb5"
# By so much an MTU is lowered for a moment.
LOWERED = 7500


def _ends(end: End) -> tuple[bool, str]:
    """Whether the device has lost packets on the way to its peer, since it came."""
    tx = dropped(end.name, end.where)["tx"]
    rx = dropped(end.peer, end.peer_where)["rx"]
    return tx > 0, f"tx_dropped of {end.name} {tx}, rx_dropped of {end.peer} {rx}"


def refused(end: End) -> tuple[bool, str]:
    """Packets that are too long for the peer, while its MTU is lowered."""
    mtu = show_link(end.peer, end.peer_where)["mtu"]
    lowered = mtu - LOWERED
    must(set_link(end.peer, "mtu", str(lowered), where=end.peer_where), "mtu")
    try:
        taken = send(end.name, 1, PACKETS, end.where, size=JUMBO)
    finally:
        must(set_link(end.peer, "mtu", str(mtu), where=end.peer_where), "mtu")
    shown, told = _ends(end)
    sent = f"{taken} packets of {JUMBO} bytes sent while {end.peer} had mtu {lowered}"
    return shown, f"{sent}: {told}"


def full_ring(end: End) -> tuple[bool, str]:
    """More packets than a ring takes, while its poller may not run."""
    pollers = pollers_of(end.peer)
    taken = burst(end, 1, pollers)
    shown, told = _ends(end)
    told = f"{len(pollers)} threads poll {end.peer}; {taken} packets were sent: {told}"
    return shown, told


def not_delivered(end: End) -> tuple[bool, str]:
    """Packets of a protocol that is not there."""
    packet = frame(400, 0)
    packet = packet[:12] + NOBODYS + packet[14:]
    with (
        netns(end.peer_where),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s,
    ):
        s.bind((end.peer, 0))
        for _ in range(PACKETS):
            s.send(packet)
    rx = dropped(end.name, end.where)["rx"]
    tx = dropped(end.peer, end.peer_where)["tx"]
    told = f"rx_dropped of {end.name} {rx}, tx_dropped of {end.peer} {tx}"
    return rx > tx, f"{PACKETS} packets of EtherType 0x88b5 were sent: {told}"


def redirect_failed(end: End) -> tuple[bool, str]:
    """What the program redirects is not taken."""
    taken = send(end.peer, 1, PACKETS, end.peer_where)
    found = stats(end.name, end.where)
    told = f"drops {found['rx_drops']}, xdp_redirect {found['rx_xdp_redirect']}"
    return found["rx_drops"] > 0, f"{taken} packets were sent to {end.name}: {told}"


def qdisc_dropped(end: End) -> tuple[bool, str]:
    """More packets than the qdisc takes."""
    taken = send(end.name, 1, PACKETS, end.where, bypass=False)
    said = tool("tc", "-s", "-j", "qdisc", "show", "dev", end.name, where=end.where)[1]
    qdiscs: list[dict[str, Any]] = json.loads(said)
    lost = sum(one.get("drops", 0) for one in qdiscs if one.get("root"))
    return lost > 0, f"{taken} of {PACKETS} packets were taken; dropped {lost}"
