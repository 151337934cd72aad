# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What was counted
----------------

The counters of all devices, of the queues of veths, of qdiscs and of CPUs, once it is
known what devices there are.
"""

from collections.abc import Mapping, Sequence
from typing import Optional

from drgn import Program

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    CpuStats,
    Device,
    LinkStats,
    QdiscStats,
    Snapshot,
    VethQueueStats,
    VethRing,
)
from ..readers.dev_stats import LinkCounters
from ..readers.link_stats import LOOPBACK, Counted
from ..readers.ptr_ring import check_ring_size, ptr_ring_length
from ..readers.qdisc_stats import QdiscCounters, QdiscCounts
from ..readers.softnet import for_each_softnet_stat
from ..readers.veth import VETH_KIND, napi_is_scheduled
from ..readers.veth_stats import VETH_STATS, VethRqStats
from .found import Found
from .layouts import Layouts

__all__ = ("add_counters",)

_IFF_LOOPBACK = 1 << 3
#: Of a noqueue: no packet gets there (__dev_queue_xmit(), net/core/dev.c).
_NOTHING = QdiscStats(0, 0, 0)


def _driver(found: Found, device: Device) -> Maybe[Optional[bytes]]:
    if found.kind:  # Unreadable, too.
        return found.kind
    name = device.driver.name
    if isinstance(name, str):
        return name.encode()
    flags = found.raw.flags
    if name is None and not isinstance(flags, Unreadable) and flags & _IFF_LOOPBACK:
        return LOOPBACK
    return name


class _Counters:
    def __init__(
        self, layouts: Layouts, snapshot: Snapshot, found: Mapping[int, Found]
    ) -> None:
        self._layouts = layouts
        self._found = found
        self._devices = {device.net_device: device for device in snapshot.devices}
        self._counted: dict[int, Counted] = {}
        self._links = LinkCounters(layouts.prog, self._of)
        self._qdiscs = attempt(QdiscCounters, layouts.prog)
        # Most queues have counted nothing, and share their record.
        self._queues: dict[tuple[object, ...], VethQueueStats] = {}

    def _of(self, address: int) -> Counted:
        counted = self._counted.get(address)
        if counted is None:
            found, device = self._found.get(address), self._devices.get(address)
            if found is None or device is None:
                return self._links.read(address)
            raw, driver = found.raw, _driver(found, device)
            counted = Counted(
                address, raw, raw.netdev_ops, raw.num_rx, driver, found.veth
            )
            self._counted[address] = counted
        return counted

    def prepare(self) -> None:
        """Read at once what is next to each other for all devices."""
        self._links.prepare(map(self._of, self._devices))

    def _stats(self, address: int) -> LinkStats:
        # In the order of the struct; an old kernel lacks the last.
        return LinkStats(*self._links.of(address).values())

    def _ring(self, rq: VethRqStats) -> Optional[VethRing]:
        # Without NAPI, the pointer may lead to freed memory.
        if not (rq.xdp_prog if rq.napi is None else rq.napi):
            return None
        used = attempt(
            ptr_ring_length,
            self._layouts.prog,
            *(rq.producer, rq.consumer_head, rq.ring_size, rq.ring),
        )
        # If that is known, the size is one that a ring can have.
        size = rq.ring_size
        if isinstance(used, Unreadable):
            size = attempt(check_ring_size, size)
        return VethRing(size, used)

    def _queue(self, number: int, rq: VethRqStats) -> VethQueueStats:
        values = [getattr(rq, name) for name in VETH_STATS]
        ring = self._ring(rq)
        # A NAPI that is not in use has NAPI_STATE_SCHED, by napi_disable().
        scheduled: Maybe[bool] = False
        if ring is not None:
            scheduled = attempt(napi_is_scheduled, rq.napi_state)
        key = (number, *values, ring, scheduled)
        try:
            return self._queues[key]
        except KeyError:
            queue = self._queues[key] = VethQueueStats(*key)
            return queue

    def _queue_stats(self, device: Device) -> tuple[VethQueueStats, ...]:
        real = device.queues.rx.real
        if isinstance(real, Unreadable):
            raise ValueError(real.reason)
        queues = self._links.veth.queues(self._of(device.net_device))
        return tuple([self._queue(i, rq) for i, rq in enumerate(queues[:real])])

    @staticmethod
    def _root(
        qdiscs: QdiscCounters, qdisc: int, tx: int, count: int
    ) -> Optional[QdiscCounts]:
        return qdiscs.root(qdisc, tx, count)

    def _qdisc_stats(
        self, found: Found, qdisc: Maybe[Optional[str]]
    ) -> Maybe[Optional[QdiscStats]]:
        if qdisc == "noqueue":
            return _NOTHING
        raw = found.raw
        counts = attempt(self._root, self._qdiscs, raw.qdisc, raw.tx, raw.num_tx)
        if counts is None or isinstance(counts, Unreadable):
            return counts
        return QdiscStats(*counts)

    def device(self, device: Device) -> Device:
        """Return a record with what the device has counted."""
        address = device.net_device
        found = self._found.get(address)
        return device._replace(
            stats=attempt(self._stats, address),
            queue_stats=attempt(self._queue_stats, device)
            if found is not None and found.kind == VETH_KIND
            else None,
            qdisc_stats=None
            if found is None
            else self._qdisc_stats(found, device.qdisc),
        )

    def all(self, devices: Sequence[Device]) -> list[Device]:
        """
        Return all records with what was counted. What lies together is read together:
        both ends of a pair, most of the time.
        """
        counted = list(devices)
        places = range(len(counted))
        for i in sorted(places, key=lambda i: counted[i].net_device):
            counted[i] = self.device(counted[i])
            self._links.veth.forget(counted[i].net_device)
        return counted


def _cpus(prog: Program) -> tuple[CpuStats, ...]:
    return tuple([CpuStats(*stat) for stat in for_each_softnet_stat(prog)])


def add_counters(
    layouts: Layouts, snapshot: Snapshot, found: Mapping[int, Found]
) -> Snapshot:
    """
    Return a Snapshot with what was counted.

    :param found: All devices, by address
    """
    cpus = attempt(_cpus, layouts.prog)
    counters = attempt(_Counters, layouts, snapshot, found)
    if isinstance(counters, Unreadable):
        devices = [
            device._replace(stats=counters, queue_stats=counters, qdisc_stats=counters)
            for device in snapshot.devices
        ]
    else:
        counters.prepare()
        devices = counters.all(snapshot.devices)
    return snapshot._replace(devices=tuple(devices), cpus=cpus)
