# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel has counted, as its own tools say it, of a quiet scene.

Two rounds, since counters may move by themselves: whoever compares leaves out what
differs between them. A round is::

    {"softnet_stat": the text of /proc/net/softnet_stat,
     "namespaces": {INUM as text:
       {"links": text of `ip -s -s -j link show`,
        "qdiscs": text of `tc -s -j qdisc show`,
        "statistics": {DEVICE: {NAME: number in /sys/class/net/DEVICE/statistics}},
        "ethtool": {DEVICE: text of `ethtool -S DEVICE`, of each veth}}}}
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any

from libc import checked, libc, mount, setns
from namespaces import find_namespaces

__all__ = ("record_counters",)

CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
SECONDS_BETWEEN = 1.0


def _said(*argv: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr!r}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _statistics(device: str) -> dict[str, int]:
    folder = f"/sys/class/net/{device}/statistics"
    found = {}
    for name in os.listdir(folder):
        with open(f"{folder}/{name}", encoding="ascii") as f:
            found[name] = int(f.read())
    return found


def _inside() -> dict[str, Any]:
    links = _said("ip", "-s", "-s", "-j", "link", "show")
    shown = json.loads(_said("ip", "-d", "-j", "link", "show"), strict=False)
    names = [link["ifname"] for link in shown]
    veths = [
        link["ifname"]
        for link in shown
        if link.get("linkinfo", {}).get("info_kind") == "veth"
    ]
    return {
        "links": links,
        "qdiscs": _said("tc", "-s", "-j", "qdisc", "show"),
        "statistics": {name: _statistics(name) for name in names},
        "ethtool": {name: _said("ethtool", "-S", name) for name in veths},
    }


def _in_child(fd: int) -> dict[str, Any]:
    # In a process of its own, with the sysfs of that namespace.
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            setns(fd)
            checked(libc.unshare(CLONE_NEWNS))
            mount("none", "/", MS_REC | MS_PRIVATE)
            checked(libc.umount2(b"/sys", MNT_DETACH))
            mount("sysfs", "/sys")
            with os.fdopen(write_end, "w", encoding="ascii") as out:
                json.dump(_inside(), out)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, encoding="ascii") as f:
        text = f.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text)
    return found


def _round() -> dict[str, Any]:
    namespaces = find_namespaces()
    try:
        found = {str(inum): _in_child(n.fd) for inum, n in namespaces.items()}
    finally:
        for namespace in namespaces.values():
            os.close(namespace.fd)
    with open("/proc/net/softnet_stat", encoding="ascii") as f:
        return {"namespaces": found, "softnet_stat": f.read()}


def record_counters() -> list[dict[str, Any]]:
    """Record two rounds."""
    first = _round()
    time.sleep(SECONDS_BETWEEN)
    return [first, _round()]
