# SPDX-License-Identifier: LGPL-2.1-or-later
"""
fq_codel
--------

The flows of an fq_codel qdisc (net/sched/sch_fq_codel.c).

Upstream: all.
"""

from collections.abc import Iterator

from drgn import Object, Program, offsetof

from ..core.module_types import no_module_types
from .bounded import for_each_entry_bounded
from .qdisc import qdisc_priv

__all__ = ("codel_enqueue_time", "for_each_fq_codel_flow")

# codel_time_t: u32
_TIMES = 1 << 32


def for_each_fq_codel_flow(qdisc: Object) -> Iterator[Object]:
    """
    Iterate over the flows of an fq_codel qdisc that have packets, or had some a moment
    ago.

    :param qdisc: ``struct Qdisc *`` of kind fq_codel
    :return: Iterator of ``struct fq_codel_flow *`` objects. Their packets are linked by
        ``next``, beginning at ``head``.
    :raises LookupError: if the types of the sch_fq_codel module are not loaded
    :raises WalkError: after all that could be reached
    """
    name = "struct fq_codel_sched_data"
    try:
        data = qdisc_priv(qdisc, name)
    except LookupError:
        raise LookupError(no_module_types(name, "sch_fq_codel")) from None
    for flows in (data.new_flows, data.old_flows):
        yield from for_each_entry_bounded(
            flows.address_of_(), "struct fq_codel_flow", "flowchain"
        )


def codel_enqueue_time(prog: Program, skb: int, now: int = 0) -> int:
    """
    Return when a packet came to a qdisc of the CoDel family, as
    codel_get_enqueue_time() does (include/net/codel_qdisc.h).

    :param skb: Address of a ``struct sk_buff`` in such a qdisc
    :param now: Another such time, less than 36 minutes before or after
    :return: In units of 1,024 ns, relative to *now*; negative if it is before
    """
    # struct codel_skb_cb begins with it.
    at = offsetof(prog.type("struct sk_buff"), "cb")
    at += offsetof(prog.type("struct qdisc_skb_cb"), "data")
    half = _TIMES // 2
    return (prog.read_u32(skb + at) - now + half) % _TIMES - half
