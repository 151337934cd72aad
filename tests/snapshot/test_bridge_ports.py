# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports of bridges, and pointers to what is no port, in a toy kernel."""

from types import SimpleNamespace
from typing import Any

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import BridgePort
from drgn_veth.snapshot.bridge_ports import BridgePorts

from tests.support.snapshots import BAD
from tests.support.toy import NOWHERE, Toy

PORT = 1 << 9
DEV = 0x5000


def _record(toy: Toy, flags: Any, data: Any) -> Any:
    layouts: Any = SimpleNamespace(prog=toy.prog)
    raw: Any = SimpleNamespace(priv_flags=flags, rx_handler_data=data)
    return BridgePorts(layouts).record(DEV, raw)


def test_port_of_a_bridge(toy: Toy) -> None:
    assert isinstance(_record(toy, PORT, 0), Unreadable)  # The flag is not known.
    toy.constant("IFF_BRIDGE_PORT", PORT)
    toy.struct("net_bridge_port", dev="void *", state="unsigned char")
    port = toy.place("struct net_bridge_port")
    toy.set("struct net_bridge_port", port, dev=DEV, state=3)
    assert _record(toy, ~PORT, port) is None
    assert _record(toy, PORT, port) == BridgePort("forwarding")
    assert _record(toy, BAD, port) is BAD
    assert _record(toy, PORT, BAD) is BAD
    toy.set("struct net_bridge_port", port, dev=DEV + 8)
    why = _record(toy, PORT, port)
    assert isinstance(why, Unreadable) and "does not point back" in why.reason
    lost = _record(toy, PORT, NOWHERE)
    assert isinstance(lost.state, Unreadable)


def test_without_types_of_bridges(toy: Toy) -> None:
    toy.constant("IFF_BRIDGE_PORT", PORT)
    why = _record(toy, PORT, DEV)
    assert isinstance(why, Unreadable) and "net_bridge_port" in why.reason
