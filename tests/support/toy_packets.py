# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets of a toy kernel, and the queues that they lie in."""

from collections.abc import Sequence
from typing import Any

from drgn import Program, offsetof
from drgn_veth.model import Device
from drgn_veth.snapshot.found import Found

from .toy import Toy

__all__ = ("Packets", "found_of")

_SKB = "struct sk_buff"
_HEADROOM = 64


def found_of(*devices: Device, **changes: Any) -> dict[int, Found]:
    """What a Snapshot has found out about devices, as far as packets need it."""
    plain = {"raw": None, "kind": b"veth", "peer": 0, "master": 0, "veth_rqs": 0}
    return {
        one.net_device: Found(
            one.net_device, ref=one.ref, veth=None, **{**plain, **changes}
        )
        for one in devices
    }


class Packets:
    """Makes packets, lists and rings of them."""

    def __init__(self) -> None:
        self.toy = toy = Toy()
        self.prog: Program = toy.prog
        toy.struct("list_head", next="void *", prev="void *")
        toy.struct("sk_buff_head", next="void *", prev="void *", qlen="unsigned int")
        refs = toy.struct("", counter="int")
        toy.struct(
            "sk_buff",
            **dict.fromkeys(("next", "prev", "dev", "head", "data"), "void *"),
            **dict.fromkeys(("len", "data_len"), "unsigned int"),
            protocol="unsigned short",
            users=toy.struct("", refs=refs),
            cb=toy.struct("", pkt_len="long", data="long"),
        )
        toy.struct(
            "xdp_frame", data="void *", len="int", headroom="int", dev_rx="void *"
        )
        numbers = dict.fromkeys(("producer", "consumer_head", "size"), "int")
        toy.struct("ptr_ring", **numbers, queue="void *")

    def skb(self, len: int, dev: int = 0, **changes: int) -> int:
        """Return the address of a socket buffer with IPv4."""
        at = self.toy.place(_SKB)
        plain = {"users__refs__counter": 1, "head": 8, "data": 16, "protocol": 0x0008}
        self.toy.set(_SKB, at, **{**plain, "len": len, "dev": dev, **changes})
        return at

    def frame(self, len: int, dev_rx: int = 0, behind: int = 0) -> int:
        """
        Return the address of an XDP frame.

        :param behind: How far the packet is from where it has to be
        """
        at = self.toy.place("struct xdp_frame")
        size = self.prog.type("struct xdp_frame").size
        assert size is not None
        numbers = {"len": len, "headroom": _HEADROOM, "dev_rx": dev_rx}
        data = at + size + _HEADROOM + behind
        self.toy.set("struct xdp_frame", at, data=data, **numbers)
        return at

    def fill(self, ring: int, entries: Sequence[int], size: int) -> None:
        """Put entries into a ``struct ptr_ring``, not from its beginning on."""
        head = 3
        queue = self.toy.place("void *", size)
        for i, entry in enumerate(entries):
            self.toy.put(queue + (head + i) % size * 8, "Q", entry)
        numbers = {"producer": (head + len(entries)) % size, "consumer_head": head}
        self.toy.set("struct ptr_ring", ring, size=size, queue=queue, **numbers)

    def queue(self, head: int, skbs: Sequence[int]) -> None:
        """Make a list that leads back to its head: the oldest is the next."""
        ring = [head, *skbs]
        for i, at in enumerate(ring):
            self.toy.put(at, "2Q", ring[(i + 1) % len(ring)], ring[i - 1])

    def chain(self, skbs: Sequence[int]) -> int:
        """Link buffers by ``next`` alone, and return the first."""
        for at, following in zip(skbs, (*skbs[1:], 0)):
            self.toy.put(at, "Q", following)
        return skbs[0] if skbs else 0

    def offset(self, type: str, member: str) -> int:
        return offsetof(self.prog.type(type), member)
