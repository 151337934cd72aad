# SPDX-License-Identifier: LGPL-2.1-or-later
"""
bind() of an AF_XDP socket
--------------------------

xsk_bind() (net/xdp/xsk.c) and xp_assign_dev() (net/xdp/xsk_buff_pool.c), of a socket
with a umem of its own (no XDP_SHARED_UMEM).
"""

from typing import Optional

from ..attach.decision import Decision, first
from ..attach.question import Answer
from ..need import need_of
from .asked import Asked, granted
from .request import Bind

__all__ = ("BIND", "ZERO_COPY", "ask")

# include/uapi/linux/netdev.h: BASIC, REDIRECT, XSK_ZEROCOPY
_NETDEV_XDP_ACT_ZC = 1 << 0 | 1 << 1 | 1 << 3


def _queue(q: Asked) -> int:
    queue: int = q.what.queue & 0xFFFF  # xp_assign_dev() takes 16 bits.
    return queue


def _flags(q: Asked) -> Optional[str]:
    if "unknown-flag" in q.what.flags:
        return "sxdp_flags have a bit that this kernel does not know"
    if "sg" in q.what.flags and not q.kernel.xsk_sg:
        return "this kernel does not have XDP_USE_SG"
    return None


def _both(q: Asked) -> Optional[str]:
    if {"copy", "zerocopy"} <= set(q.what.flags):
        return "XDP_COPY and XDP_ZEROCOPY are both set"
    return None


def _busy(q: Asked) -> Optional[str]:
    if _queue(q) in need_of(q.device, q.device.xsk_queues, "AF_XDP queues"):
        return f"another AF_XDP socket has queue {_queue(q)} of {q.name}"
    return None


def _no_queue(q: Asked) -> Optional[str]:
    queues = q.device.queues
    rx = need_of(q.device, queues.rx.real, "real_num_rx_queues")
    tx = need_of(q.device, queues.tx.real, "real_num_tx_queues")
    if _queue(q) >= max(rx, tx):
        return f"queue {_queue(q)}, but {q.name} has {rx} real RX and {tx} TX queues"
    return None


#: xsk_bind() and xp_assign_dev(), in their order.
BIND: tuple[Decision, ...] = (
    Decision(
        "bind-flags",
        "xsk_bind",
        "EINVAL",
        None,
        _flags,
        compares="sxdp_flags with those that the kernel knows",
        mend="leave them out; XDP_USE_SG is known since v6.6",
    ),
    Decision(
        "bind-both",
        "xp_assign_dev",
        "EINVAL",
        None,
        _both,
        compares="whether both XDP_COPY and XDP_ZEROCOPY are set",
        mend="set one of them",
    ),
    Decision(
        "bind-busy",
        "xp_assign_dev",
        "EBUSY",
        None,
        _busy,
        compares="whether another AF_XDP socket has the queue",
        mend="close that socket, share its umem, or use another queue",
    ),
    Decision(
        "bind-queue",
        "xsk_reg_pool_at_qid",
        "EINVAL",
        None,
        _no_queue,
        compares="the queue with the larger one of the real RX and TX queue counts",
        mend="use a lower queue, or: ethtool -L DEVICE rx N",
    ),
)


def _no_zero_copy(q: Asked) -> Optional[str]:
    device = q.device
    features = need_of(device, device.features.xdp, "xdp_features")
    if features is None:
        for name in ("ndo_bpf", "ndo_xsk_wakeup"):
            if not need_of(device, getattr(device.driver, name), name):
                return f"the driver of {q.name} has no {name}"
    elif features & _NETDEV_XDP_ACT_ZC != _NETDEV_XDP_ACT_ZC:
        return f"xdp_features of {q.name} are {features:#x}: no zero copy"
    return None


#: What xp_assign_dev() asks if XDP_COPY is not set.
ZERO_COPY: tuple[Decision, ...] = (
    Decision(
        "bind-zero-copy",
        "xp_assign_dev",
        "EOPNOTSUPP",
        None,
        _no_zero_copy,
        compares=(
            "whether the driver has zero copy: NETDEV_XDP_ACT_XSK_ZEROCOPY since v6.3, "
            "ndo_bpf and ndo_xsk_wakeup before"
        ),
        mend="use XDP_COPY, or no flag: then copy mode is the fallback",
    ),
)


def ask(q: Asked) -> Answer:
    """
    Return the answer to bind().

    :raises CannotTell: if a value is missing
    """
    assert isinstance(q.what, Bind)
    refused = first(q, BIND)
    if refused is not None:
        return refused
    where = f"queue {_queue(q)} of {q.name} is free"
    if "zerocopy" not in q.what.flags:
        return granted("xp_assign_dev", where)
    refused = first(q, ZERO_COPY)
    if refused is not None:
        return refused
    why = f"{where}; driver {q.driver_name} has the final say about zero copy"
    return Answer(None, None, None, why)
