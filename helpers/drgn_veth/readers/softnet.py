# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What each CPU does with packets
-------------------------------

The backlog and the counters of a CPU (``struct softnet_data``, net/core/dev.c), as
``/proc/net/softnet_stat`` shows them (net/core/net-procfs.c). netif_rx() and RPS put
packets into ``input_pkt_queue``; process_backlog() moves them to ``process_queue``, and
takes them from there.

Upstream: all.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.percpu import per_cpu

from ..core.struct_layout import (
    Layout,
    Members,
    counter,
    number,
    optional_counter,
    optional_number,
    optional_pointer,
    pointer,
)
from ..core.unreadable import Maybe, Unreadable
from .cpumask import online_cpus
from .percpu import per_cpu_offsets

__all__ = (
    "BACKLOGS",
    "SoftnetBacklog",
    "SoftnetStat",
    "for_each_softnet_stat",
    "softnet_data",
    "softnet_stat",
)

_ADDRESS = (1 << 64) - 1
_U32 = (1 << 32) - 1


class SoftnetStat(NamedTuple):
    """What a CPU has counted; None if this kernel does not count it."""

    cpu: int
    processed: Maybe[int]
    dropped: Maybe[int]
    time_squeeze: Maybe[int]
    received_rps: Maybe[Optional[int]]
    flow_limit_count: Maybe[Optional[int]]
    #: Packets in ``input_pkt_queue`` and ``process_queue``.
    backlog: Maybe[int]


class _SoftnetData(Members):
    processed = number("processed")
    time_squeeze = number("time_squeeze")
    received_rps = optional_number("received_rps")  # CONFIG_RPS
    flow_limit = optional_pointer("flow_limit")  # CONFIG_NET_FLOW_LIMIT
    # unsigned int, then atomic_t; in v7.x, one for each half of the NUMA nodes.
    dropped = optional_counter("dropped")
    dropped0 = optional_counter("drop_counters.drops0")
    dropped1 = optional_counter("drop_counters.drops1")
    input_pkt_queue = number("input_pkt_queue.qlen")
    process_queue = number("process_queue.qlen")


#: The queues of ``struct softnet_data``: the older packets are in the first.
BACKLOGS = ("process_queue", "input_pkt_queue")


class SoftnetBacklog(Members):
    """Members of ``struct softnet_data`` about its queues."""

    process_queue_next = pointer("process_queue.next")
    process_queue_qlen = number("process_queue.qlen")
    input_pkt_queue_next = pointer("input_pkt_queue.next")
    input_pkt_queue_qlen = number("input_pkt_queue.qlen")


class _FlowLimit(Members):
    count = counter("count")


def _sum(*values: Maybe[int]) -> Maybe[int]:
    total = 0
    for value in values:
        if isinstance(value, Unreadable):
            return value
        total += value
    return total & _U32


def _dropped(data: _SoftnetData) -> Maybe[int]:
    if data.dropped is not None:
        return _sum(data.dropped)
    if data.dropped0 is None or data.dropped1 is None:
        return Unreadable("this kernel counts drops of the backlog in another place")
    return _sum(data.dropped0, data.dropped1)


def _flow_limit_count(
    prog: Program, flow_limit: Maybe[Optional[int]]
) -> Maybe[Optional[int]]:
    # None: not compiled in. NULL: not set up for this CPU.
    if not flow_limit or isinstance(flow_limit, Unreadable):
        return flow_limit
    limit = Layout(prog, prog.type("struct sd_flow_limit"), _FlowLimit)
    return _sum(limit.read_span(flow_limit).count)


def for_each_softnet_stat(prog: Program) -> Iterator[SoftnetStat]:
    """
    Iterate over what each CPU that is online has counted: see :func:`softnet_stat()`.

    :raises LookupError: if the kernel's types or symbols are missing
    :raises FaultError: if it cannot be read which CPUs are online
    """
    first = prog["softnet_data"].address_
    assert first is not None
    layout = Layout(prog, prog.type("struct softnet_data"), _SoftnetData)
    offsets = per_cpu_offsets(prog)
    for cpu in online_cpus(prog):
        data = layout.read_span(first + offsets[cpu] & _ADDRESS)
        yield SoftnetStat(
            cpu,
            data.processed,
            _dropped(data),
            data.time_squeeze,
            data.received_rps,
            _flow_limit_count(prog, data.flow_limit),
            _sum(data.input_pkt_queue, data.process_queue),
        )


@takes_program_or_default
def softnet_stat(prog: Program) -> list[SoftnetStat]:
    """
    Return what each CPU has counted, as ``/proc/net/softnet_stat`` shows it.

    >>> [stat.cpu for stat in softnet_stat()]
    [0, 1, 2, 3]

    :return: A record for each CPU that is online: packets ``processed``, ``dropped``
        for a full backlog, ``time_squeeze`` (times that a CPU stopped with work left),
        ``received_rps`` (interrupts from other CPUs), ``flow_limit_count``, and the
        length of its ``backlog``
    :raises LookupError: if the kernel's types or symbols are missing
    :raises FaultError: if it cannot be read which CPUs are online
    """
    return list(for_each_softnet_stat(prog))


@takes_program_or_default
def softnet_data(prog: Program, cpu: int) -> Object:
    """
    Return what a CPU keeps for networking.

    >>> softnet_data(0).input_pkt_queue.qlen
    (__u32)0

    :param cpu: Number of a possible CPU
    :return: ``struct softnet_data``, a reference
    :raises KeyError: if the kernel's symbols do not include it
    """
    return per_cpu(prog["softnet_data"], cpu)
