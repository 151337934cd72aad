# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Peers
-----

The other end of a device, whatever its kind. Only pointers pair devices: ifindexes and
names repeat across namespaces, and a peer may be on no list at all.

Upstream: all but the hint about the kind.
"""

from collections.abc import Mapping
from typing import Callable, Optional

from drgn import NULL, Object

from .netdev import netdev_kind
from .netkit import NETKIT_KIND, netkit_peer
from .veth import VETH_KIND, veth_peer

__all__ = ("PEER_OF_KIND", "netdev_peer")

PEER_OF_KIND: Mapping[bytes, Callable[[Object], Object]] = {
    NETKIT_KIND: netkit_peer,
    VETH_KIND: veth_peer,
}


def netdev_peer(dev: Object, kind: Optional[bytes] = None) -> Object:
    """
    Return the other end of a veth or netkit pair.

    >>> netdev_peer(netdev_get_by_name("veth_xxx0")).name
    (char [16])"veth_yyy0"

    :param dev: ``struct net_device *``
    :param kind: Result of :func:`~drgn_veth.readers.netdev.netdev_kind()` for *dev*, if
        already known
    :return: ``struct net_device *``, ``NULL`` if it has none
    """
    if kind is None:
        kind = netdev_kind(dev)
    try:
        peer = PEER_OF_KIND[kind]
    except KeyError:
        return NULL(dev.prog_, "struct net_device *")
    return peer(dev)
