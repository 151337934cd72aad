# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counters of a device
--------------------

What ``ip -s -s link`` shows: dev_get_stats() (net/core/dev.c), for the drivers whose
way to count is known.

Upstream: all.
"""

from collections.abc import Iterable, Mapping
import struct
from typing import Callable, Optional

import drgn
from drgn import Object, Program, cast

from ..core.byte_order import byteorder, struct_order
from ..core.driver_counters import no_driver_counters
from ..core.errors import attempt
from ..core.struct_layout import (
    number,
    pointer,
)
from ..core.text import decode
from ..core.unreadable import Unreadable
from .bonding import BOND_KIND, bond_priv
from .bounded import for_each_entry_bounded
from .driver import netdev_driver_name
from .driver_stats import DriverWays
from .link_stats import (
    CORE_STATS,
    DSTATS,
    LOOPBACK,
    LSTATS,
    TSTATS,
    Counted,
    LinkStatsBase,
    NetDeviceStats,
    known,
)
from .veth import VETH_KIND
from .veth_stats import VethCounters

__all__ = ("LinkCounters", "dev_get_stats")

_IFF_LOOPBACK = 1 << 3
_MAX_NEST_DEV = 8  # include/linux/netdevice.h: devices on devices
_MOST_SLAVES = 1 << 12
_S32 = 1 << 31
_S64 = 1 << 63


class _NetDevice(NetDeviceStats):
    netdev_ops = pointer("netdev_ops")
    flags = number("flags")
    num_rx = number("num_rx_queues")


class LinkCounters:
    """
    Reads the counters of devices.

    :param counted: Returns a device, by its address; by default, it is read
    """

    def __init__(
        self, prog: Program, counted: Optional[Callable[[int], Counted]] = None
    ) -> None:
        self.base = LinkStatsBase(prog)
        self._counted = counted or self.read
        #: What veths count.
        self.veth = VethCounters(self.base, self._counted)
        self._depth = 0
        self._ways: Mapping[bytes, Callable[[Counted], dict[str, int]]] = {
            **DriverWays(self.base).by_driver,
            BOND_KIND: self._bond,
            VETH_KIND: self.veth.stats,
        }

    def read(self, address: int) -> Counted:
        """Read the ``struct net_device`` at an address."""
        raw = self.base.layout("struct net_device", _NetDevice).read(address)
        dev = self.base.dev(address)
        driver = netdev_driver_name(dev)
        if driver is None and known(raw.flags) & _IFF_LOOPBACK:
            driver = LOOPBACK
        return Counted(address, raw, raw.netdev_ops, raw.num_rx, driver)

    def prepare(self, devices: Iterable[Counted]) -> None:
        """Read at once what the per-CPU counters of many devices are."""
        pointers: dict[int, list[int]] = {LSTATS: [], TSTATS: [], CORE_STATS: []}
        for counted in devices:
            raw = counted.raw
            if counted.driver == VETH_KIND and isinstance(raw.tstats, int):
                kind = attempt(self.veth.stat_type, counted)
                if isinstance(kind, int):
                    pointers[kind].append(raw.tstats)
            if isinstance(raw.core_stats, int) and raw.core_stats:
                pointers[CORE_STATS].append(raw.core_stats)
        for kind, wanted in pointers.items():
            sums = attempt(self.base.per_cpu, kind)
            if wanted and not isinstance(sums, Unreadable):
                sums.prepare(filter(None, wanted))

    def of(self, address: int) -> dict[str, int]:
        """
        Return the counters of a device, by the address of its ``struct net_device``:
        see :func:`dev_get_stats()`.
        """
        return self.of_counted(self._counted(address))

    def of_counted(self, counted: Counted) -> dict[str, int]:
        """Return the counters of a device: see :func:`dev_get_stats()`."""
        stats = self._of_driver(counted)
        self.base.add_core(stats, counted.raw)
        return self.base.wrapped(stats)

    def _of_driver(self, counted: Counted) -> dict[str, int]:
        base = self.base
        get_stats64, get_stats = base.operations(counted.netdev_ops)
        if not get_stats64 and not get_stats:
            stats = base.netdev_stats(counted.address)
            # Since v6.9, and for DSTATS since v6.14.
            stat_type = known(counted.raw.stat_type)
            if stat_type == TSTATS:
                base.add_tstats(stats, counted)
            elif stat_type == DSTATS:
                base.add_dstats(stats, counted)
            return stats
        # Up to v5.10, tunnels have the second.
        if get_stats64 and base.is_function(
            get_stats64, "dev_get_tstats64", "ip_tunnel_get_stats64"
        ):
            stats = base.netdev_stats(counted.address)
            base.add_tstats(stats, counted)
            return stats
        driver = known(counted.driver)
        way = None if driver is None else self._ways.get(driver)
        if way is None or (not get_stats64 and driver != b"ip6tnl"):
            name = None if driver is None else decode(driver)
            raise ValueError(no_driver_counters(name))
        return way(counted)

    def _bond(self, counted: Counted) -> dict[str, int]:
        # bond_get_stats(), drivers/net/bonding/bond_main.c
        bond = bond_priv(self.base.dev(counted.address))
        stats = self._stats64(bond.bond_stats)
        if self._depth >= _MAX_NEST_DEV:
            raise ValueError("bonds on bonds without end")
        self._depth += 1
        try:
            slave_type = bond.curr_active_slave.type_
            for dev, slave in self._slaves(counted.address, slave_type):
                new = self.of(dev)
                self._fold(stats, new, self._stats64(slave.slave_stats))
        finally:
            self._depth -= 1
        return stats

    def _slaves(self, bond: int, type: drgn.Type) -> list[tuple[int, Object]]:
        lower = self.base.dev(bond).adj_list.lower.address_of_()
        found = []
        for adjacent in for_each_entry_bounded(
            lower, "struct netdev_adjacent", "list", _MOST_SLAVES
        ):
            slave = cast(type, adjacent.private.read_())
            dev = adjacent.dev.value_()
            if slave.dev.value_() != dev:
                raise ValueError("a slave does not point back to its device")
            found.append((dev, slave))
        return found

    def _stats64(self, stats: Object) -> dict[str, int]:
        # struct rtnl_link_stats64, in memory
        prog, address = self.base.prog, stats.address_
        assert address is not None
        count = len(self.base.names)
        data = prog.read(address, 8 * count)
        values = struct.unpack(f"{struct_order(byteorder(prog))}{count}Q", data)
        return dict(zip(self.base.names, values))

    @staticmethod
    def _fold(stats: dict[str, int], new: dict[str, int], old: dict[str, int]) -> None:
        # bond_fold_stats()
        for name, value in new.items():
            before = old[name]
            delta = (value - before + _S64) % (2 * _S64) - _S64
            if not (value | before) >> 32:
                # A counter of 32 bits.
                delta = (value - before + _S32) % (2 * _S32) - _S32
            if delta > 0:
                stats[name] += delta


def dev_get_stats(dev: Object) -> dict[str, int]:
    """
    Return what a device has counted, as dev_get_stats() does (net/core/dev.c): what
    ``ip -s -s link`` and ``/sys/class/net/DEV/statistics`` show.

    >>> sorted(dev_get_stats(netdev_get_by_name("veth_xxx0")))[:3]
    ['collisions', 'multicast', 'rx_bytes']

    :param dev: ``struct net_device *``
    :return: Packets, bytes (``u64``) and the rest of ``struct rtnl_link_stats64``, by
        the name of the member
    :raises ValueError: if only the driver knows, or some counter cannot be read
    :raises LookupError: if the types of the driver's module are not loaded
    """
    return LinkCounters(dev.prog_).of(dev.value_())
