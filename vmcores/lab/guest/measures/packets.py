# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program sees of a packet, and what is missing from what it sends on."""

from __future__ import annotations

from typing import Optional

from offloads import (
    lengths_received,
    send_gso,
    send_into_tun,
    sent_on,
    udp_is_right,
)
import programs
from softirqs import drained
from traffic import SMALL, send

from .ends import End

__all__ = (
    "big_packets",
    "hidden_tag",
    "no_ethernet",
    "not_merged",
    "unfinished",
    "unfinished_elsewhere",
)

BIG, SEGMENT = 20000, 1000
TAG = 4
ETHERNET = 14


def _saw(end: End, before: dict[int, programs.Seen]) -> Optional[int]:
    """How many bytes the program saw of the last packet."""
    drained()
    after = programs.observed(end.prog)
    ran = [seen for cpu, seen in after.items() if seen.packets > before[cpu].packets]
    return ran[0].last_bytes if ran else None


def hidden_tag(end: End) -> tuple[bool, str]:
    """A packet of a VLAN device is as long as without its tag."""
    vlan = end.peer[:-1] + "v"
    before = programs.observed(end.prog)
    send(vlan, 1, 1, end.peer_where)
    saw = _saw(end, before)
    told = f"a packet of {SMALL} bytes sent by {vlan}: the program saw {saw} bytes"
    return saw == SMALL, told


def no_ethernet(end: End) -> tuple[bool, str]:
    """A packet is as long as without an Ethernet header."""
    size = SMALL - ETHERNET
    before = programs.observed(end.prog)
    send_into_tun(end.name, end.where, size, end.name.startswith("t"))
    saw = _saw(end, before)
    told = f"an IPv4 packet of {size} bytes received: the program saw {saw} bytes"
    return saw == size, told


def big_packets(end: End) -> tuple[bool, str]:
    """A program sees many segments at once."""
    before = programs.observed(end.prog)
    send_gso(end.peer, end.peer_where, BIG, SEGMENT)
    saw = _saw(end, before)
    told = (
        f"{BIG} bytes of TCP in segments of {SEGMENT} sent by {end.peer}: of the last "
        f"packet the program saw {saw} bytes"
    )
    return saw == BIG, told


def not_merged(end: End) -> tuple[bool, str]:
    """Segments of TCP reach the stack one by one."""
    lengths = lengths_received(
        (end.name, end.where), (end.peer, end.peer_where), BIG, SEGMENT
    )
    told = (
        f"{BIG} bytes of TCP in segments of {SEGMENT} sent by {end.peer}: the stack "
        f"got packets of {', '.join(map(str, sorted(set(lengths))))} bytes"
    )
    return bool(lengths) and max(lengths) < 2 * SEGMENT, told


def _unfinished(end: End, receiver: str) -> tuple[bool, str]:
    frame = sent_on(end.peer, end.peer_where, SMALL, receiver)
    what = f"a packet sent by {end.peer} with its checksum left to the device"
    if frame is None:
        return False, f"{what} did not arrive at {receiver}"
    right = udp_is_right(frame)
    told = f"{what} arrived at {receiver} with a {'right' if right else 'wrong'} one"
    return not right, told


def unfinished(end: End) -> tuple[bool, str]:
    """What XDP_TX sends back has a wrong checksum."""
    return _unfinished(end, end.peer)


def unfinished_elsewhere(end: End) -> tuple[bool, str]:
    """What XDP_REDIRECT sends into trma has a wrong checksum."""
    return _unfinished(end, "trmb")
