# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth
----

The private data of a veth device (drivers/net/veth.c).
"""

from drgn import Object, Program, Type, cast
from drgn.helpers.linux.net import netdev_priv

__all__ = (
    "VETH_KIND",
    "veth_peer",
    "veth_priv",
    "veth_rq_has_napi",
    "veth_rq_xdp_prog",
    "veth_rqs",
)

VETH_KIND = b"veth"


def _veth_priv_type(prog: Program) -> Type:
    try:
        return prog.cache["drgn_veth.veth_priv"]
    except KeyError:
        pass
    try:
        type = prog.type("struct veth_priv")
    except LookupError:
        raise LookupError(
            "no type struct veth_priv: veth is a module here, and its types are not "
            "there (drgn -s vmlinux -s .../veth.ko gives them)"
        ) from None
    prog.cache["drgn_veth.veth_priv"] = type
    return type


def veth_priv(dev: Object) -> Object:
    """
    Return the private data of a veth device.

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct veth_priv *``
    :raises LookupError: if the types of the veth module are not loaded
    """
    return netdev_priv(dev, _veth_priv_type(dev.prog_))


def veth_peer(dev: Object) -> Object:
    """
    Return the other end of a veth pair, with or without the veth module's types.

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct net_device *``; ``NULL`` while the pair is made or torn
        down
    """
    try:
        return veth_priv(dev).peer.read_()
    except LookupError:
        # peer is the first member of struct veth_priv in every kernel from v5.4 to
        # v7.3.
        slot = cast("struct net_device **", netdev_priv(dev))
        return slot[0].read_()


def veth_rqs(dev: Object) -> Object:
    """
    Return the receive queue states of a veth device: ``dev.num_rx_queues`` of
    them, of which the first ``dev.real_num_rx_queues`` are in use.

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct veth_rq *``, the first of an array
    :raises LookupError: if the types of the veth module are not loaded
    """
    return veth_priv(dev).rq.read_()


def veth_rq_xdp_prog(rq: Object) -> Object:
    """
    Return the native XDP program that a receive queue runs.

    :param rq: ``struct veth_rq *``
    :return: ``struct bpf_prog *``, ``NULL`` if none
    """
    return rq.xdp_prog.read_()


def veth_rq_has_napi(rq: Object) -> bool:
    """
    Return whether packets to a receive queue go through NAPI. XDP_REDIRECT and
    XDP_TX into a veth need that (``veth_xdp_xmit()``).

    :param rq: ``struct veth_rq *``
    """
    # Since Linux kernel commit d3256efd8e8b ("veth: allow enabling NAPI even
    # without XDP") (in v5.13). Before, only XDP started it.
    try:
        return bool(rq.napi.value_())
    except AttributeError:
        return bool(rq.xdp_prog.value_())
