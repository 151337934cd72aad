# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a qdisc has dropped and holds
----------------------------------

As ``tc -s qdisc`` shows it for the root qdisc of a device (net/sched/sch_api.c,
tc_fill_qdisc()). ``mq`` and ``mqprio`` add up their children's when they are asked
(mq_dump(), net/sched/sch_mq.c).

Upstream: all but the members.
"""

from typing import NamedTuple, Optional

from drgn import Object, Program

from ..core.struct_layout import Layout, Members, number, pointer
from .link_stats import known
from .percpu import PerCpuSums
from .qdisc import qdisc_ops_id
from .queues import MAX_QUEUES

__all__ = ("QdiscCounters", "QdiscCounts", "netdev_qdisc_stats")

_TCQ_F_BUILTIN = 1 << 0
_U32 = (1 << 32) - 1
#: They count nothing themselves: see above.
_PARENTS = (b"mq", b"mqprio")


class QdiscCounts(NamedTuple):
    """``struct gnet_stats_queue``, as far as it tells where packets are."""

    drops: int
    #: Bytes.
    backlog: int
    #: Packets.
    qlen: int


class _Qdisc(Members):
    flags = number("flags")
    ops = pointer("ops")
    cpu_qstats = pointer("cpu_qstats")
    q_qlen = number("q.qlen")
    qlen = number("qstats.qlen")
    backlog = number("qstats.backlog")
    drops = number("qstats.drops")


class _QueueStats(Members):
    qlen = number("qlen")
    backlog = number("backlog")
    drops = number("drops")


class _NetdevQueue(Members):
    qdisc_sleeping = pointer("qdisc_sleeping")


class QdiscCounters:
    """Reads what qdiscs have dropped and hold."""

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._layout = Layout(prog, prog.type("struct Qdisc"), _Qdisc)
        self._queue = Layout(prog, prog.type("struct netdev_queue"), _NetdevQueue)
        self._cpu: Optional[PerCpuSums] = None
        self._ids: dict[int, bytes] = {}

    def _is_parent(self, ops: int) -> bool:
        try:
            id = self._ids[ops]
        except KeyError:
            id = self._ids[ops] = qdisc_ops_id(self._prog, ops)
        return id in _PARENTS

    def _own(self, qdisc: _Qdisc) -> QdiscCounts:
        # gnet_stats_copy_queue() and qdisc_qlen_sum()
        drops, backlog = known(qdisc.drops), known(qdisc.backlog)
        qlen = known(qdisc.qlen)
        cpu_qstats = known(qdisc.cpu_qstats)
        if cpu_qstats:
            if self._cpu is None:
                type = self._prog.type("struct gnet_stats_queue")
                self._cpu = PerCpuSums(self._prog, type, _QueueStats)
            sums = self._cpu.sum(cpu_qstats)
            drops, backlog = sums["drops"], sums["backlog"]
            qlen += sums["qlen"]
        else:
            qlen += known(qdisc.q_qlen)
        return QdiscCounts(drops & _U32, backlog & _U32, qlen & _U32)

    def root(self, qdisc: int, tx: int, count: int) -> Optional[QdiscCounts]:
        """
        Return the counters of the root qdisc of a device: see
        :func:`netdev_qdisc_stats()`.

        :param qdisc: ``net_device.qdisc``
        :param tx: ``net_device._tx``
        :param count: ``net_device.num_tx_queues``
        """
        if not qdisc:
            return None
        root = self._layout.read_span(qdisc)
        if known(root.flags) & _TCQ_F_BUILTIN:
            return None
        if not self._is_parent(known(root.ops)):
            return self._own(root)
        if not 0 < count <= MAX_QUEUES:
            raise ValueError(f"there are {count} TX queues")
        drops = backlog = qlen = 0
        for i in range(count):
            queue = self._queue.read_span(tx + i * self._queue.size)
            sleeping = known(queue.qdisc_sleeping)
            child = self._own(self._layout.read_span(sleeping))
            drops += child.drops
            backlog += child.backlog
            qlen += child.qlen
        return QdiscCounts(drops & _U32, backlog & _U32, qlen & _U32)


def netdev_qdisc_stats(dev: Object) -> Optional[QdiscCounts]:
    """
    Return what the root qdisc of a device has dropped and what it holds, as ``tc -s
    qdisc`` shows it. For ``mq``, that is the sum over its children.

    :param dev: ``struct net_device *``
    :return: ``drops`` (packets), ``backlog`` (bytes) and ``qlen`` (packets); None if
        the device has no qdisc, or only a built-in one such as ``noop``
    :raises ValueError: if a counter cannot be read
    """
    return QdiscCounters(dev.prog_).root(
        dev.qdisc.value_(), dev._tx.value_(), dev.num_tx_queues.value_()
    )
