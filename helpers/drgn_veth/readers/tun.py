# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tun
---

The private data and the files of a tun or tap device (drivers/net/tun.c,
drivers/net/tap.c).

Upstream: all.
"""

from drgn import Object, Program
from drgn.helpers.linux.net import netdev_priv

__all__ = ("TUN_KIND", "is_tun_file_operations", "tun_xdp_prog")

TUN_KIND = b"tun"


def tun_xdp_prog(dev: Object) -> Object:
    """
    Return the native XDP program of a tun device.

    :param dev: ``struct net_device *`` of kind tun
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises LookupError: if the types of the tun module are not loaded
    """
    return netdev_priv(dev, "struct tun_struct").xdp_prog.read_()


def is_tun_file_operations(prog: Program, operations: int) -> bool:
    """
    Return whether files with these operations are queues of tun, tap or macvtap
    devices. The private data of such a file begins with a ``struct sock`` (``struct
    tun_file``, ``struct tap_queue``).

    :param operations: Address of a ``struct file_operations``
    """
    owner = Object(prog, "struct file_operations *", operations).owner
    if not owner:
        # Not of a module.
        return prog.symbol(operations).name in ("tun_fops", "tap_fops")
    return owner.name.string_() in (b"tun", b"tap")
