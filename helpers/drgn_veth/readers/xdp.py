# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP
---

The programs that are attached to a device, in each mode, and how. Follows
dev_xdp_prog() and dev_xdp_link() (net/core/dev.c).
"""

import enum
from typing import Optional

from drgn import NULL, Object, TypeKind
from drgn.helpers.linux.net import netdev_priv

from .driver import netdev_driver_name, netdev_op
from .flex import expect_array
from .veth import VETH_KIND, veth_priv

__all__ = ("XdpMode", "bpf_link_id", "netdev_xdp_link", "netdev_xdp_prog")


class XdpMode(enum.IntEnum):
    """``enum bpf_xdp_mode``: the index of ``net_device.xdp_state``."""

    SKB = 0
    DRV = 1
    HW = 2


def _entity(dev: Object, mode: XdpMode) -> Optional[Object]:
    """
    Return the entry of a mode in ``net_device.xdp_state``, None if it is not there.

    :raises AttributeError: in kernels before v5.9
    """
    state = dev.xdp_state
    # RHEL 8 has a pointer in place of the array, NULL until the first attach.
    if state.type_.unaliased_kind() == TypeKind.POINTER:
        state = state.read_()
        if not state:
            return None
    else:
        expect_array(state)
    return state[int(mode)]


def _prog_of_driver(dev: Object) -> Object:
    # What the driver answers to XDP_QUERY_PROG.
    driver = netdev_driver_name(dev)
    if driver == VETH_KIND:
        return veth_priv(dev)._xdp_prog.read_()
    if driver == b"tun":
        return netdev_priv(dev, "struct tun_struct").xdp_prog.read_()
    if driver == b"virtio_net":
        # virtnet_xdp_set() gives all queues the same.
        return netdev_priv(dev, "struct virtnet_info").rq[0].xdp_prog.read_()
    raise NotImplementedError(
        "this kernel has no net_device.xdp_state: the program is known to the device's "
        "driver alone"
    )


def _prog_before_xdp_state(dev: Object, mode: XdpMode) -> Object:
    # The core keeps the generic program alone.
    if mode == XdpMode.SKB:
        return dev.xdp_prog.read_()
    none = NULL(dev.prog_, "struct bpf_prog *")
    # Since Linux kernel commit ("net: bpf: rename ndo_xdp to ndo_bpf") (in v4.15).
    if not netdev_op(dev, "ndo_bpf") and not netdev_op(dev, "ndo_xdp"):
        return none
    program = _prog_of_driver(dev)
    # None of these drivers can offload.
    return none if mode == XdpMode.HW else program


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
        entity = _entity(dev, mode)
    except AttributeError:  # Before v5.9 there are no links.
        entity = None
    return NULL(dev.prog_, "void *") if entity is None else entity.link.read_()


def netdev_xdp_prog(dev: Object, mode: int) -> Object:
    """
    Return the XDP program that is attached to a device.

    :param dev: ``struct net_device *``
    :param mode: :class:`XdpMode`
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises ValueError: if there is no such mode
    :raises LookupError: in kernels before v5.9, if the types of the device's driver
        are not loaded
    :raises NotImplementedError: in kernels before v5.9, if it is not known where the
        device's driver keeps the program
    """
    # Since Linux kernel commit 7f0a838254bd ("bpf, xdp: Maintain info on
    # attached XDP BPF programs in net_device") (in v5.9), all modes are in
    # xdp_state.
    mode = XdpMode(mode)
    try:
        entity = _entity(dev, mode)
    except AttributeError:
        return _prog_before_xdp_state(dev, mode)
    if entity is None:
        return NULL(dev.prog_, "struct bpf_prog *")
    link = entity.link.read_()
    if link:
        return link.link.prog.read_()
    return entity.prog.read_()


def bpf_link_id(link: Object) -> int:
    """
    Return the identifier of a link.

    :param link: ``struct bpf_xdp_link *``
    :return: ``u32``; 0 if it is not settled yet, or is being freed
    """
    return link.link.id.value_()
