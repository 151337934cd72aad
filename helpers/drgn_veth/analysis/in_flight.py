# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which queues hold packets of some devices."""

from collections.abc import Iterable

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, QueueInFlight, Snapshot

__all__ = ("queues_of",)


def queues_of(
    snapshot: Snapshot, devices: Iterable[Device]
) -> Maybe[tuple[QueueInFlight, ...]]:
    """
    Return the queues of some devices that are not empty, and those that all devices
    share: backlogs and CPUMAPs.
    """
    queues = snapshot.in_flight
    if isinstance(queues, Unreadable):
        return queues
    wanted = {device.net_device for device in devices}
    return tuple(
        [
            queue
            for queue in queues or ()
            if queue.device is None or queue.device.net_device in wanted
        ]
    )
