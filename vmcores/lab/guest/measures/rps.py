# SPDX-License-Identifier: LGPL-2.1-or-later
"""On which CPU packets arrive, and a generic program runs."""

from __future__ import annotations

from collections import Counter
import re
import subprocess
from typing import Optional

import programs
from traffic import Listener, send

from .ends import PACKETS, SENDERS, End, tool

__all__ = (
    "generic_cpu",
    "half_rfs",
    "high_queues",
    "isolated",
    "off_by_one",
    "offline",
    "unset",
    "which_end",
)

# The only CPU in the RPS masks of the scene.
RPS_CPU = 0


def _steering(
    sender: str, sender_where: Optional[str], receiver: str, where: Optional[str]
) -> dict[int, Counter[int]]:
    """TX queue -> CPU on which the packets arrived -> packets."""
    found: dict[int, Counter[int]] = {}
    with Listener(receiver, where) as listener:
        for cpu in SENDERS:
            taken = send(sender, cpu, PACKETS, sender_where)
            for packet in listener.arrived(taken):
                found.setdefault(packet.queue, Counter())[packet.cpu] += 1
    return found


def _steering_text(found: dict[int, Counter[int]]) -> str:
    return "; ".join(
        f"txq {queue}: "
        + ", ".join(f"{number} on CPU {cpu}" for cpu, number in sorted(cpus.items()))
        for queue, cpus in sorted(found.items())
    )


def _unsteered(found: dict[int, Counter[int]]) -> list[int]:
    return sorted(q for q, cpus in found.items() if set(cpus) != {RPS_CPU})


def _warning(name: str) -> str:
    """The kernel's line about a device; it writes one for the first device only."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, check=True).stdout
    match = re.search(
        rf"\b{re.escape(name)} received packet on queue \d+, but number of RX queues "
        r"is \d+",
        log.decode("utf-8", "replace"),
    )
    return f"; the log: {match.group()!r}" if match else "; the log does not name it"


def high_queues(end: End) -> tuple[bool, str]:
    """Packets of some TX queues are not steered, as they have no RX queue."""
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    return bool(_unsteered(found)), _steering_text(found) + _warning(end.name)


def off_by_one(end: End) -> tuple[bool, str]:
    """The mask of an RX queue does not hold for the TX queue of the same number."""
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    bad = _unsteered(found)
    return 1 in bad and 2 not in bad, _steering_text(found)


def which_end(end: End) -> tuple[bool, str]:
    """A mask steers what the device receives, and not what it sends."""
    here = _steering(end.peer, end.peer_where, end.name, end.where)
    there = _steering(end.name, end.where, end.peer, end.peer_where)
    told = (
        f"received by {end.name}: {_steering_text(here)}; "
        f"by {end.peer}: {_steering_text(there)}"
    )
    return not _unsteered(here) and bool(_unsteered(there)), told


def unset(end: End) -> tuple[bool, str]:
    """Packets of some TX queues are not steered, as their RX queue has no mask."""
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    return bool(_unsteered(found)), _steering_text(found)


def _cpu_list(text: str) -> list[int]:
    cpus: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def _of_all_cpus(name: str) -> list[int]:
    with open(f"/sys/devices/system/cpu/{name}", encoding="ascii") as f:
        return _cpu_list(f.read().strip())


def _rx_file(end: End, file: str) -> str:
    path = f"/sys/class/net/{end.name}/queues/rx-0/{file}"
    return tool("ip", "netns", "exec", end.where or "", "cat", path)[1]


def _mask(end: End) -> list[int]:
    mask = int(_rx_file(end, "rps_cpus").replace(",", ""), 16)
    return [cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1]


def offline(end: End) -> tuple[bool, str]:
    """Packets arrive on CPUs that the mask does not name, as some of it are offline."""
    mask, online = _mask(end), _of_all_cpus("online")
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    stray = {cpu for cpus in found.values() for cpu in cpus if cpu not in mask}
    told = f"mask {mask}, online {online}; {_steering_text(found)}"
    return bool(stray), told


def isolated(end: End) -> tuple[bool, str]:
    """A mask of all CPUs has no isolated one, and one of those alone is refused."""
    mask, online = _mask(end), _of_all_cpus("online")
    alone = _of_all_cpus("isolated")
    path = f"/sys/class/net/{end.name}/queues/rx-0/rps_cpus"
    word = f"{sum(1 << cpu for cpu in alone):x}"
    write = f"echo {word} >{path}"
    status, said = tool("ip", "netns", "exec", end.where or "", "dash", "-c", write)
    told = f"mask {mask}, online {online}, isolated {alone}; {write}: {status} {said}"
    left = [cpu for cpu in online if cpu not in alone]
    return bool(alone) and status != 0 and mask == left, told


def half_rfs(end: End) -> tuple[bool, str]:
    """One of the two tables of RFS is missing."""
    queue = int(_rx_file(end, "rps_flow_cnt"))
    with open("/proc/sys/net/core/rps_sock_flow_entries", encoding="ascii") as f:
        everywhere = int(f.read())
    told = f"rps_flow_cnt {queue}, net.core.rps_sock_flow_entries {everywhere}"
    return queue > 0 and everywhere == 0, told


def generic_cpu(end: End) -> tuple[bool, str]:
    """A generic program runs on the CPU that RPS picks."""
    before = programs.observed(end.prog)
    sender = 2
    with Listener(end.name, end.where) as listener:
        listener.arrived(send(end.peer, sender, PACKETS, end.peer_where))
    after = programs.observed(end.prog)
    ran = {cpu: s.packets - before[cpu].packets for cpu, s in after.items()}
    where = ", ".join(f"{n} times on CPU {cpu}" for cpu, n in ran.items() if n)
    told = f"{PACKETS} packets sent on CPU {sender}: the program ran {where or 'never'}"
    return ran.get(RPS_CPU) == PACKETS, told
