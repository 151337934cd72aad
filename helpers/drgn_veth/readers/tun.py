# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tun
---

The private data of a tun or tap device (drivers/net/tun.c).

Upstream: all.
"""

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

__all__ = ("TUN_KIND", "tun_xdp_prog")

TUN_KIND = b"tun"


def tun_xdp_prog(dev: Object) -> Object:
    """
    Return the native XDP program of a tun device.

    :param dev: ``struct net_device *`` of kind tun
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises LookupError: if the types of the tun module are not loaded
    """
    return netdev_priv(dev, "struct tun_struct").xdp_prog.read_()
