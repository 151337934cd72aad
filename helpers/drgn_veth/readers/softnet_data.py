# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Backlogs
--------

The receive queues of each CPU (``struct softnet_data``, net/core/dev.c): netif_rx() and
RPS put packets into ``input_pkt_queue``; process_backlog() moves them to
``process_queue``, and takes them from there.

Upstream: all but the members.
"""

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.percpu import per_cpu

from ..core.struct_layout import Members, number, pointer

__all__ = ("BACKLOGS", "SoftnetBacklog", "softnet_data")

#: The queues of ``struct softnet_data``: the older packets are in the first.
BACKLOGS = ("process_queue", "input_pkt_queue")


class SoftnetBacklog(Members):
    """Members of ``struct softnet_data`` about its queues."""

    process_queue_next = pointer("process_queue.next")
    process_queue_qlen = number("process_queue.qlen")
    input_pkt_queue_next = pointer("input_pkt_queue.next")
    input_pkt_queue_qlen = number("input_pkt_queue.qlen")


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
