# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One device
----------

All that the memory of a device holds, read once, before it is known what other devices
there are.
"""

import functools
from typing import NamedTuple, Optional

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import DeviceRef
from ..readers.adjacent import netdev_master_upper_dev_get
from ..readers.netdev import netdev_kind
from ..readers.netdev_names import dev_valid_name
from ..readers.peer import netdev_peer
from ..readers.veth import VETH_KIND, VethPriv, veth_peer
from .layouts import Layouts, NetDevice

__all__ = ("NO_VETH", "Found", "FoundReader", "ifindex_of", "name_of")

#: Why other devices have no queues of a veth; never shown.
NO_VETH = Unreadable("not a veth")


class Found(NamedTuple):
    """
    A device that some walk or pointer led to, and all that its own memory holds: read
    at once, while its page is at hand.
    """

    address: int
    raw: NetDevice
    ref: DeviceRef
    kind: Maybe[bytes]
    peer: Maybe[int]
    master: Maybe[int]
    veth_rqs: Maybe[int]
    veth: Optional[VethPriv]


@functools.lru_cache(maxsize=1024)
def name_of(array: bytes) -> Maybe[str]:
    """
    Return the name of a device. One that no kernel accepts would mislead, above all in
    a command.

    :param array: ``net_device.name``
    """
    name, end, _ = array.partition(b"\0")
    if not end or not dev_valid_name(name):
        return Unreadable(f"invalid device name {decode(name)!r}")
    return decode(name)


def ifindex_of(raw: NetDevice) -> Maybe[int]:
    """Return the index of a device. dev_index_reserve() gives positive ones."""
    ifindex = raw.ifindex
    if isinstance(ifindex, Unreadable) or ifindex > 0:
        return ifindex
    return Unreadable(f"invalid ifindex {ifindex}")


class FoundReader:
    """Reads devices, by the layouts of a kernel."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        # By rtnl_link_ops.
        self._kinds: dict[Maybe[int], Maybe[bytes]] = {}

    def raw(self, address: int) -> tuple[NetDevice, Optional[VethPriv]]:
        """Read a device, and the private data behind it if it is a veth's."""
        if self._layouts.net_device.by_member:
            return self._layouts.net_device.read(address), None
        try:
            data = self._prog.read(address, self._layouts.device_size)
        except Exception:  # Each member gets its own error.
            return self._layouts.net_device.read(address), None
        raw = self._layouts.net_device.decode(data)
        if self._layouts.veth_priv is None or self._kind(raw, address) != VETH_KIND:
            return raw, None
        return raw, self._layouts.veth_priv.decode(data, self._layouts.priv_offset)

    def _kind(self, raw: NetDevice, address: int) -> Maybe[bytes]:
        ops = raw.rtnl_link_ops
        try:
            return self._kinds[ops]
        except KeyError:
            kind = attempt(netdev_kind, self._layouts.dev(address))
            self._kinds[ops] = kind
            return kind

    def _veth(
        self, address: int, priv: Optional[VethPriv]
    ) -> tuple[Maybe[int], Maybe[int], Optional[VethPriv]]:
        # Peer and receive queues of a veth, and all that it keeps itself.
        if self._layouts.veth_priv is None:
            dev = self._layouts.dev(address)
            peer = attempt(lambda: veth_peer(dev).value_())
            return peer, self._layouts.no_veth_priv, None
        if priv is None:
            priv = self._layouts.veth_priv.read(address + self._layouts.priv_offset)
        return priv.peer, priv.rq, priv

    def found(
        self,
        address: int,
        raw: NetDevice,
        priv: Optional[VethPriv],
        inum: Maybe[int],
        off_list: Optional[str],
    ) -> Found:
        """
        Return a device with its kind, peer and master.

        :param raw: What :meth:`raw()` returned
        :param inum: Of its namespace
        :param off_list: Why it is on no list of its namespace
        """
        name = attempt(name_of, raw.name)
        ref = DeviceRef(inum, ifindex_of(raw), name, address, off_list)
        kind = self._kind(raw, address)
        peer: Maybe[int] = 0
        master: Maybe[int] = 0
        rqs: Maybe[int] = NO_VETH
        if isinstance(kind, Unreadable):
            peer = kind
        elif kind == VETH_KIND:
            peer, rqs, priv = self._veth(address, priv)
        elif kind:
            peer = attempt(
                lambda: netdev_peer(self._layouts.dev(address), kind).value_()
            )
        if raw.upper != address + self._layouts.upper:
            dev = self._layouts.dev(address)
            master = attempt(lambda: netdev_master_upper_dev_get(dev).value_())
        return Found(address, raw, ref, kind, peer, master, rqs, priv)
