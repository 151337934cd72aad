# SPDX-License-Identifier: LGPL-2.1-or-later
"""
ipvlan and ipvtap
-----------------

The private data of such a device (drivers/net/ipvlan). All that are on one device share
mode and flags.

Upstream: all but the hint about where to find the types.
"""

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

from ..core.module_types import no_module_types

__all__ = ("IPVLAN_KINDS", "ipvlan_flags", "ipvlan_mode", "ipvlan_port")

#: struct ipvtap_dev begins with a struct ipvl_dev.
IPVLAN_KINDS = (b"ipvlan", b"ipvtap")

# include/uapi/linux/if_link.h: IPVLAN_MODE_* by value, and IPVLAN_F_*, as iproute2
# calls them.
_MODES = ("l2", "l3", "l3s")
_FLAGS = ((1 << 0, "private"), (1 << 1, "vepa"))


def ipvlan_port(dev: Object) -> Object:
    """
    Return what all ipvlan devices on one device share.

    :param dev: ``struct net_device *`` of kind ipvlan or ipvtap
    :return: ``struct ipvl_port *``
    :raises LookupError: if the types of the ipvlan module are not loaded
    :raises ValueError: if it has none
    """
    try:
        type = dev.prog_.type("struct ipvl_dev")
    except LookupError:
        raise LookupError(no_module_types("struct ipvl_dev", "ipvlan")) from None
    port = netdev_priv(dev, type).port.read_()
    if not port:
        raise ValueError("ipvl_dev.port is NULL")
    return port


def ipvlan_mode(dev: Object) -> str:
    """
    Return the mode of an ipvlan or ipvtap device.

    :param dev: ``struct net_device *`` of kind ipvlan or ipvtap
    :return: Name of ``ipvl_port.mode``: ``l2``, ``l3`` or ``l3s``
    :raises LookupError: if the types of the ipvlan module are not loaded
    :raises ValueError: if the value is not a mode
    """
    mode: int = ipvlan_port(dev).mode.value_()
    if mode >= len(_MODES):
        raise ValueError(f"mode is {mode}, which is not a known value")
    return _MODES[mode]


def ipvlan_flags(dev: Object) -> tuple[str, ...]:
    """
    Return the flags of an ipvlan or ipvtap device.

    :param dev: ``struct net_device *`` of kind ipvlan or ipvtap
    :return: Names of ``ipvl_port.flags``: ``private``, ``vepa``; none is what iproute2
        calls ``bridge``
    :raises LookupError: if the types of the ipvlan module are not loaded
    :raises ValueError: if there is an unknown flag
    """
    flags: int = ipvlan_port(dev).flags.value_()
    if flags & ~sum(flag for flag, _ in _FLAGS):
        raise ValueError(f"flags are {flags:#x}, which has unknown ones")
    return tuple(name for flag, name in _FLAGS if flags & flag)
