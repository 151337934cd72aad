# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Looking at a device again
-------------------------

On a running kernel, a device may be renamed, moved, or freed after it was found, and
another one may take its memory. What identifies it tells whether that happened.
"""

import operator
from typing import Optional

from ..core.errors import attempt
from ..core.moving import CHANGING
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef
from ..readers.unregister import (
    NETREG_REGISTERED,
    NETREG_UNREGISTERED,
    NETREG_UNREGISTERING,
)
from .discover import Discovery
from .found import Found, FoundReader
from .layouts import Layouts, NetDevice

__all__ = ("Again", "is_same", "is_same_device")

#: Members of a device that tell it from others, and that its row is made from. None of
#: them changes just because packets pass.
_IDENTITY = operator.attrgetter(
    *("name", "ifindex", "net", "reg_state", "flags", "mtu", "dev_addr", "ifalias"),
    *("rtnl_link_ops", "netdev_ops", "rx", "real_rx", "num_rx", "tx", "real_tx"),
    *("num_tx", "xdp_state", "xps_cpus", "xps_rxqs", "upper", "lower", "qdisc"),
    *("ip_ptr", "ip6_ptr", "features"),
)

_GOING = (NETREG_UNREGISTERING, NETREG_UNREGISTERED)


def _own(found: Found) -> tuple[object, ...]:
    veth = found.veth
    return (
        found.kind,
        found.peer,
        found.master,
        found.veth_rqs,
        None if veth is None else veth.xdp_prog,
    )


def is_same(one: Found, other: Found) -> bool:
    """Return whether a device was the same both times that it was read."""
    return _IDENTITY(one.raw) == _IDENTITY(other.raw) and _own(one) == _own(other)


def is_same_device(one: Found, other: Found) -> bool:
    """Return whether it was the same device, be it renamed, moved or set up anew."""
    return one.kind == other.kind and all(
        getattr(one.raw, name) == getattr(other.raw, name)
        for name in ("ifindex", "reg_state", "rx", "tx", "num_rx", "num_tx")
    )


class Again:
    """
    Looks again at devices that were found.

    :param discovery: Keeps what was read last. A device that is gone is taken out, and
        whatever refers to it is *changing*.
    """

    def __init__(self, layouts: Layouts, discovery: Discovery) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._discovery = discovery
        self._reader = FoundReader(layouts)

    def _points_at(self, node: int, member: str, expected: int) -> bool:
        # Whether a node of a list of devices points to another one.
        layout = self._layouts.net_device
        at = node + layout.offset[member] - self._layouts.dev_list
        return attempt(self._prog.read_word, at) == expected

    def _is_listed(self, address: int, raw: NetDevice) -> bool:
        node = address + self._layouts.dev_list
        if isinstance(raw.prev, Unreadable) or isinstance(raw.next, Unreadable):
            return False
        return self._points_at(raw.prev, "next", node) and self._points_at(
            raw.next, "prev", node
        )

    def _off_list(
        self, address: int, now: Found, before: Optional[Found]
    ) -> Maybe[Optional[str]]:
        # Why it is on no list, None if it is on one; Unreadable: it is gone.
        state = now.raw.reg_state
        was = None if before is None else before.ref.off_list
        # free_netdev() takes the address away before it says that it is released.
        if state not in (NETREG_REGISTERED, *_GOING) or not now.raw.dev_addr:
            return CHANGING
        if state in _GOING and was is not None:
            return was
        net = self._discovery.owner(now)
        if net in self._discovery.off_list:
            return self._discovery.off_list[net]
        if state in _GOING:
            return CHANGING
        if self._is_listed(address, now.raw):
            return None
        peer = now.peer
        if isinstance(peer, int) and peer:
            other = self._read(peer)
            if other.peer == address and other.kind == now.kind:
                return self._discovery.why_off_list(now.raw.net, state)
        return CHANGING

    def _read(self, address: int) -> Found:
        raw, priv = self._reader.raw(address)
        return self._reader.found(address, raw, priv, CHANGING, None)

    def _forget(self, address: int) -> None:
        self._discovery.forget(address, CHANGING)

    def look(self, address: int) -> Optional[Found]:
        """
        Read a device again, or one that is new.

        :return: None if there is none any longer, or if it is in a namespace that
            appeared after the namespaces were read
        """
        before = self._discovery.found.get(address)
        now = self._read(address)
        place = self._discovery.place(now)
        if place is None:
            self._forget(address)
            return None
        inum, label = place
        off_list: Maybe[Optional[str]]
        listed = before is not None and before.ref.off_list is None
        if before is not None and listed and is_same(before, now):
            off_list = None
        else:
            off_list = self._off_list(address, now, before)
        if isinstance(off_list, Unreadable):
            self._forget(address)
            return None
        ref = DeviceRef(inum, now.ref.ifindex, now.ref.name, address, off_list, label)
        found = self._discovery.found[address] = now._replace(ref=ref)
        return found
