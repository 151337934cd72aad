# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices with the same ifindex
-----------------------------

A namespace gives each index to one device. In memory that is damaged two may have it:
then the hash table of the namespace, which links each device into the bucket of its
index, shows which of them is wrong.
"""

from collections.abc import MutableMapping
from typing import Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..readers.unregister import NETREG_REGISTERED
from .found import Found

__all__ = ("tell_apart",)

_NETDEV_HASHENTRIES = 1 << 8
# Steps from an entry to the head of its bucket, of all devices together.
_MOST_STEPS = 1 << 14


class _Buckets:
    # Where devices are in the hash tables of their namespaces: dev_index_head.

    def __init__(self, prog: Program, offset: int) -> None:
        self._prog = prog
        self._offset = offset
        self._left = _MOST_STEPS
        self._heads: dict[Optional[int], Maybe[int]] = {}

    def _head(self, net: Optional[int]) -> Maybe[int]:
        if net not in self._heads:
            struct = self._prog["init_net"]  # CONFIG_NET_NS=n
            if net is not None:
                struct = Object(self._prog, struct.type_, address=net)
            self._heads[net] = attempt(lambda: struct.dev_index_head.value_())
        return self._heads[net]

    def confirms(self, found: Found, ifindex: int) -> bool:
        # Whether a device is in the bucket of an index.
        net = found.raw.net
        if isinstance(net, Unreadable):
            return False
        head, node = self._head(net), found.address + self._offset
        if isinstance(head, Unreadable):
            return False
        word = self._prog.type("void *").size
        bucket = head + word * (ifindex % _NETDEV_HASHENTRIES)
        # Backwards: the bucket leads to the first entry, and each to the next one.
        while self._left:
            self._left -= 1
            before = attempt(self._prog.read_word, node + word)
            if isinstance(before, Unreadable):
                return False
            entry = attempt(self._prog.read_word, before)
            if entry != node and not isinstance(entry, Unreadable):
                return False
            if before == bucket:
                return True
            node = before
        return False


def _shared(
    found: MutableMapping[int, Found],
) -> dict[tuple[object, int], list[Found]]:
    first: dict[tuple[object, int], Found] = {}
    shared: dict[tuple[object, int], list[Found]] = {}
    for device in found.values():
        ref = device.ref
        # One that has left its list may have lost its index to another one.
        if ref.off_list is not None and device.raw.reg_state != NETREG_REGISTERED:
            continue
        if isinstance(ref.ifindex, int) and not isinstance(device.raw.net, Unreadable):
            key = (device.raw.net, ref.ifindex)
            other = first.setdefault(key, device)
            if other is not device:
                shared.setdefault(key, [other]).append(device)
    return shared


def tell_apart(
    prog: Program, offset: Maybe[int], found: MutableMapping[int, Found]
) -> None:
    """
    Make each ifindex unreadable that another device of the same namespace has, too, but
    for that of the one which the kernel has in its hash table by that index.

    :param offset: Of ``net_device.index_hlist``
    :param found: Devices by address
    """
    shared = _shared(found)
    if not shared:
        return
    buckets = None if isinstance(offset, Unreadable) else _Buckets(prog, offset)
    for (_, ifindex), devices in shared.items():
        right = [one for one in devices if buckets and buckets.confirms(one, ifindex)]
        keeps = right[0] if len(right) == 1 else None
        for device in devices:
            if device is not keeps:
                other = keeps or next(one for one in devices if one is not device)
                why = f"invalid ifindex {ifindex}: {other.address:#x} has it, too"
                ref = device.ref._replace(ifindex=Unreadable(why))
                found[device.address] = device._replace(ref=ref)
