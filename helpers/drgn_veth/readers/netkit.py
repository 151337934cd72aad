# SPDX-License-Identifier: LGPL-2.1-or-later
"""
netkit
------

The private data of a netkit device (drivers/net/netkit.c, since v6.7). netkit is never
a module, so its types are among the kernel's.

Upstream: all.
"""

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

__all__ = ("NETKIT_KIND", "netkit_peer", "netkit_priv")

NETKIT_KIND = b"netkit"


def netkit_priv(dev: Object) -> Object:
    """
    Return the private data of a netkit device.

    :param dev: ``struct net_device *`` of kind netkit
    :return: ``struct netkit *``
    """
    return netdev_priv(dev, "struct netkit")


def netkit_peer(dev: Object) -> Object:
    """
    Return the other end of a netkit pair.

    >>> netkit_peer(netdev_get_by_name("nkl3a")).name
    (char [16])"nkl3b"

    :param dev: ``struct net_device *`` of kind netkit
    :return: ``struct net_device *``; ``NULL`` while the pair is being created or torn
        down, and for a single device (``enum netkit_pairing``)
    """
    return netkit_priv(dev).peer.read_()
