# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counters of lost packets
------------------------

Each counter of lost packets, what it counts, and what the rules about losses add.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Optional

from ..core.unreadable import Unreadable
from ..model import CpuStats, Device, Snapshot, XdpProgram
from .losses import queue_losses
from .path.xdp import program_name
from .rules import RULES_BY_ID
from .rules.context import Context
from .rules.finding import Finding

__all__ = (
    "EXPLAINED",
    "MEANING",
    "NOT_LOST",
    "Drop",
    "cpu_drops",
    "device_drops",
    "reasons",
)

Counters = Iterator[tuple[str, Optional[int]]]

#: Rules that tell why packets were lost, by the counter that each explains.
EXPLAINED = {
    "tx_dropped": "veth-packets-lost",
    "rx_dropped": "veth-not-delivered",
    "rx_drops": "xdp-redirect-failed",
    "qdisc drops": "qdisc-drops",
    "dropped": "backlog-overflow",
}
#: What a counter of struct rtnl_link_stats64 counts.
_OF_LINK = {
    "rx_errors": "received with an error",
    "tx_errors": "the driver could not send them",
    "rx_dropped": "received, but no protocol took them, or a queue was full",
    "tx_dropped": "not sent: the driver or the core refused them",
    "rx_length_errors": "too short, or too long",
    "rx_over_errors": "the receiver's ring was full",
    "rx_crc_errors": "a bad checksum",
    "rx_frame_errors": "badly aligned",
    "rx_fifo_errors": "the receiver was too slow",
    "rx_missed_errors": "no buffer was free",
    "tx_aborted_errors": "sending was given up",
    "tx_carrier_errors": "no carrier, or no route for a tunnel",
    "tx_fifo_errors": "the sender was too slow",
    "rx_nohandler": "received by an inactive port",
    "rx_otherhost_dropped": "for another MAC address: harmless",
}
#: What a counter of struct veth_stats counts.
_OF_QUEUES = {
    "rx_drops": "its native program could not send them on, or memory ran out",
    "xdp_drops": "its native program returned XDP_DROP, XDP_ABORTED or no verdict",
    "xdp_tx_err": "its peer did not take them from XDP_TX",
    "peer_tq_xdp_xmit_err": "XDP_REDIRECT sent them to its peer: its ring was full, or "
    "they were longer than its MTU",
}
#: What a counter of struct softnet_data counts.
_OF_CPUS = {
    "dropped": "the backlog of the CPU was full",
    "flow_limit_count": "among dropped: a flow had too many packets in the backlog",
    "backlog": "wait in the backlog of the CPU: not lost yet",
    "time_squeeze": "times that NAPI ran out of budget or time: late, not lost",
}
_OF_QDISC = {
    "qdisc drops": "its qdisc was full, or its algorithm dropped them",
    "qdisc qlen": "wait in its qdisc: not lost yet",
}
#: What each counter counts.
MEANING: Mapping[str, str] = {**_OF_LINK, **_OF_QUEUES, **_OF_QDISC, **_OF_CPUS}
#: Counters of packets that are late, that wait, or that were for another host.
NOT_LOST = frozenset(
    {
        *("rx_nohandler", "rx_otherhost_dropped", "qdisc qlen", "backlog"),
        "time_squeeze",
    }
)


class Drop(NamedTuple):
    """A counter that is not zero."""

    counter: str  # one of MEANING
    packets: int
    why: Optional[str]  # what a rule knows of it


def reasons(snapshot: Snapshot) -> Mapping[tuple[str, Optional[int]], str]:
    """
    Return what the rules about losses find: by counter and ``net_device``, None if it
    is about the kernel.
    """
    context = Context(snapshot)
    found: dict[tuple[str, Optional[int]], str] = {}
    for counter, name in EXPLAINED.items():
        for finding in RULES_BY_ID[name].findings(context):
            if finding.undecided is None:
                found[counter, _address(finding)] = finding.summary
    for device in snapshot.devices:
        program = device.xdp.driver
        if isinstance(program, XdpProgram):
            said = f"its native program is {program_name(program)} now"
            found["xdp_drops", device.net_device] = said
    return found


def _address(finding: Finding) -> Optional[int]:
    return None if finding.device is None else finding.device.net_device


def _in_device(device: Device) -> Counters:
    stats, qdisc = device.stats, device.qdisc_stats
    if stats is not None and not isinstance(stats, Unreadable):
        yield from ((counter, getattr(stats, counter)) for counter in _OF_LINK)
    yield from queue_losses(device).items()
    if qdisc is not None and not isinstance(qdisc, Unreadable):
        yield "qdisc drops", qdisc.drops
        yield "qdisc qlen", qdisc.qlen


def device_drops(
    device: Device, known: Mapping[tuple[str, Optional[int]], str]
) -> list[Drop]:
    """
    Return the counters of a device that show lost packets.

    :param known: What :func:`reasons()` returns
    """
    return [
        Drop(counter, packets, known.get((counter, device.net_device)))
        for counter, packets in _in_device(device)
        if packets
    ]


def cpu_drops(
    cpu: CpuStats, known: Mapping[tuple[str, Optional[int]], str]
) -> list[Drop]:
    """
    Return the counters of a CPU that show lost or late packets.

    :param known: What :func:`reasons()` returns
    """
    found = ((counter, getattr(cpu, counter)) for counter in _OF_CPUS)
    return [
        Drop(counter, packets, known.get((counter, None)))
        for counter, packets in found
        if isinstance(packets, int) and packets
    ]
