# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Ports of bridges
----------------

What a bridge keeps of a port (net/bridge).

Upstream: all but the members, and the hint about where to find the types.
"""

from drgn import NULL, Object, Program, cast
from drgn.helpers.common.prog import takes_program_or_default

from ..core.module_types import no_module_types
from ..core.struct_layout import Members, number, pointer

__all__ = (
    "NetBridgePort",
    "NetDevicePort",
    "br_port_get",
    "br_port_state",
    "br_state_from",
    "bridge_port_mask",
)

# include/uapi/linux/if_bridge.h: BR_STATE_*, by value, as iproute2 calls them.
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


class NetDevicePort(Members):
    """Members of ``struct net_device`` about the bridge that it is a port of."""

    rx_handler_data = pointer("rx_handler_data")


class NetBridgePort(Members):
    """Members of ``struct net_bridge_port``."""

    dev = pointer("dev")
    state = number("state")


@takes_program_or_default
def bridge_port_mask(prog: Program) -> int:
    """
    Return the flag in ``net_device.priv_flags`` of a port of a bridge.

    :return: ``IFF_BRIDGE_PORT`` (``enum netdev_priv_flags``)
    """
    mask: int = prog.constant("IFF_BRIDGE_PORT").value_()
    return mask


def br_port_get(dev: Object) -> Object:
    """
    Return what a bridge keeps of a device, as br_port_get_rtnl() does
    (net/bridge/br_private.h).

    :param dev: ``struct net_device *``
    :return: ``struct net_bridge_port *``, ``NULL`` if it is not a port of a bridge
    :raises LookupError: if the types of the bridge module are not loaded
    """
    prog = dev.prog_
    if not dev.priv_flags.value_() & bridge_port_mask(prog):
        return NULL(prog, "void *")
    try:
        type = prog.type("struct net_bridge_port *")
    except LookupError:
        raise LookupError(no_module_types("struct net_bridge_port", "bridge")) from None
    return cast(type, dev.rx_handler_data.read_())


def br_state_from(state: int) -> str:
    """
    Return the name of the state of a port.

    :param state: ``net_bridge_port.state`` (``u8``)
    :raises ValueError: if it is not a known state
    """
    if not 0 <= state < len(_STATES):
        raise ValueError(f"state is {state}, which is not a known value")
    return _STATES[state]


def br_port_state(dev: Object) -> str:
    """
    Return the state of a port of a bridge.

    :param dev: ``struct net_device *``
    :return: Name of ``net_bridge_port.state``, such as ``forwarding``; ``""`` if it is
        not a port of a bridge
    :raises LookupError: if the types of the bridge module are not loaded
    :raises ValueError: if the value is not a state
    """
    port = br_port_get(dev)
    return br_state_from(port.state.value_()) if port else ""
