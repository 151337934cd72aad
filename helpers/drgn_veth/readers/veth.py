# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth
----

The private data of a veth device (drivers/net/veth.c).

Upstream: all but the members, the hint of veth_priv(), and what takes numbers.
"""

from drgn import Object, Program, cast
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.net import netdev_priv

from ..core.module_types import no_module_types
from ..core.struct_layout import (
    Members,
    number,
    optional_number,
    optional_pointer,
    pointer,
)
from .gro import GRO_BITMASK, GRO_RX_COUNT

__all__ = (
    "MOST_QUEUES",
    "VETH_KIND",
    "VethPriv",
    "VethRq",
    "VethRqPackets",
    "is_xdp_frame",
    "napi_is_scheduled",
    "napi_is_threaded",
    "veth_peer",
    "veth_priv",
    "veth_rq_has_napi",
    "veth_rq_knows_napi",
    "veth_rq_poll",
    "veth_rq_xdp_prog",
    "veth_rqs",
    "veth_xdp_prog",
    "xdp_rxq_is_registered",
)

VETH_KIND = b"veth"
#: That a veth may have, of a kind.
MOST_QUEUES = 4096  # rtnl_create_link(), net/core/rtnetlink.c

_REG_STATE_REGISTERED = 1  # include/net/xdp.h
_NAPIF_STATE_SCHED = 1  # include/linux/netdevice.h, enum
# Since v5.12 a NAPI may have a thread. Before, nothing sets this bit.
_NAPIF_STATE_THREADED = 1 << 8
_VETH_XDP_FLAG = 1


class VethPriv(Members):
    """Members of ``struct veth_priv``."""

    peer = pointer("peer")
    rq = pointer("rq")
    dropped = number("dropped.counter")
    xdp_prog = pointer("_xdp_prog")


class VethRq(Members):
    """Members of ``struct veth_rq``."""

    dev = pointer("dev")
    xdp_prog = pointer("xdp_prog")
    # See veth_rq_knows_napi().
    napi = optional_pointer("napi")
    napi_state = number("xdp_napi.state")
    reg_state = number("xdp_rxq.reg_state")
    rxq_index = number("xdp_rxq.queue_index")
    # Not before v5.7: what XDP_TX lost is not counted there.
    tx_errors = optional_number("stats.vs.xdp_tx_err")
    consumer_head = number("xdp_ring.consumer_head")
    ring_size = number("xdp_ring.size")
    ring = pointer("xdp_ring.queue")


class VethRqPackets(Members):
    """Members of ``struct veth_rq`` about the packets that wait in it."""

    gro_bitmask = number(*(f"xdp_napi.{path}" for path in GRO_BITMASK))
    gro_rx_count = number(*(f"xdp_napi.{path}" for path in GRO_RX_COUNT))
    producer = number("xdp_ring.producer")
    consumer_head = number("xdp_ring.consumer_head")
    ring_size = number("xdp_ring.size")
    ring = pointer("xdp_ring.queue")


def xdp_rxq_is_registered(reg_state: int) -> bool:
    """
    Return whether XDP uses a queue.

    :param reg_state: ``xdp_rxq_info.reg_state`` (``u32``, include/net/xdp.h)
    """
    return reg_state == _REG_STATE_REGISTERED


def napi_is_scheduled(napi_state: int) -> bool:
    """
    Return whether a NAPI is about to run.

    :param napi_state: ``napi_struct.state`` (``unsigned long``)
    """
    return bool(napi_state & _NAPIF_STATE_SCHED)


def napi_is_threaded(napi_state: int) -> bool:
    """
    Return whether a NAPI runs in a thread of its own, and not on the CPU that has
    scheduled it.

    :param napi_state: ``napi_struct.state`` (``unsigned long``)
    """
    return bool(napi_state & _NAPIF_STATE_THREADED)


def is_xdp_frame(entry: int) -> bool:
    """
    Return whether an entry of a ring is an XDP frame, as veth_is_xdp_frame() does
    (drivers/net/veth.c).

    :param entry: Pointer in ``veth_rq.xdp_ring``, with its lowest bit
    """
    return bool(entry & _VETH_XDP_FLAG)


def veth_priv(dev: Object) -> Object:
    """
    Return the private data of a veth device.

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct veth_priv *``
    :raises LookupError: if the types of the veth module are not loaded
    """
    try:
        return netdev_priv(dev, "struct veth_priv")
    except LookupError:
        raise LookupError(no_module_types("struct veth_priv", "veth")) from None


def veth_peer(dev: Object) -> Object:
    """
    Return the other end of a veth pair, with or without the veth module's types.

    >>> veth_peer(netdev_get_by_name("veth_xxx0")).name
    (char [16])"veth_yyy0"

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct net_device *``; ``NULL`` while the pair is being created or torn
        down
    """
    try:
        return veth_priv(dev).peer.read_()
    except LookupError:
        # peer is the first member of struct veth_priv in every kernel from v5.4 to
        # v7.3.
        slot = cast("struct net_device **", netdev_priv(dev))
        return slot[0].read_()


def veth_xdp_prog(dev: Object) -> Object:
    """
    Return the native XDP program of a veth device.

    :param dev: ``struct net_device *`` of kind veth
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises LookupError: if the types of the veth module are not loaded
    """
    return veth_priv(dev)._xdp_prog.read_()


def veth_rqs(dev: Object) -> Object:
    """
    Return the receive queues of a veth device: there are ``dev.num_rx_queues``, and the
    first ``dev.real_num_rx_queues`` are in use.

    >>> rqs = veth_rqs(netdev_get_by_name("xnata"))
    >>> bpf_prog_name(veth_rq_xdp_prog(rqs))
    b'zoo_nat'

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


@takes_program_or_default
def veth_rq_knows_napi(prog: Program) -> bool:
    """Return whether a receive queue may have NAPI without XDP."""
    # Since Linux kernel commit d3256efd8e8b ("veth: allow enabling NAPI even
    # without XDP") (in v5.13). Before, only XDP started it.
    return prog.type("struct veth_rq").has_member("napi")


def veth_rq_has_napi(rq: Object) -> bool:
    """
    Return whether packets to a receive queue go through NAPI. XDP_REDIRECT and
    XDP_TX into a veth need that (``veth_xdp_xmit()``).

    >>> veth_rq_has_napi(veth_rqs(netdev_get_by_name("xnata")))
    True

    :param rq: ``struct veth_rq *``
    """
    try:
        return bool(rq.napi.value_())
    except AttributeError:  # See veth_rq_knows_napi().
        return bool(rq.xdp_prog.value_())


def veth_rq_poll(rq: Object) -> Object:
    """
    Return the function that a receive queue's NAPI calls: veth_poll().

    :param rq: ``struct veth_rq *`` that has NAPI
    :return: ``int (*)(struct napi_struct *, int)``
    """
    return rq.xdp_napi.poll.read_()
