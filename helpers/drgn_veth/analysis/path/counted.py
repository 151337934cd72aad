# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What was lost so far
--------------------

Counters that tell of losses at a step, in words. They count since the device came, or
since the boot: what lost the packets may be gone.
"""

from collections.abc import Iterator

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import CpuStats, Device
from ..losses import queue_losses
from .topology import Topology

__all__ = ("cpus_counted", "programs_counted", "qdisc_counted", "veth_counted")


def _is_some(value: object) -> bool:
    return isinstance(value, int) and value > 0


def qdisc_counted(device: Device) -> Iterator[str]:
    """Yield what the qdisc of a device has dropped and holds."""
    stats = device.qdisc_stats
    if stats is None or isinstance(stats, Unreadable):
        return
    if stats.drops > 0:
        yield f"also: it has dropped {count(stats.drops, 'packet')} so far"
    if stats.qlen > 0:
        yield f"also: it holds {count(stats.qlen, 'packet')}"


def veth_counted(sender: Device) -> Iterator[str]:
    """Yield what a veth could not hand to its peer (``veth_priv.dropped``)."""
    if sender.veth is not None and isinstance(sender.veth.dropped, int):
        if sender.veth.dropped > 0:
            lost = count(sender.veth.dropped, "packet")
            yield f"also: the sender has lost {lost} so far (veth_priv.dropped)"


def programs_counted(device: Device) -> Iterator[str]:
    """Yield what the RX queues of a veth have lost, all together."""
    found = [f"{name} {lost}" for name, lost in queue_losses(device).items() if lost]
    if found:
        yield f"also: so far {', '.join(found)}, over all RX queues"


def _cpu(one: CpuStats) -> Iterator[str]:
    if isinstance(one.backlog, int) and one.backlog > 0:
        yield f"{count(one.backlog, 'packet')} in the backlog of CPU {one.cpu}"
    if isinstance(one.dropped, int) and one.dropped > 0:
        limited = one.flow_limit_count
        by_limit = f", {limited} by its flow limit" if _is_some(limited) else ""
        lost = count(one.dropped, "packet")
        yield f"the backlog of CPU {one.cpu} has dropped {lost}{by_limit}"


def cpus_counted(topology: Topology, cpus: object) -> Iterator[str]:
    """Yield what lies in the backlogs of some CPUs, and what they have dropped."""
    known = topology.snapshot.cpus
    if not isinstance(known, tuple) or not isinstance(cpus, tuple):
        return
    for one in known:
        if one.cpu in cpus:
            yield from (f"also: {text}" for text in _cpu(one))
