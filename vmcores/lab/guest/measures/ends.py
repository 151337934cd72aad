# SPDX-License-Identifier: LGPL-2.1-or-later
"""One end of a pair of the scene, and what iproute2, ethtool and sysfs say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
import json
import os
import re
import socket
import subprocess
from typing import Any, Optional

from places import BPFFS
from traffic import netns

__all__ = (
    "DROP",
    "JUMBO",
    "PACKETS",
    "PASS",
    "SENDERS",
    "End",
    "Measure",
    "dropped",
    "grown",
    "ifindex_of",
    "inum_of",
    "must",
    "real_queues",
    "set_link",
    "show_link",
    "stats",
    "tool",
)

PASS = BPFFS + "/pass"
DROP = BPFFS + "/drop"
# The RPS masks of the scene name CPU 0 alone, so packets are sent from the others.
SENDERS = (1, 2, 3)
PACKETS = 8
JUMBO = 8000


@dataclass(frozen=True)
class End:
    """One end of a pair: the device that a rule is about."""

    name: str
    peer: str
    where: Optional[str] = None
    peer_where: Optional[str] = None
    # Where the program that it has is pinned.
    prog: str = PASS


Measure = Callable[[End], "tuple[bool, str]"]


def tool(*argv: str, where: Optional[str] = None) -> tuple[int, str]:
    """Run a command, and return its status and, in one line, its output."""
    with netns(where):
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    said = done.stdout.decode("utf-8", "replace")
    return done.returncode, " ".join(said.split())


def set_link(name: str, *words: str, where: Optional[str] = None) -> tuple[int, str]:
    """Run ``ip link set``."""
    return tool("ip", "link", "set", "dev", name, *words, where=where)


def must(result: tuple[int, str], what: str) -> None:
    """Raise unless a command ended well."""
    if result[0]:
        raise RuntimeError(f"{what}: {result[1]}")


def show_link(name: str, where: Optional[str]) -> dict[str, Any]:
    """Return what ``ip -d -s -j link show`` says of a device."""
    status, said = tool(
        "ip", "-d", "-s", "-j", "link", "show", "dev", name, where=where
    )
    if status:
        raise RuntimeError(f"{name}: {said}")
    found: dict[str, Any] = json.loads(said, strict=False)[0]
    return found


def stats(name: str, where: Optional[str]) -> Counter[str]:
    """Return what ``ethtool -S`` counts, over all queues."""
    found: Counter[str] = Counter()
    said = tool("ethtool", "-S", name, where=where)[1]
    for counter, number in re.findall(r"(\w+): (\d+)", said):
        found[re.sub(r"^([rt]x)_queue_\d+_", r"\1_", counter)] += int(number)
    found.pop("peer_ifindex", None)
    return found


def grown(before: Counter[str], after: Counter[str]) -> str:
    """Say which counters grew."""
    more = {name: after[name] - before[name] for name in after}
    words = [f"{name} +{number}" for name, number in sorted(more.items()) if number > 0]
    return ", ".join(words) or "no counter of ethtool -S grew"


def dropped(name: str, where: Optional[str]) -> Counter[str]:
    """Return the packets that a device dropped, by direction."""
    shown = show_link(name, where)["stats64"]
    return Counter({way: shown[way]["dropped"] for way in ("rx", "tx")})


def ifindex_of(name: str, where: Optional[str]) -> int:
    """Return the ifindex of a device."""
    with netns(where):
        return socket.if_nametoindex(name)


def inum_of(where: Optional[str]) -> int:
    """Return the inode number of a namespace."""
    with netns(where):
        return os.stat("/proc/self/ns/net").st_ino


def real_queues(name: str, where: Optional[str]) -> tuple[int, int]:
    """Return the numbers of RX and TX queues in use.

    sysfs shows them to a reader in that namespace.
    """
    said = (
        tool("ip", "netns", "exec", where, "ls", f"/sys/class/net/{name}/queues")[1]
        if where
        else " ".join(os.listdir(f"/sys/class/net/{name}/queues"))
    )
    return said.count("rx-"), said.count("tx-")
