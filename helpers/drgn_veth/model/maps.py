# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Maps, AF_XDP sockets and programs of tc
---------------------------------------

Where an XDP program may send a packet, who takes it from there, and which programs meet
it behind XDP.
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .reference import DeviceRef

__all__ = ("AfXdpSocket", "Extension", "Map", "MapEntry", "TcProgram", "XskRing")


class XskRing(NamedTuple):
    """A ring that a process and the kernel share (``struct xsk_queue``)."""

    size: Maybe[int]  # entries
    used: Maybe[int]  # produced and not yet consumed


class AfXdpSocket(NamedTuple):
    """An AF_XDP socket (``struct xdp_sock``)."""

    queue: Maybe[int]
    state: Maybe[str]  # ready: not bound yet; bound; unbound: its device is gone
    zero_copy: Maybe[bool]
    # None: the socket does not have that ring.
    rx: Maybe[Optional[XskRing]]
    tx: Maybe[Optional[XskRing]]
    fill: Maybe[Optional[XskRing]]  # all sockets of the queue may share it
    completion: Maybe[Optional[XskRing]]
    # Which of "rx" and "tx" wait for a system call; None: not XDP_USE_NEED_WAKEUP.
    need_wakeup: Maybe[Optional[tuple[str, ...]]]
    rx_dropped: Maybe[int]
    rx_ring_full: Maybe[int]  # packets dropped because the RX ring was full
    # The first process that has it open; None: none has.
    pid: Maybe[Optional[int]] = None
    comm: Maybe[Optional[str]] = None


class MapEntry(NamedTuple):
    """An entry of a map: where it leads to."""

    key: Maybe[int]
    # The device of a DEVMAP, or of the socket in an XSKMAP.
    device: Maybe[Optional[DeviceRef]] = None
    ifindex: Maybe[Optional[int]] = None
    prog_id: Maybe[Optional[int]] = None  # that runs at the entry
    cpu: Maybe[Optional[int]] = None
    qsize: Maybe[Optional[int]] = None  # frames
    socket: Maybe[Optional[AfXdpSocket]] = None


class Map(NamedTuple):
    """A map that ``bpf_redirect_map()`` takes (``struct bpf_map``)."""

    id: Maybe[int]
    type: Maybe[str]  # devmap, devmap_hash, cpumap, xskmap
    name: Maybe[str]
    max_entries: Maybe[int]
    entry_count: Maybe[int]
    # The first 1,024 that the kernel would dump, by key.
    entries: Maybe[tuple[MapEntry, ...]]


class Extension(NamedTuple):
    """A program that replaces a function of another one (``freplace``)."""

    id: Maybe[int]
    name: Maybe[str]
    function: Maybe[Optional[str]]  # the slot of a dispatcher


class TcProgram(NamedTuple):
    """A BPF program for packets that are ``struct sk_buff`` already."""

    # tcx/ingress, tcx/egress, clsact/ingress, clsact/egress; or of packets that this
    # device sends: netkit/primary, netkit/peer
    where: str
    id: Maybe[Optional[int]]  # None: classic BPF has none
    name: Maybe[str]
