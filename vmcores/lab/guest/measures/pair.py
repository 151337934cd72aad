# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of a pair."""

from __future__ import annotations

from traffic import Listener, send

from .ends import PACKETS, End, show_link

__all__ = (
    "no_carrier",
    "nothing",
)


def no_carrier(end: End) -> tuple[bool, str]:
    """A device whose peer is down has no carrier."""
    link = show_link(end.name, end.where)
    with Listener(end.peer, end.peer_where) as listener:
        taken = send(end.name, 1, PACKETS, end.where)
        arrived = len(listener.arrived(PACKETS))
    flags = ",".join(link["flags"])
    told = (
        f"{end.name}: {flags}, operstate {link['operstate']}; of {PACKETS} packets "
        f"{taken} were taken and {arrived} arrived"
    )
    return "NO-CARRIER" in link["flags"] and arrived == 0, told


def nothing(end: End) -> tuple[bool, str]:
    """Never called: no device of the scene has it."""
    raise AssertionError("no device of the scene has it")
