# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The index of devices
--------------------

list_netdevice() links each device into the list of its namespace, and into a hash table
of it, by its ifindex, which no other device of the namespace has. In memory that is
damaged this shows which devices are invented, and whose an ifindex is.
"""

from collections.abc import MutableMapping
from typing import Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..readers.unregister import NETREG_REGISTERED
from .found import Found
from .layouts import Layouts, NetDevice

__all__ = ("DeviceIndex", "tell_apart")

# Devices on lists that the index of their namespace denies. A page that is damaged has
# that many; they are shown, and it is said.
_MOST_DENIED = 64

_NETDEV_HASHENTRIES = 1 << 8
# Steps from an entry to the head of its bucket, of all devices together.
_MOST_STEPS = 1 << 14


class DeviceIndex:
    """Whether devices are in the index of their namespace."""

    def __init__(self, layouts: Layouts) -> None:
        self._prog = layouts.prog
        self._offset = layouts.index_hlist
        # Devices that no index has.
        self._denied: dict[int, None] = {}
        # Devices by the place of what would lead to them, if that is not in the dump.
        self._unconfirmed: dict[int, int] = {}

    def too_many_without(self, address: int, raw: NetDevice) -> Optional[Unreadable]:
        """Return why a list has to end if too many of its devices are in no index."""
        pprev = raw.index_pprev
        if pprev is None or isinstance(pprev, Unreadable):
            return None
        if isinstance(self._offset, Unreadable):
            return None
        entry = attempt(self._prog.read_word, pprev) if pprev else 0
        if isinstance(entry, Unreadable):
            # Still, it leads to one device only.
            if self._unconfirmed.setdefault(pprev, address) == address:
                return None
        elif entry == address + self._offset:
            return None
        self._denied[address] = None
        if len(self._denied) <= _MOST_DENIED:
            return None
        return Unreadable(f"more than {_MOST_DENIED} devices are in no index: gave up")

    @property
    def lacks(self) -> Optional[str]:
        """Which devices are in no index, None: all are."""
        if not self._denied:
            return None
        at = ", ".join(f"{address:#x}" for address in list(self._denied)[:3])
        return f"{len(self._denied)} on lists are in no index, such as {at}"


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
