# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Queueing disciplines
--------------------

The qdiscs of a device (net/sched), and where they keep packets.

Upstream: all but the members.
"""

from collections.abc import Iterator

from drgn import Object, Program, offsetof, sizeof

from ..core.errors import WalkError
from ..core.struct_layout import Members, number, optional_pointer, pointer
from .bounded import bounded_hlist
from .queues import netdev_num_tx_queues

__all__ = (
    "NetDeviceQdisc",
    "Qdisc",
    "QdiscQueues",
    "for_each_netdev_qdisc",
    "netdev_qdisc_id",
    "pfifo_fast_bands",
    "qdisc_handle",
    "qdisc_ops_id",
    "qdisc_priv",
)

_IFNAMSIZ = 16  # Qdisc_ops.id
_PFIFO_FAST_BANDS = 3
_QDISC_ALIGNTO = 64


class NetDeviceQdisc(Members):
    """Members of ``struct net_device`` about its qdisc."""

    qdisc = pointer("qdisc")


class Qdisc(Members):
    """Members of ``struct Qdisc``."""

    ops = pointer("ops")


class QdiscQueues(Members):
    """Members of ``struct Qdisc`` about what it holds."""

    ops = pointer("ops")
    handle = number("handle")
    parent = number("parent")
    dev_queue = pointer("dev_queue")
    gso_skb_next = pointer("gso_skb.next")
    gso_skb_qlen = number("gso_skb.qlen")
    skb_bad_txq_next = pointer("skb_bad_txq.next")
    skb_bad_txq_qlen = number("skb_bad_txq.qlen")
    q_head = pointer("q.head")
    q_qlen = number("q.qlen")
    # Newer kernels: what other CPUs send while one has the qdisc, newest first.
    defer_list = optional_pointer("defer_list.first")


def qdisc_handle(handle: int) -> str:
    """
    Return a handle as tc prints it.

    >>> qdisc_handle(0x80010000)
    '8001:'

    :param handle: ``Qdisc.handle`` (``u32``)
    """
    return f"{handle >> 16:x}:"


def qdisc_priv(qdisc: Object, type: str) -> Object:
    """
    Return the private data of a qdisc, as qdisc_priv() does (include/net/pkt_sched.h).

    :param qdisc: ``struct Qdisc *``
    :param type: Such as ``"struct pfifo_fast_priv"``
    :return: ``type *``
    :raises LookupError: if the types of its module are not loaded
    """
    prog = qdisc.prog_
    struct = qdisc.type_.type
    try:
        offset = offsetof(struct, "privdata")
    except LookupError:
        # Older kernels have no such member: the data follows, aligned.
        offset = -(-sizeof(struct) // _QDISC_ALIGNTO) * _QDISC_ALIGNTO
    return Object(prog, f"{type} *", qdisc.value_() + offset)


def pfifo_fast_bands(qdisc: Object) -> Iterator[Object]:
    """
    Iterate over the rings of a pfifo_fast qdisc, in the order in which it empties them.

    :param qdisc: ``struct Qdisc *`` of kind pfifo_fast
    :return: Iterator of ``struct ptr_ring *`` objects: their entries are ``struct
        sk_buff *``
    """
    priv = qdisc_priv(qdisc, "struct pfifo_fast_priv")
    for band in range(_PFIFO_FAST_BANDS):
        yield priv.q[band].ring.address_of_()


def for_each_netdev_qdisc(dev: Object) -> Iterator[Object]:
    """
    Iterate over the qdiscs of a device: its root, those of TX queues, and those in
    classes.

    :param dev: ``struct net_device *``
    :return: Iterator of ``struct Qdisc *`` objects, each one once
    :raises WalkError: after all that could be reached
    """
    prog = dev.prog_
    root = dev.qdisc.read_()
    seen = {0, root.value_()}
    if not root:
        return
    yield root
    if netdev_qdisc_id(dev) in (b"mq", b"mqprio"):
        # One for each queue, not all of them in the hash.
        for i in range(netdev_num_tx_queues(dev)):
            qdisc = dev._tx[i].qdisc.read_()
            if qdisc.value_() not in seen:
                seen.add(qdisc.value_())
                yield qdisc
    try:
        heads = dev.qdisc_hash
    except AttributeError:  # CONFIG_NET_SCHED=n
        return
    type = root.type_.type
    node, dev_queue = offsetof(type, "hash"), offsetof(type, "dev_queue")
    first = dev._tx.value_()
    step = sizeof(prog.type("struct netdev_queue"))
    queues = range(first, first + step * dev.num_tx_queues.value_(), step)
    size = sizeof(heads.type_.type)
    for i in range(heads.type_.length):
        for at in bounded_hlist(prog, heads.address_ + i * size):
            if at - node not in seen:
                seen.add(at - node)
                if prog.read_word(at - node + dev_queue) not in queues:
                    raise WalkError(f"{at - node:#x} is not a qdisc of this device")
                yield Object(prog, root.type_, at - node)


def qdisc_ops_id(prog: Program, ops: int) -> bytes:
    """
    Return the name of a kind of qdisc.

    :param ops: Address of a ``struct Qdisc_ops``
    :return: ``Qdisc_ops.id``, such as ``b"fq_codel"``
    """
    id = Object(prog, "struct Qdisc_ops *", ops).id
    return prog.read_c_string(id.address_of_().value_(), max_size=_IFNAMSIZ)


def netdev_qdisc_id(dev: Object) -> bytes:
    """
    Return the name of the root qdisc of a device (``IFLA_QDISC``), as
    rtnl_fill_ifinfo() does (net/core/rtnetlink.c).

    :param dev: ``struct net_device *``
    :return: ``net_device.qdisc->ops->id``, such as ``b"noqueue"``; ``b""`` if the
        device has no qdisc yet
    """
    qdisc = dev.qdisc.read_()
    return qdisc_ops_id(dev.prog_, qdisc.ops.value_()) if qdisc else b""
