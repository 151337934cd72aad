# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What was counted, in words
--------------------------

Only what is not zero, by the kernel's names.
"""

from collections.abc import Iterator, Sequence

from ..core.driver_counters import is_driver_counter
from ..core.english import count
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, VethQueueStats
from . import words
from .escape import for_terminal

__all__ = ("link", "qdisc", "queues")

_MOST_QUEUES = 32
_TRAFFIC = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")


def _unreadable(value: Unreadable) -> str:
    told = is_driver_counter(value.reason)
    return for_terminal(value.reason) if told else words.UNKNOWN


def link(device: Device) -> Sequence[str]:
    """Return what a device has counted: what went through, and what did not."""
    stats = device.stats
    if stats is None:
        return []
    if isinstance(stats, Unreadable):
        return [_unreadable(stats)]
    lines = [
        f"{way} {count(packets, 'packet')}, {count(size, 'byte')}"
        for way, packets, size in (
            ("rx", stats.rx_packets, stats.rx_bytes),
            ("tx", stats.tx_packets, stats.tx_bytes),
        )
        if packets
    ]
    rest = [
        f"{name} {value}"
        for name, value in stats._asdict().items()
        if name not in _TRAFFIC and value
    ]
    return [*lines, *rest]


def _told(name: str, value: Maybe[int]) -> Iterator[str]:
    if isinstance(value, Unreadable):
        yield f"{name} {words.UNKNOWN}"
    elif value:
        yield f"{name} {value}"


def _queue(queue: VethQueueStats) -> str:
    parts: list[str] = []
    for name, value in zip(queue._fields[1:10], queue[1:10]):
        parts += _told(name, value)
    if queue.ring is not None and queue.ring.used != 0:
        used, size = map(words.cell, queue.ring[::-1])
        parts.append(f"ring {used} of {size}")
    if queue.napi_scheduled is True:
        parts.append("NAPI scheduled")
    return ", ".join(parts)


def queues(device: Device) -> Sequence[str]:
    """Return what the queues of a veth have counted, a line for each."""
    stats = device.queue_stats
    if stats is None or isinstance(stats, Unreadable):
        return [] if stats is None else [words.UNKNOWN]
    lines = [f"rx{one.queue}: {told}" for one in stats if (told := _queue(one))]
    return lines if len(lines) <= _MOST_QUEUES else [*lines[:_MOST_QUEUES], "..."]


def qdisc(device: Device) -> str:
    """Return what the root qdisc of a device has dropped, and what it holds."""
    stats = device.qdisc_stats
    if stats is None or isinstance(stats, Unreadable):
        return "" if stats is None else words.UNKNOWN
    parts = []
    if stats.drops:
        parts.append(f"{count(stats.drops, 'drop')}")
    if stats.qlen or stats.backlog:
        size = count(stats.backlog, "byte")
        parts.append(f"holds {count(stats.qlen, 'packet')}, {size}")
    return ", ".join(parts)
