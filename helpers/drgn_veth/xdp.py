# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP
---

The programs that are attached to a device, in each mode, and how. Follows
dev_xdp_prog() and dev_xdp_link() (net/core/dev.c).
"""

import enum

from drgn import NULL, Object

from .netdev import netdev_kind
from .veth import VETH_KIND, veth_priv

__all__ = ("XdpMode", "bpf_link_id", "netdev_xdp_link", "netdev_xdp_prog")


class XdpMode(enum.IntEnum):
    """``enum bpf_xdp_mode``: the index of ``net_device.xdp_state``."""

    SKB = 0
    DRV = 1
    HW = 2


def _prog_before_xdp_state(dev: Object, mode: int) -> Object:
    # Only generic XDP is kept by the core; native XDP by each driver.
    if mode == XdpMode.SKB:
        return dev.xdp_prog.read_()
    none = NULL(dev.prog_, "struct bpf_prog *")
    if not dev.netdev_ops.ndo_bpf:
        return none
    if netdev_kind(dev) == VETH_KIND:
        return none if mode == XdpMode.HW else veth_priv(dev)._xdp_prog.read_()
    raise NotImplementedError(
        "this kernel keeps the program in the device's driver, or nowhere"
    )


def netdev_xdp_link(dev: Object, mode: int) -> Object:
    """
    Return the BPF link by which an XDP program is attached.

    :param dev: ``struct net_device *``
    :param mode: :class:`XdpMode`
    :return: ``struct bpf_xdp_link *``, ``NULL`` if there is no program or it was
        attached by netlink
    :raises ValueError: if there is no such mode
    """
    mode = XdpMode(mode)
    try:
        return dev.xdp_state[int(mode)].link.read_()
    except AttributeError:  # Before v5.9 there are no links.
        return NULL(dev.prog_, "void *")


def netdev_xdp_prog(dev: Object, mode: int) -> Object:
    """
    Return the XDP program that is attached to a device.

    :param dev: ``struct net_device *``
    :param mode: :class:`XdpMode`
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises ValueError: if there is no such mode
    :raises NotImplementedError: in kernels before v5.9, for modes that only the
        driver knows of
    """
    # Since Linux kernel commit 7f0a838254bd ("bpf, xdp: Maintain info on
    # attached XDP BPF programs in net_device") (in v5.9), all modes are in
    # xdp_state.
    mode = XdpMode(mode)
    try:
        state = dev.xdp_state[int(mode)]
    except AttributeError:
        return _prog_before_xdp_state(dev, mode)
    link = state.link.read_()
    if link:
        return link.link.prog.read_()
    return state.prog.read_()


def bpf_link_id(link: Object) -> int:
    """
    Return the identifier of a link.

    :param link: ``struct bpf_xdp_link *``
    :return: ``u32``; 0 if it is not settled yet, or is being freed
    """
    return link.link.id.value_()
