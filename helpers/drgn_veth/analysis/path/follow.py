# SPDX-License-Identifier: LGPL-2.1-or-later
"""From one device to the next, through bridges and further pairs."""

from collections.abc import Iterable, Sequence
from typing import Callable, Optional

from ...core.unreadable import Unreadable
from ...model import Device, DeviceRef
from ..chains import MOST_LEVELS
from ..names import name_of
from .records import Path
from .sender import forwarded_queues
from .topology import Topology
from .trail import Trail

__all__ = ("Followed",)

_MOST = 64  # paths: a bridge may have a thousand ports


def _only(cpus: set[Optional[int]]) -> Optional[int]:
    return cpus.pop() if len(cpus) == 1 else None


_SendPath = Callable[
    [
        Topology,
        Device,
        Optional[Sequence[int]],
        Optional[int],
        Optional["Followed"],
        Optional[int],
    ],
    Path,
]


class Followed:
    """
    The paths that were followed.

    :param send_path: Returns the path of what a device sends
    """

    def __init__(self, topology: Topology, send_path: _SendPath) -> None:
        self._topology = topology
        self._send_path = send_path
        self._way: list[int] = []  # net_device of those that sent so far
        self._left = _MOST

    def after(
        self, path: Path, trails: Iterable[tuple[int, Trail]], device: Device
    ) -> Path:
        """Return a path with those that may come after it."""
        nexts: dict[int, list[Trail]] = {}
        refs: dict[int, DeviceRef] = {}
        for _, trail in trails:
            for ref in trail.next:
                nexts.setdefault(ref.net_device, []).append(trail)
                refs[ref.net_device] = ref
        self._way.append(device.net_device)
        # What came out of a pair's end does not go back into that end.
        following = tuple(
            self._one(refs[address], some) for address, some in nexts.items()
        )
        self._way.pop()
        return path._replace(following=following)

    def _one(self, ref: DeviceRef, trails: Sequence[Trail]) -> Path:
        device = self._topology.device(ref)
        if isinstance(device, Unreadable):
            return Path(ref, (), device.reason)
        name = name_of(device)
        if device.net_device in self._way:
            return Path(ref, (), f"a loop: {name} was met before")
        if device.kind not in ("veth", "netkit"):
            return Path(ref, (), f"leaves by {name}")
        if len(self._way) > MOST_LEVELS or not self._left:
            return Path(ref, (), "not followed: too many devices")
        self._left -= 1
        queues: Optional[set[int]] = set()
        for trail in trails:
            some = forwarded_queues(device, trail.mapping, trail.xps_cpu)
            if isinstance(some, Unreadable):
                queues = None
                break
            assert queues is not None
            queues.update(some)
        cpu = _only({trail.next_cpu for trail in trails})
        sender_cpu = _only({trail.xps_cpu for trail in trails})
        chosen = None if queues is None else sorted(queues)
        return self._send_path(self._topology, device, chosen, cpu, self, sender_cpu)
