# SPDX-License-Identifier: LGPL-2.1-or-later
"""A packet on its way: where it is, what it carries, and the steps that it has made."""

from collections.abc import Iterable, Mapping
from typing import Optional, Union

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, DeviceRef
from .records import Draft, Slot, Value
from .topology import Topology

__all__ = ("THE_SAME", "Trail")

#: As the CPU that packets are on.
THE_SAME = -1


class Trail:
    """
    The steps of one queue's packets so far.

    :param cpu: The CPU that they are on, None if it may be any
    :param sender_cpu: The one that sent them first, None if it may be any; by default
        the same
    """

    def __init__(
        self,
        topology: Topology,
        cpu: Optional[int] = None,
        sender_cpu: Optional[int] = THE_SAME,
    ) -> None:
        self.topology = topology
        self.cpu = cpu
        # skb->sender_cpu: netdev_core_pick_tx() sets it once.
        self._sender_cpu = cpu if sender_cpu == THE_SAME else sender_cpu
        #: Whether skb->sender_cpu is not set: no CPU has sent them yet, or a NAPI has
        #: cleared it.
        self.unsent = False
        #: skb->queue_mapping
        self.mapping: Maybe[int] = 0
        self.drafts: list[Draft] = []
        #: Where the steps end, and why; None while they go on.
        self.ends: Optional[str] = None
        #: Devices that the packets may be sent on next, and the CPU that they are on
        #: then.
        self.next: list[DeviceRef] = []
        self.next_cpu: Optional[int] = None
        #: Why it is unknown whether a NAPI has the packet.
        self.unsure: Optional[Unreadable] = None

    def add(
        self,
        kind: str,
        function: str,
        device: Device,
        *words: Union[str, Slot],
        alternatives: tuple[str, ...] = (),
        **numbers: Value,
    ) -> None:
        """Add a step, with its numbers by name."""
        self.put(kind, function, device, words, numbers, alternatives)

    def put(
        self,
        kind: str,
        function: str,
        device: Device,
        words: tuple[Union[str, Slot], ...],
        numbers: Mapping[str, Value],
        alternatives: tuple[str, ...] = (),
    ) -> None:
        """Add a step."""
        self.drafts.append(
            Draft(kind, function, device.ref, words, numbers, alternatives)
        )

    def forward(self, devices: Iterable[Device]) -> None:
        """Add devices that the packets may be sent on next."""
        self.next += [one.ref for one in devices]
        self.next_cpu = self.cpu

    @property
    def xps_cpu(self) -> Optional[int]:
        """The CPU whose XPS map chooses the TX queue, None if it may be any."""
        return self.next_cpu if self.unsent else self._sender_cpu

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same for all queues of a flow."""
        return (*(draft.key for draft in self.drafts), self.ends)
