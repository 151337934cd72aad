# SPDX-License-Identifier: LGPL-2.1-or-later
"""
VLAN devices
------------

The private data of a VLAN device (net/8021q, include/linux/if_vlan.h).

Upstream: all but the hint about where to find the types.
"""

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.net import netdev_priv

from ..core.byte_order import byteorder
from ..core.module_types import no_module_types

__all__ = (
    "VLAN_KIND",
    "vlan_dev_priv",
    "vlan_dev_vlan_id",
    "vlan_dev_vlan_proto",
    "vlan_stag_tx_mask",
)

VLAN_KIND = b"vlan"

# include/uapi/linux/if_ether.h: the two that vlan_check_real_dev() and its callers
# accept, as iproute2 calls them.
_PROTOCOLS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
_VLAN_N_VID = 4096


def vlan_dev_priv(dev: Object) -> Object:
    """
    Return the private data of a VLAN device.

    :param dev: ``struct net_device *`` of kind vlan
    :return: ``struct vlan_dev_priv *``
    :raises LookupError: if the types of the 8021q module are not loaded
    """
    try:
        type = dev.prog_.type("struct vlan_dev_priv")
    except LookupError:
        raise LookupError(no_module_types("struct vlan_dev_priv", "8021q")) from None
    return netdev_priv(dev, type)


def vlan_dev_vlan_id(dev: Object) -> int:
    """
    Return the VLAN ID of a device, as vlan_dev_vlan_id() does (net/8021q/vlan_core.c).

    :param dev: ``struct net_device *`` of kind vlan
    :return: ``vlan_dev_priv.vlan_id``
    :raises LookupError: if the types of the 8021q module are not loaded
    :raises ValueError: if it is not a VLAN ID
    """
    id: int = vlan_dev_priv(dev).vlan_id.value_()
    if id >= _VLAN_N_VID:
        raise ValueError(f"vlan_id is {id}, which is not a VLAN ID")
    return id


def vlan_dev_vlan_proto(dev: Object) -> str:
    """
    Return the protocol of a VLAN device: ``802.1Q``, or ``802.1ad`` for the outer tag
    of QinQ.

    :param dev: ``struct net_device *`` of kind vlan
    :return: Name of ``vlan_dev_priv.vlan_proto`` (``__be16``)
    :raises LookupError: if the types of the 8021q module are not loaded
    :raises ValueError: if it is not a protocol of VLANs
    """
    proto: int = vlan_dev_priv(dev).vlan_proto.value_()
    if byteorder(dev.prog_) == "little":
        proto = proto >> 8 | (proto & 0xFF) << 8
    try:
        return _PROTOCOLS[proto]
    except KeyError:
        raise ValueError(
            f"vlan_proto is {proto:#06x}, which is not a known value"
        ) from None


@takes_program_or_default
def vlan_stag_tx_mask(prog: Program) -> int:
    """
    Return ``NETIF_F_HW_VLAN_STAG_TX`` (include/linux/netdev_features.h).

    :return: A mask of one bit of ``net_device.features``
    :raises LookupError: if the kernel's enumerators are not there
    """
    # In v5.6 it moved by one, behind NETIF_F_GSO_FRAGLIST.
    return 1 << prog.constant("NETIF_F_HW_VLAN_STAG_TX_BIT").value_()
