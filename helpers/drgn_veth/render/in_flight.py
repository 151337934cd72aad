# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Packets in flight
-----------------

A table of the queues that were not empty, with the oldest packets of each.
"""

from collections.abc import Iterator, Sequence
import itertools
from typing import Optional

from ..core.english import count
from ..core.unreadable import NOT_IN_SLICE, Maybe, Unreadable
from ..model import DeviceRef, PacketInFlight, QueueInFlight
from . import words
from .grid import Column, grid
from .style import PLAIN, Style
from .width import KEEP, wrap

__all__ = ("in_flight",)

_COLUMNS = (
    Column("QUEUE", least=12),
    Column("OF", least=8),
    Column("PACKETS", least=7),
    Column("OLDEST FIRST: BYTES, PROTOCOL", least=16),
)
_PROTOCOLS = {
    "0x0800": "IPv4",
    "0x0806": "ARP",
    "0x86dd": "IPv6",
    "0x8100": "802.1Q",
    "0x88a8": "802.1ad",
    "0x88cc": "LLDP",
}
_NOTHING = "no packets were queued in a ring, a backlog or a qdisc"
_SLICE = "a slice has no packets, only how many there were"


def _name(queue: QueueInFlight) -> str:
    number = "" if queue.queue is None else f" {queue.queue}"
    if queue.where == "qdisc":
        tx = "" if queue.queue is None else f"tx{queue.queue}: "
        said = (queue.qdisc, queue.handle, queue.part)
        return tx + " ".join(words.cell(one) for one in said if one is not None)
    names = {
        "veth-ring": f"veth ring rx{number.strip()}",
        "gro": f"GRO rx{number.strip()}",
        "tun-ring": f"tun ring{number}",
        "cpumap": f"CPUMAP {words.cell(queue.map_id)}[{number.strip()}]",
        "backlog": f"backlog {words.cell(queue.part)}",
    }
    return names.get(queue.where, queue.where).rstrip()


def _owner(queue: QueueInFlight) -> str:
    if queue.device is not None:
        return words.reference(queue.device)
    return "" if queue.cpu is None else f"CPU {queue.cpu}"


def _length(queue: QueueInFlight) -> str:
    of = "" if queue.size is None else f" of {queue.size}"
    said = words.cell(queue.length) + of
    frames, skbs = queue.xdp_frames, queue.skbs
    if isinstance(frames, int) and isinstance(skbs, int) and frames:
        mixed = f"{count(skbs, 'SKB')}, " if skbs else ""
        said += f": {mixed}{count(frames, 'XDP frame')}"
    return said


def _packet(packet: PacketInFlight, at: Optional[DeviceRef]) -> str:
    protocol = packet.protocol
    if packet.kind == "xdp_frame":
        said = f"{words.cell(packet.len)} XDP"
    elif isinstance(protocol, str):
        said = f"{words.cell(packet.len)} {_PROTOCOLS.get(protocol, protocol)}"
    else:
        said = f"{words.cell(packet.len)} {words.UNKNOWN}"
    device = packet.device
    if isinstance(device, DeviceRef) and device != at:
        said += f" of {words.reference(device)}"
    return said.replace(" ", KEEP)


def _oldest(queue: QueueInFlight) -> str:
    packets = queue.oldest
    if packets is None:
        return ""
    if isinstance(packets, Unreadable):
        return packets.reason if packets.reason == NOT_IN_SLICE else words.UNKNOWN
    said = (_packet(packet, queue.device) for packet in packets)
    runs = [(text, len(list(same))) for text, same in itertools.groupby(said)]
    listed = [
        text if number == 1 else f"{number}{KEEP}x{KEEP}{text}" for text, number in runs
    ]
    length = queue.length
    if isinstance(length, int) and length > len(packets):
        listed.append("...")
    return ", ".join(listed)


def _reasons(queues: Sequence[QueueInFlight]) -> Iterator[str]:
    seen = set()
    for queue in queues:
        for value in (queue.length, queue.oldest):
            if isinstance(value, Unreadable) and value.reason not in seen:
                seen.add(value.reason)
                if value.reason == NOT_IN_SLICE:
                    yield _SLICE
                else:
                    yield f"{words.UNKNOWN}: {words.cell(value.reason)}"


def in_flight(
    queues: Maybe[Sequence[QueueInFlight]], style: Style = PLAIN
) -> list[str]:
    """Return the lines of a table of queues that are not empty."""
    if isinstance(queues, Unreadable):
        return wrap(f"in flight: {words.cell(queues.reason)}", style.width, rest="  ")
    if not queues:
        return wrap(_NOTHING, style.width, rest="  ")
    rows = [
        (_name(queue), _owner(queue), _length(queue), _oldest(queue))
        for queue in queues
    ]
    lines = grid(_COLUMNS, rows, style)
    for reason in _reasons(queues):
        lines += wrap(reason, style.width, rest="  ")
    return lines
