# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel's tracepoints and counters say about packets, by their length."""

from __future__ import annotations

from collections.abc import Iterable
import os
import re
import time
from typing import NamedTuple, Optional

from ethtool import statistics

from .packets import FIRST_LENGTH

__all__ = (
    "Event",
    "Hop",
    "REFUSED",
    "Trace",
    "counters",
    "grown",
    "hops",
    "softnet",
    "verdicts",
)

TRACING = "/sys/kernel/tracing"
INSTANCE = TRACING + "/instances/path"
ETHERNET = 14

#: Events of packets, by what they mean here. Where the Ethernet header is pulled
#: already, the length is without it.
OF_PACKETS = {
    "net_dev_start_xmit": ("xmit", 0),
    "netif_rx_entry": ("netif_rx", ETHERNET),
    "napi_gro_receive_entry": ("napi", ETHERNET),
    "netif_receive_skb": ("receive", ETHERNET),
}
EVENTS = (
    *(f"net/{name}" for name in OF_PACKETS),
    "skb/kfree_skb",
    "xdp/xdp_exception",
    "xdp/xdp_bulk_tx",
    "xdp/xdp_redirect",
    "xdp/xdp_redirect_err",
    # Before v5.6, or so, maps had events of their own.
    "xdp/xdp_redirect_map",
    "xdp/xdp_redirect_map_err",
    "xdp/xdp_cpumap_kthread",
    "xdp/xdp_cpumap_enqueue",
    "xdp/xdp_devmap_xmit",
)
#: The events of those that say that the kernel refused a redirect.
REFUSED = ("xdp_redirect_err", "xdp_redirect_map_err")
_LINE = re.compile(r"\[(\d+)\] \S+ +[\d.]+: (\w+): (.*)")
_FIELD = re.compile(r"(\w+)[=:] ?([^\s,]+)")


class Event(NamedTuple):
    """One record of the trace. ``marker`` is the flow that was sent at that time."""

    cpu: int
    name: str
    fields: dict[str, str]
    marker: Optional[int]


class Trace:
    """The tracepoints, in an instance of their own, which leaves nothing behind."""

    def __init__(self) -> None:
        os.mkdir(INSTANCE)
        for name, value in (("buffer_size_kb", "2048"), ("trace_clock", "global")):
            self._put(name, value)
        for event in EVENTS:
            folder = f"events/{event}"
            if not os.path.isdir(f"{INSTANCE}/{folder}"):
                continue
            self._put(f"{folder}/enable", "1")
        self._marker = os.open(f"{INSTANCE}/trace_marker", os.O_WRONLY)
        self._pipe = os.open(f"{INSTANCE}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._flow: Optional[int] = None

    def _put(self, name: str, value: str) -> None:
        with open(f"{INSTANCE}/{name}", "w", encoding="ascii") as f:
            f.write(value)

    def mark(self, flow: int) -> None:
        """Note that a flow begins."""
        os.write(self._marker, f"flow {flow}\n".encode())

    def skip(self) -> None:
        """Forget the events so far."""
        self.read()
        self._flow = None

    def read(self) -> list[Event]:
        """Return the events since the last call, once no more come."""
        said = b""
        quiet = 0
        while quiet < 2:
            try:
                said += os.read(self._pipe, 1 << 16)
                quiet = 0
            except BlockingIOError:
                quiet += 1
                time.sleep(0.01)
        events = []
        for line in said.decode(errors="replace").splitlines():
            found = _LINE.search(line)
            if not found:
                continue
            cpu, name, text = found.groups()
            if name == "tracing_mark_write":
                self._flow = int(text.split()[1])
                continue
            fields = dict(_FIELD.findall(text))
            events.append(Event(int(cpu), name, fields, self._flow))
        return events

    def close(self) -> None:
        """Remove the instance."""
        os.close(self._marker)
        os.close(self._pipe)
        self._put("events/enable", "0")
        for _ in range(100):
            try:
                os.rmdir(INSTANCE)
                return
            except OSError:
                time.sleep(0.02)


Hop = dict[str, "str | int | None"]


def _add(found: dict[int, list[Hop]], flow: int, hop: Hop) -> None:
    for seen in found.setdefault(flow, []):
        if all(seen[key] == value for key, value in hop.items()):
            seen["packets"] = int(seen["packets"] or 0) + 1
            return
    found[flow].append({**hop, "packets": 1})


def hops(events: Iterable[Event], flows: int) -> dict[int, list[Hop]]:
    """Return where the packets of each flow were, in the order of the first of each.

    ``queue`` is queue_mapping. A packet that is freed counts for the device where it
    was seen last.
    """
    found: dict[int, list[Hop]] = {}
    last: dict[str, tuple[int, str]] = {}
    for event in events:
        fields = event.fields
        if event.name in OF_PACKETS:
            what, less = OF_PACKETS[event.name]
            flow = int(fields["len"]) + less - FIRST_LENGTH
            if not 0 <= flow < flows:
                continue
            device = fields["dev"]
            last[fields["skbaddr"]] = flow, device
            hop: Hop = {"what": what, "device": device, "cpu": event.cpu}
            if "queue_mapping" in fields:
                hop["queue"] = int(fields["queue_mapping"])
            _add(found, flow, hop)
        elif event.name == "kfree_skb" and fields.get("skbaddr") in last:
            flow, device = last.pop(fields["skbaddr"])
            hop = {"what": "free", "device": device, "cpu": event.cpu}
            # Since v5.17 the kernel says why.
            hop["reason"] = fields.get("reason")
            _add(found, flow, hop)
    return found


def verdicts(events: Iterable[Event], names: dict[int, str]) -> dict[int, list[Hop]]:
    """Return the events of XDP, by the flow that was sent at that time."""
    found: dict[int, list[Hop]] = {}
    for event in events:
        if not event.name.startswith("xdp_") or event.marker is None:
            continue
        hop: Hop = {"what": event.name, "cpu": event.cpu}
        for key, value in event.fields.items():
            if key.endswith("ifindex"):
                number = int(value)
                hop[key[: -len("ifindex")] + "device"] = names.get(number, value)
            elif re.fullmatch(r"-?\d+", value):
                hop[key] = int(value)
            else:
                hop[key] = value
        hop.pop("map_id", None)
        _add(found, event.marker, hop)
    return found


def counters(name: str) -> dict[str, int]:
    """Return what ``ethtool -S`` and ``ip -s link`` count for a device."""
    found = statistics(name)
    folder = f"/sys/class/net/{name}/statistics"
    for counter in ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped"):
        try:
            with open(f"{folder}/{counter}", encoding="ascii") as f:
                found[counter] = int(f.read())
        except OSError:
            # It is in another namespace.
            pass
    found.pop("peer_ifindex", None)
    return found


def softnet() -> dict[str, int]:
    """Return what /proc/net/softnet_stat counts: dropped and received_rps by CPU."""
    found = {}
    with open("/proc/net/softnet_stat", encoding="ascii") as f:
        for number, line in enumerate(f):
            words = [int(word, 16) for word in line.split()]
            # Since v5.14 a line says its CPU.
            cpu = words[12] if len(words) > 12 else number
            found[f"dropped {cpu}"] = words[1]
            found[f"received_rps {cpu}"] = words[9]
    return found


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return the counters that grew, and by how much."""
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if value != before.get(name, 0)
    }
