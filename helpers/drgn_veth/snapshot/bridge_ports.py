# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports of bridges."""

import functools
from typing import Optional

from ..core.errors import attempt
from ..core.struct_layout import Layout
from ..core.unreadable import Maybe, Unreadable
from ..model import BridgePort
from ..readers.bridge import NetBridgePort, br_state_from, bridge_port_mask
from .layouts import Layouts, NetDevice, layout_of

__all__ = ("BridgePorts",)


class BridgePorts:
    """Makes the records of ports of bridges."""

    def __init__(self, layouts: Layouts) -> None:
        self._prog = layouts.prog
        self._mask = attempt(bridge_port_mask, self._prog)

    @functools.cached_property
    def layout(self) -> Maybe[Layout[NetBridgePort]]:
        """Layout of ``struct net_bridge_port``, looked up when there is a port."""
        name = "struct net_bridge_port"
        return layout_of(self._prog, name, NetBridgePort, "bridge")

    def record(self, address: int, raw: NetDevice) -> Maybe[Optional[BridgePort]]:
        """
        Return what a bridge keeps of a device, None if it is not a port.

        :param address: Address of the ``struct net_device``
        """
        flags, mask = raw.priv_flags, self._mask
        if isinstance(flags, Unreadable):
            return flags
        if isinstance(mask, Unreadable):
            return mask
        return self._port(address, raw) if flags & mask else None

    def _port(self, address: int, raw: NetDevice) -> Maybe[BridgePort]:
        layout = self.layout
        if isinstance(layout, Unreadable):
            return layout
        if isinstance(raw.rx_handler_data, Unreadable):
            return raw.rx_handler_data
        port = layout.read_span(raw.rx_handler_data)
        if isinstance(port.dev, int) and port.dev != address:
            return Unreadable("its bridge's port does not point back to this device")
        return BridgePort(attempt(br_state_from, port.state))
