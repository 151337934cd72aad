# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Snapshot as a path looks at it: devices by address, and what is above them."""

from collections.abc import Iterable, Mapping, Sequence
import functools
from typing import Optional

from ...core.unreadable import Maybe, Unreadable
from ...model import Device, DeviceRef, Map, RecordsRxQueue, Snapshot
from ..attach.ask import Questions

__all__ = ("Topology",)


class Topology:
    """
    What several steps of a path, and several paths, need: computed once.

    :param questions: Those of the same Snapshot, if there are some already
    """

    def __init__(
        self, snapshot: Snapshot, questions: Optional[Questions] = None
    ) -> None:
        self.snapshot = snapshot
        self.target = snapshot.target
        self.questions = Questions(snapshot) if questions is None else questions
        self.by_address: Mapping[int, Device] = self.questions.by_address
        self._above: Optional[dict[int, list[Device]]] = None
        self._ports: Optional[dict[int, list[Device]]] = None

    @property
    def records_rx_queue(self) -> Maybe[Optional[RecordsRxQueue]]:
        """When ``veth_xmit()`` writes the RX queue into a packet."""
        return self.questions.kernel.records_rx_queue

    def device(self, ref: DeviceRef) -> Maybe[Device]:
        """Return the record of a device that another one names."""
        return self.by_address.get(ref.net_device) or Unreadable(
            "it was not found in any namespace"
        )

    def above(self, device: Device, *kinds: str) -> Sequence[Device]:
        """
        Return the devices of some kinds that were made on a device: VLANs, macvlans.
        """
        if self._above is None:
            self._above = {}
            for one in self.snapshot.devices:
                if isinstance(one.lowers, Unreadable) or one.kind is None:
                    continue
                for lower in one.lowers:
                    self._above.setdefault(lower.net_device, []).append(one)
        found = self._above.get(device.net_device, ())
        return [one for one in found if one.kind in kinds]

    def ports(self, master: Device) -> Sequence[Device]:
        """Return the devices that have a device as their master."""
        if self._ports is None:
            self._ports = {}
            for one in self.snapshot.devices:
                if one.master is not None and not isinstance(one.master, Unreadable):
                    self._ports.setdefault(one.master.net_device, []).append(one)
        return self._ports.get(master.net_device, ())

    def isolated_cpus(self) -> frozenset[int]:
        """Return the isolated CPUs, none if that is not known."""
        isolated = self.target.isolated_cpus
        return frozenset(isolated) if isinstance(isolated, tuple) else frozenset()

    def maps(self, numbers: Iterable[int]) -> Sequence[Map]:
        """Return the maps with these numbers that a program can redirect to."""
        return [self._maps[number] for number in numbers if number in self._maps]

    @functools.cached_property
    def _maps(self) -> Mapping[Maybe[int], Map]:
        return {one.id: one for one in self.snapshot.maps}
