# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Bits of ``net_device.features`` (include/linux/netdev_features.h)
-----------------------------------------------------------------

Not user space API: the order of the enumerators defines the bits. No kernel has moved
these.
"""

__all__ = (
    "NETIF_F_ALL_TSO",
    "NETIF_F_GRO",
    "NETIF_F_GRO_FRAGLIST",
    "NETIF_F_GRO_UDP_FWD",
    "NETIF_F_HW_CSUM",
    "NETIF_F_HW_VLAN_CTAG_TX",
)

NETIF_F_HW_CSUM = 1 << 3
NETIF_F_HW_VLAN_CTAG_TX = 1 << 7
NETIF_F_GRO = 1 << 14
# TSO, TSO_ECN, TSO_MANGLEID, TSO6
NETIF_F_ALL_TSO = 1 << 16 | 1 << 18 | 1 << 19 | 1 << 20
NETIF_F_GRO_FRAGLIST = 1 << 57
NETIF_F_GRO_UDP_FWD = 1 << 59
