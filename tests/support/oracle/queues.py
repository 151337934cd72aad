# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues, RPS and XPS."""

from collections.abc import Iterator
import functools
import re
from typing import Any

from .comparison import NOBODY, Told
from .said import Key, Truth, cpu_mask

__all__ = ("expected_queues",)


@functools.cache
def _channels(text: str) -> dict[str, dict[str, dict[str, int]]]:
    # The text of `ethtool -l *`: {device: {"Pre-set maximums": {"RX": 4, ...}, ...}}
    devices: dict[str, dict[str, dict[str, int]]] = {}
    section: dict[str, int] = {}
    device: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        start = re.fullmatch(r"Channel parameters for (.*):", line)
        value = re.fullmatch(r"(RX|TX|Other|Combined):\s+(\d+|n/a)", line)
        if start:
            device = devices[start.group(1)] = {}
        elif value:
            if value.group(2) != "n/a":
                section[value.group(1)] = int(value.group(2))
        elif line.endswith(":"):
            section = device[line[:-1]] = {}
    return devices


def _sysfs_queue(way: str, i: int, files: dict[str, Any]) -> Iterator[Told]:
    place = ("rps" if way == "rx" else "xps", str(i))
    yield (*place, "queue"), "sysfs", i
    if way == "rx":
        yield (*place, "cpus"), "sysfs", cpu_mask(files["rps_cpus"])
        yield (*place, "flow_entries"), "sysfs", int(files["rps_flow_cnt"])
        return
    for ours, theirs in (("cpus", "xps_cpus"), ("rx_queues", "xps_rxqs")):
        said = files[theirs]
        if isinstance(said, str):
            yield (*place, ours), "sysfs", cpu_mask(said)
        else:
            # sysfs hides the map of a device of one queue, and drivers make one.
            assert said == {"errno": "ENOENT"}, said
            yield (*place, ours), NOBODY, None


def _ethtool(truth: Truth, key: Key) -> Iterator[Told]:
    command = truth.said["namespaces"][str(key[0])]["ethtool_channels"]
    shown = _channels(command["stdout"]).get(truth.links[key]["ifname"])
    if shown is None or truth.kind(key) != "veth":
        return
    for section, ours in (
        ("Pre-set maximums", "allocated"),
        ("Current hardware settings", "real"),
    ):
        for way in ("rx", "tx"):
            value = shown[section][way.upper()]
            yield ("queues", way, ours), "ethtool", value


def expected_queues(truth: Truth, key: Key) -> Iterator[Told]:
    """Yield what the queues of a device have to be."""
    link = truth.links[key]
    for way in ("rx", "tx"):
        yield ("queues", way, "allocated"), "iproute2", link[f"num_{way}_queues"]
    queues = truth.sysfs(key)["queues"]
    for way in ("rx", "tx"):
        count = sum(name.startswith(way) for name in queues)
        yield ("queues", way, "real"), "sysfs", count
        for i in range(count):
            yield from _sysfs_queue(way, i, queues[f"{way}-{i}"])
            if way == "rx" and truth.kind(key) == "veth":
                yield ("xdp", "queues", str(i), "queue"), "sysfs", i
    yield from _ethtool(truth, key)
