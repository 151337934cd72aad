# SPDX-License-Identifier: LGPL-2.1-or-later
"""
macvlan and macvtap
-------------------

The private data of such a device (drivers/net/macvlan.c, include/linux/if_macvlan.h).

Upstream: all but the hint about where to find the types.
"""

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

from ..core.module_types import no_module_types

__all__ = ("MACVLAN_KINDS", "macvlan_dev_mode", "macvlan_priv")

#: struct macvtap_dev begins with a struct macvlan_dev.
MACVLAN_KINDS = (b"macvlan", b"macvtap")

# include/uapi/linux/if_link.h: MACVLAN_MODE_*, as iproute2 calls them.
_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}


def macvlan_priv(dev: Object) -> Object:
    """
    Return the private data of a macvlan or macvtap device.

    :param dev: ``struct net_device *`` of kind macvlan or macvtap
    :return: ``struct macvlan_dev *``
    :raises LookupError: if the types of the macvlan module are not loaded
    """
    try:
        type = dev.prog_.type("struct macvlan_dev")
    except LookupError:
        raise LookupError(no_module_types("struct macvlan_dev", "macvlan")) from None
    return netdev_priv(dev, type)


def macvlan_dev_mode(dev: Object) -> str:
    """
    Return the mode of a macvlan or macvtap device.

    :param dev: ``struct net_device *`` of kind macvlan or macvtap
    :return: Name of ``macvlan_dev.mode``, such as ``bridge``
    :raises LookupError: if the types of the macvlan module are not loaded
    :raises ValueError: if the value is not a mode
    """
    mode: int = macvlan_priv(dev).mode.value_()
    try:
        return _MODES[mode]
    except KeyError:
        raise ValueError(f"mode is {mode}, which is not a known value") from None
