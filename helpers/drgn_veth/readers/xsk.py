# SPDX-License-Identifier: LGPL-2.1-or-later
"""
AF_XDP sockets
--------------

The sockets of a network namespace, their rings, and the buffer pool of a queue
(net/xdp/xsk.c, net/xdp/xsk_queue.h, net/xdp/xsk_diag.c).

Upstream: all but the members and the bound of the walk.
"""

from collections.abc import Iterator
from typing import NamedTuple

from drgn import NULL, Object, Program, offsetof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.struct_layout import Members, number, pointer
from .bounded import bounded_hlist
from .queues import netdev_rx_queue

__all__ = (
    "XDP_RING_NEED_WAKEUP",
    "XSK_BOUND",
    "XdpSock",
    "XskCounts",
    "for_each_xdp_sock",
    "has_xdp_socks",
    "xdp_sock_state",
    "xsk_get_pool_from_qid",
    "xsk_queue_counts",
    "xsk_state_name",
)

XDP_RING_NEED_WAKEUP = 1  # include/uapi/linux/if_xdp.h
# The enum has no name: XSK_READY, XSK_BOUND, XSK_UNBOUND (include/net/xdp_sock.h).
_STATES = ("ready", "bound", "unbound")
XSK_BOUND = 1
_MOST_ENTRIES = 1 << 31  # xsk_init_queue(): a power of two in an int
_U32 = (1 << 32) - 1


class XdpSock(Members):
    """Members of ``struct xdp_sock``."""

    sk_socket = pointer("sk.sk_socket")
    rx = pointer("rx")
    tx = pointer("tx")
    dev = pointer("dev")
    pool = pointer("pool")
    queue_id = number("queue_id")
    zc = number("zc")
    state = number("state")
    rx_dropped = number("rx_dropped")
    rx_queue_full = number("rx_queue_full")
    # What a socket has until it is bound, and then hands to its pool.
    fq_tmp = pointer("fq_tmp")
    cq_tmp = pointer("cq_tmp")


class XskCounts(NamedTuple):
    """What is in a ring (``struct xsk_queue``)."""

    size: int  # entries
    used: int  # produced and not yet consumed
    flags: int  # XDP_RING_NEED_WAKEUP


@takes_program_or_default
def has_xdp_socks(prog: Program) -> bool:
    """Return whether this kernel has AF_XDP sockets (``CONFIG_XDP_SOCKETS``)."""
    return prog.type("struct net").has_member("xdp")


def for_each_xdp_sock(net: Object) -> Iterator[Object]:
    """
    Iterate over the AF_XDP sockets of a network namespace, bound or not, the newest
    first.

    :param net: ``struct net *``
    :return: Iterator of ``struct xdp_sock *`` objects; none in a kernel without
        ``CONFIG_XDP_SOCKETS``
    :raises WalkError: after all that could be reached
    """
    prog = net.prog_
    if not has_xdp_socks(prog):
        return
    sock = prog.type("struct xdp_sock")
    node = offsetof(sock, "sk.__sk_common.skc_node")
    sock_pointer = prog.pointer_type(sock)
    head = net.xdp.list.address_of_().value_()
    for at in bounded_hlist(prog, head):
        yield Object(prog, sock_pointer, at - node)


def xsk_state_name(state: int) -> str:
    """
    Return what a value of ``xdp_sock.state`` means.

    :param state: The value
    :raises ValueError: if no socket can be in such a state
    """
    if not 0 <= state < len(_STATES):
        raise ValueError(f"state is {state}, which is not a known value")
    return _STATES[state]


def xdp_sock_state(xs: Object) -> str:
    """
    Return the state of an AF_XDP socket.

    :param xs: ``struct xdp_sock *``
    :return: ``ready``: it was never bound; ``bound``; ``unbound``: its device is gone,
        and ``xdp_sock.dev`` leads to what was its memory
    :raises ValueError: if it is in no such state
    """
    return xsk_state_name(xs.state.value_())


def xsk_queue_counts(queue: Object) -> XskCounts:
    """
    Return how full a ring of an AF_XDP socket is. The process can write to it.

    :param queue: ``struct xsk_queue *``
    :raises ValueError: if producer and consumer are further apart than its size
    """
    size = queue.nentries.value_()
    ring = queue.ring.read_()
    producer, consumer = ring.producer.value_(), ring.consumer.value_()
    used = (producer - consumer) & _U32
    if size > _MOST_ENTRIES or used > size:
        raise ValueError(
            f"producer is {producer} and consumer {consumer}, but the ring has {size} "
            "entries"
        )
    return XskCounts(size, used, ring.flags.value_())


def xsk_get_pool_from_qid(dev: Object, queue: int) -> Object:
    """
    Return the buffer pool of the AF_XDP sockets on a queue, as xsk_get_pool_from_qid()
    does (net/xdp/xsk.c). No ``ethtool -L`` takes away a queue that has one.

    :param dev: ``struct net_device *``
    :param queue: Index of the queue
    :return: ``struct xsk_buff_pool *``, ``NULL`` if there is none
    """
    rings = []
    if queue < dev.real_num_rx_queues.value_():
        rings.append(netdev_rx_queue(dev, queue))
    if queue < dev.real_num_tx_queues.value_():
        rings.append(dev._tx[queue].address_of_())
    for ring in rings:
        # Without CONFIG_XDP_SOCKETS there is none.
        if ring.type_.type.has_member("pool"):
            pool = ring.pool.read_()
            if pool:
                return pool
    return NULL(dev.prog_, "struct xsk_buff_pool *")
