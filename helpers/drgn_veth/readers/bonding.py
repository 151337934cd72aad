# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Bonding
-------

The private data of a bond (drivers/net/bonding).

Upstream: all but the hint about where to find the types.
"""

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

from ..core.module_types import no_module_types

__all__ = (
    "BOND_KIND",
    "bond_mode",
    "bond_priv",
    "bond_xmit_policy",
)

BOND_KIND = b"bond"

# include/uapi/linux/if_bonding.h: BOND_MODE_* and BOND_XMIT_POLICY_*, by value, as
# bonding and iproute2 call them.
_MODES = (
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
)
_XMIT_POLICIES = (
    "layer2",
    "layer3+4",
    "layer2+3",
    "encap2+3",
    "encap3+4",
    "vlan+srcmac",
)


def bond_priv(dev: Object) -> Object:
    """
    Return the private data of a bond.

    :param dev: ``struct net_device *`` of kind bond
    :return: ``struct bonding *``
    :raises LookupError: if the types of the bonding module are not loaded
    """
    try:
        type = dev.prog_.type("struct bonding")
    except LookupError:
        raise LookupError(no_module_types("struct bonding", "bonding")) from None
    return netdev_priv(dev, type)


def _name(names: tuple[str, ...], value: int, what: str) -> str:
    if not 0 <= value < len(names):
        raise ValueError(f"{what} is {value}, which is not a known value")
    return names[value]


def bond_mode(dev: Object) -> str:
    """
    Return the mode of a bond.

    >>> bond_mode(netdev_get_by_name("bond_zoo"))
    'active-backup'

    :param dev: ``struct net_device *`` of kind bond
    :return: Name of ``bonding.params.mode``, such as ``active-backup``
    :raises LookupError: if the types of the bonding module are not loaded
    :raises ValueError: if the value is not a mode
    """
    return _name(_MODES, bond_priv(dev).params.mode.value_(), "mode")


def bond_xmit_policy(dev: Object) -> str:
    """
    Return how a bond chooses the slave that sends a packet.

    >>> bond_xmit_policy(netdev_get_by_name("bond_zoo"))
    'layer2'

    :param dev: ``struct net_device *`` of kind bond
    :return: Name of ``bonding.params.xmit_policy``, such as ``layer2+3``
    :raises LookupError: if the types of the bonding module are not loaded
    :raises ValueError: if the value is not a policy
    """
    policy = bond_priv(dev).params.xmit_policy.value_()
    return _name(_XMIT_POLICIES, policy, "xmit_policy")
