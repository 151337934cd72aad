# SPDX-License-Identifier: LGPL-2.1-or-later
"""MTU: what may be set, what a program sees, and what is lost."""

from __future__ import annotations

import programs
from traffic import Listener, send

from .ends import JUMBO, PACKETS, End, dropped, must, set_link, show_link

__all__ = (
    "jumbo_lost",
    "mtu_frozen",
    "sees_heads",
)

TAKEN = "accepted (and put back)"


def _try_9000(end: End, now: int) -> str:
    """Raise the peer's MTU and put it back; return why it was refused, or nothing."""
    status, said = set_link(end.peer, "mtu", "9000", where=end.peer_where)
    if status:
        return f"refused: {said}"
    must(set_link(end.peer, "mtu", str(now), where=end.peer_where), "mtu")
    return ""


def mtu_frozen(end: End) -> tuple[bool, str]:
    """The peer's MTU cannot be raised."""
    before = show_link(end.peer, end.peer_where)
    refused = _try_9000(end, before["mtu"])
    told = (
        f"{end.peer} (mtu {before['mtu']}, max_mtu {before['max_mtu']}): "
        f"ip link set dev {end.peer} mtu 9000: {refused or TAKEN}"
    )
    return "mtu greater than device maximum" in refused, told


def sees_heads(end: End) -> tuple[bool, str]:
    """Packets that are longer than a program without frags can look into."""
    if "xdp" not in show_link(end.name, end.where):
        return False, f"{end.name} has no program"
    link = show_link(end.peer, end.peer_where)
    told = f"{end.peer} has mtu {link['mtu']}, max_mtu {link['max_mtu']}"
    if link["mtu"] <= JUMBO:
        refused = _try_9000(end, link["mtu"])
        return not refused, f"{told}; mtu 9000: {refused or TAKEN}"
    before = programs.observed(end.prog)
    with Listener(end.name, end.where) as listener:
        taken = send(end.peer, 1, 1, end.peer_where, size=JUMBO)
        arrived = len(listener.arrived(1))
    after = programs.observed(end.prog)
    ran = [seen for cpu, seen in after.items() if seen.packets > before[cpu].packets]
    saw = ran[0].last_bytes if ran else None
    told += (
        f"; {taken} packet of {JUMBO} bytes sent: the program saw "
        f"{saw if ran else 'nothing'}{' bytes of it' if ran else ''}, {arrived} arrived"
    )
    return saw not in (None, JUMBO), told


def jumbo_lost(end: End) -> tuple[bool, str]:
    """Packets that are longer than the peer's MTU do not arrive."""
    before = dropped(end.name, end.where)
    before_peer = dropped(end.peer, end.peer_where)
    taken, got = {}, {}
    with Listener(end.peer, end.peer_where) as listener:
        for size in (1000, JUMBO):
            taken[size] = send(end.name, 1, PACKETS, end.where, size=size)
            got[size] = len(listener.arrived(taken[size]))
    with Listener(end.name, end.where) as listener:
        back = send(end.peer, 1, PACKETS, end.peer_where, size=1000)
        returned = len(listener.arrived(back))
    tx = dropped(end.name, end.where)["tx"] - before["tx"]
    rx = dropped(end.peer, end.peer_where)["rx"] - before_peer["rx"]
    sizes = ", ".join(
        f"{got[size]} of {PACKETS} packets of {size} bytes ({taken[size]} taken)"
        for size in got
    )
    told = (
        f"from {end.name} arrived {sizes}; the other way {returned} of {back} packets "
        f"of 1000 bytes; tx_dropped of {end.name} +{tx}, rx_dropped of {end.peer} +{rx}"
    )
    # Too long for the sender itself is no drop.
    return got[1000] == PACKETS and got[JUMBO] == 0 and rx > 0, told
