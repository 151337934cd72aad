# SPDX-License-Identifier: LGPL-2.1-or-later
"""
tun
---

The private data and the files of a tun or tap device (drivers/net/tun.c,
drivers/net/tap.c).

Upstream: all.
"""

from collections.abc import Iterator

from drgn import Object, Program
from drgn.helpers.linux.net import netdev_priv

from ..core.module_types import no_module_types

__all__ = (
    "TUN_KIND",
    "for_each_tun_file",
    "is_tun_file_operations",
    "is_tun_xdp_frame",
    "tun_xdp_prog",
)

TUN_KIND = b"tun"

_MAX_TAP_QUEUES = 256
_TUN_XDP_FLAG = 1


def is_tun_xdp_frame(entry: int) -> bool:
    """
    Return whether an entry of a ring is an XDP frame, as tun_is_xdp_frame() does
    (include/linux/if_tun.h); else it is a socket buffer.

    :param entry: Pointer in ``tun_file.tx_ring``, with its lowest bit
    """
    return bool(entry & _TUN_XDP_FLAG)


def for_each_tun_file(dev: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the queues of a tun or tap device that a process has open. Each has a
    ring of the packets that it has not read.

    :param dev: ``struct net_device *`` of kind tun
    :return: Iterator of queue numbers and ``struct tun_file *`` objects
    :raises LookupError: if the types of the tun module are not loaded
    :raises ValueError: if it has more queues than any such device
    """
    try:
        tun = netdev_priv(dev, "struct tun_struct")
    except LookupError:
        raise LookupError(no_module_types("struct tun_struct", "tun")) from None
    count = tun.numqueues.value_()
    if count > _MAX_TAP_QUEUES:
        raise ValueError(f"a tun device with {count} queues")
    for i in range(count):
        file = tun.tfiles[i].read_()
        if file:
            yield i, file


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
    if owner:
        return owner.name.string_() in (b"tun", b"tap")
    return any(_is_at(prog, name, operations) for name in ("tun_fops", "tap_fops"))


def _is_at(prog: Program, name: str, address: int) -> bool:
    try:
        return prog[name].address_ == address
    except LookupError:
        return False
