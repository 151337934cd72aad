# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counters
--------

What ``ip -s``, sysfs, ``ethtool -S``, ``tc -s`` and /proc/net/softnet_stat said, twice
(vmcores/lab/guest/counters.py). What moved between the two is left out, and counted.
"""

import collections
from collections.abc import Iterator
import re
from typing import Any

from .comparison import Comparison, Path, Told
from .said import Key, Truth, kernel_text, text_json

__all__ = ("QUEUE_COUNTERS", "compare_counters")

# As `ip -s -s -j link` calls them, and as the kernel does.
_BY_IP = {
    "rx": {
        **{name: f"rx_{name}" for name in ("bytes", "packets", "errors", "dropped")},
        **{
            f"{name}_errors": f"rx_{name}_errors"
            for name in ("over", "length", "crc", "frame", "fifo", "missed")
        },
        "multicast": "multicast",
        "nohandler": "rx_nohandler",
        "compressed": "rx_compressed",
        "otherhost": "rx_otherhost_dropped",
    },
    "tx": {
        **{name: f"tx_{name}" for name in ("bytes", "packets", "errors", "dropped")},
        **{
            f"{name}_errors": f"tx_{name}_errors"
            for name in ("carrier", "aborted", "fifo", "window", "heartbeat")
        },
        "collisions": "collisions",
        "compressed": "tx_compressed",
    },
}
#: Not a counter of packets.
_CARRIER_CHANGES = "carrier_changes"
_ETHTOOL = re.compile(r"\s*([rt]x)_queue_(\d+)_(\w+): (\d+)")
# As `ethtool -S` calls those of an RX queue.
_BY_ETHTOOL = {
    "xdp_packets": "xdp_packets",
    "xdp_bytes": "xdp_bytes",
    "drops": "rx_drops",
    "xdp_redirect": "xdp_redirect",
    "xdp_drops": "xdp_drops",
    "xdp_tx": "xdp_tx",
    "xdp_tx_errors": "xdp_tx_err",
}
# And of a TX queue: the sum over the RX queues of the peer that it feeds.
_BY_PEER = {
    "xdp_xmit": "peer_tq_xdp_xmit",
    "xdp_xmit_errors": "peer_tq_xdp_xmit_err",
}
#: Of the queues of a veth, as a report calls them.
QUEUE_COUNTERS = (*_BY_ETHTOOL.values(), *_BY_PEER.values())
# Columns of /proc/net/softnet_stat.
_SOFTNET = {
    "processed": 0,
    "dropped": 1,
    "time_squeeze": 2,
    "received_rps": 9,
    "flow_limit_count": 10,
    "backlog": 11,
}
_CPU_COLUMN = 12
#: `ip -s` leaves it out then, and sysfs does not have it.
_UNSAID_IF_ZERO = ("stats", "rx_otherhost_dropped")


def _in_ip(link: dict[str, Any]) -> Iterator[Told]:
    for way, names in _BY_IP.items():
        for name, value in link["stats64"][way].items():
            if name != _CARRIER_CHANGES:
                yield ("stats", names[name]), "ip -s", value


def _in_ethtool(text: str) -> Iterator[Told]:
    for line in text.splitlines():
        match = _ETHTOOL.fullmatch(line)
        if match is None:
            continue
        way, queue, name, value = match.groups()
        if way == "rx":
            path = "queue_stats", queue, _BY_ETHTOOL.get(name)
        else:
            path = "of_peer", queue, _BY_PEER.get(name)
        # Newer kernels have those of the page pool, too.
        if path[2] is not None:
            yield (path[0], path[1], path[2]), "ethtool -S", int(value)


def _of_namespace(truth: Truth, inum: int, said: Any) -> Iterator[tuple[Key, Told]]:
    for link in text_json(said["links"]):
        for told in _in_ip(link):
            yield (inum, link["ifindex"]), told
    for name, numbers in said["statistics"].items():
        for counter, value in numbers.items():
            yield truth.by_name[inum, name], (("stats", counter), "sysfs", value)
    for qdisc in text_json(said["qdiscs"]):
        if not qdisc.get("root"):
            continue
        key = truth.by_name[inum, qdisc["dev"]]
        for name in ("drops", "backlog", "qlen"):
            yield key, (("qdisc_stats", name), "tc -s", qdisc[name])
    for name, text in said["ethtool"].items():
        for told in _in_ethtool(text):
            yield truth.by_name[inum, name], told


def _said(truth: Truth, once: dict[str, Any]) -> dict[tuple[str, Key, Path], int]:
    # What was said in a round: values by source and place. CPUs are devices of 0.
    found = {}
    for inum, namespace in once["namespaces"].items():
        for key, (path, source, value) in _of_namespace(truth, int(inum), namespace):
            found[source, key, path] = value
    for line in once["softnet_stat"].splitlines():
        columns = [int(column, 16) for column in line.split()]
        for name, at in _SOFTNET.items():
            place = "softnet_stat", (0, columns[_CPU_COLUMN]), ("cpus", name)
            found[place] = columns[at]
    return found


def _ours(report: dict[str, Any]) -> Iterator[tuple[Key, Path, Any]]:
    devices = {(d["netns"], d["ifindex"]): d for d in report["devices"]}
    for key, device in devices.items():
        for kind in ("stats", "qdisc_stats"):
            for name, value in device.get(kind, {}).items():
                yield key, (kind, name), value
        for i, queue in enumerate(device.get("queue_stats", ())):
            for name in _BY_ETHTOOL.values():
                yield key, ("queue_stats", str(i), name), queue[name]
        peer = device["peer"]
        if peer is None or "queue_stats" not in device:
            continue
        real = device["queues"]["tx"]["real"]
        other = devices[peer["netns"], peer["ifindex"]]["queue_stats"]
        for name in _BY_PEER.values():
            for i in range(real):
                fed = [queue[name] for queue in other[i::real]]
                yield key, ("of_peer", str(i), name), sum(fed)
    for cpu in report["cpus"]:
        for name in _SOFTNET:
            yield (0, cpu["cpu"]), ("cpus", name), cpu[name]


def compare_counters(
    report: dict[str, Any], said: dict[str, Any]
) -> tuple[Comparison, int]:
    """
    Compare every counter of a report with what the guest's tools said.

    :return: The comparison, and how many values of the tools were left out
    """
    truth = Truth(said)
    first, second = (_said(truth, once) for once in said["counters"])
    result = Comparison(collections.Counter(), [], collections.Counter())
    ours = {(key, path): value for key, path, value in _ours(report)}
    left_out = 0
    seen = set()
    for place, value in second.items():
        source, key, path = place
        seen.add((key, path))
        if first.get(place) != value:
            left_out += 1
            continue
        result.compared[source] += 1
        have = ours.get((key, path))
        if have != value:
            name = kernel_text(truth.links[key]["ifname"]) if key[0] else "CPU"
            result.differences.append(
                f"{name} {key} {'.'.join(path)}: {have!r}, {source} says {value!r}"
            )
    for key, path in ours.keys() - seen:
        if path == _UNSAID_IF_ZERO and ours[key, path] == 0:
            result.compared["ip -s"] += 1
            continue
        result.differences.append(f"{key} {'.'.join(path)}: nothing confirms it")
    return result, left_out
