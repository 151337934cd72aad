# SPDX-License-Identifier: LGPL-2.1-or-later
"""A situation: devices, what is done to them, and the packets that are sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional, Union

__all__ = (
    "ALL",
    "CPUS_1_2",
    "CPU_1",
    "ISOLATED",
    "OFFLINE",
    "SENDING",
    "Flow",
    "Situation",
    "Step",
    "on_cpus",
    "on_queues",
    "pair",
    "simple",
)

#: CPUs by what they do: the scene boots with isolcpus=domain,4, and takes 5 offline.
SENDING, ISOLATED, OFFLINE = 0, 4, 5
#: All queues; masks of CPUs.
ALL = None
CPU_1, CPUS_1_2 = 1 << 1, 1 << 1 | 1 << 2

#: What is done once all devices are up: see setting.py.
Step = tuple[Union[str, int, None], ...]


@dataclass(frozen=True)
class Flow:
    """Packets of one length; ``queue`` is the TX queue that is asked for."""

    number: int
    queue: Optional[int] = None
    cpu: int = SENDING


@dataclass(frozen=True)
class Situation:
    """Devices have its name and a letter: s sends, r receives, others as ``links``."""

    name: str
    links: tuple[str, ...]
    flows: tuple[Flow, ...] = ()
    steps: tuple[Step, ...] = ()
    sender: str = ""
    receiver: str = ""
    #: How a packet socket sends them: "chosen", with a program at egress that chooses
    #: the TX queue; "socket", without; "bypass", without the qdisc as well.
    how: str = "chosen"
    #: Devices at which no tracepoint shows what they receive.
    watch: tuple[str, ...] = ()
    to: str = ""
    tag: int = 0
    #: The namespace of the receiver.
    where: Optional[str] = None

    @property
    def source(self) -> str:
        return self.sender or self.name + "s"

    @property
    def goal(self) -> str:
        return self.receiver or self.name + "r"


def pair(
    name: str, tx: int = 1, rx: int = 1, where: Optional[str] = None, more: str = ""
) -> str:
    """Return the line that adds a pair: TX queues that send, RX queues that receive."""
    place = f" netns {where}" if where else ""
    return (
        f"link add {name}s numtxqueues {tx} numrxqueues {rx} {more} type veth "
        f"peer name {name}r{place} numrxqueues {rx} numtxqueues {tx}"
    )


def on_queues(count: int, cpus: Iterable[int] = (SENDING,)) -> tuple[Flow, ...]:
    """One flow for each TX queue and CPU."""
    return tuple(
        Flow(number, queue, cpu)
        for number, (cpu, queue) in enumerate(
            (cpu, queue) for cpu in cpus for queue in range(count)
        )
    )


def on_cpus(*cpus: int, first: int = 0) -> tuple[Flow, ...]:
    """One flow for each CPU; the kernel chooses the TX queue."""
    return tuple(Flow(first + n, None, cpu) for n, cpu in enumerate(cpus))


def simple(name: str, tx: int, rx: int, *steps: Step, more: str = "") -> Situation:
    """A pair that sends on each TX queue."""
    return Situation(name, (pair(name, tx, rx, more=more),), on_queues(tx), steps)
