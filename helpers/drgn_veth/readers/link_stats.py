# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the core counts
--------------------

``net_device.stats``, ``tstats`` and the like, and ``core_stats``, which
:func:`~drgn_veth.readers.dev_stats.dev_get_stats()` puts together (net/core/dev.c). How
each driver counts is in :mod:`~drgn_veth.readers.driver_stats`.

Upstream: nothing; drgn objects are enough for one device.
"""

from typing import NamedTuple, Optional, TypeVar, cast

import drgn
from drgn import Object, Program, offsetof

from ..core.errors import attempt, reason
from ..core.module_types import no_module_types
from ..core.struct_layout import (
    Layout,
    Members,
    counter,
    optional_counter,
    optional_number,
    optional_pointer,
    pointer,
)
from ..core.unreadable import Maybe, Unreadable
from .percpu import PerCpuSums
from .veth import VethPriv

__all__ = (
    "CORE_STATS",
    "DSTATS",
    "LINK_STATS",
    "LOOPBACK",
    "LSTATS",
    "TSTATS",
    "Counted",
    "LinkStatsBase",
    "NetDeviceStats",
    "NetdevStats",
    "known",
)

#: Members of ``struct rtnl_link_stats64``, in its order. Those of ``struct
#: net_device_stats`` are the same, up to the last two.
LINK_STATS = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors"),
    *("rx_dropped", "tx_dropped", "multicast", "collisions", "rx_length_errors"),
    *("rx_over_errors", "rx_crc_errors", "rx_frame_errors", "rx_fifo_errors"),
    *("rx_missed_errors", "tx_aborted_errors", "tx_carrier_errors"),
    *("tx_fifo_errors", "tx_heartbeat_errors", "tx_window_errors", "rx_compressed"),
    *("tx_compressed", "rx_nohandler", "rx_otherhost_dropped"),
)
_CORE = ("rx_nohandler", "rx_otherhost_dropped")

#: What stands for the driver of a loopback device, which has none.
LOOPBACK = b"lo"

# enum netdev_stat_type, include/linux/netdevice.h.
LSTATS = 1
TSTATS = 2
DSTATS = 3
#: Not of that enum: ``net_device.core_stats``.
CORE_STATS = -1

_U64 = (1 << 64) - 1

T = TypeVar("T")
R = TypeVar("R", bound=Members)


class NetDeviceStats(Members):
    """Members of ``struct net_device`` that say what it has counted, and how."""

    # One of them, of each device: lstats, tstats and dstats are a union.
    tstats = pointer("tstats")
    # Since Linux kernel commit 34d21de99cea ("net: Move {l,t,d}stats allocation to core
    # and convert veth & vrf") (in v6.7); some stable trees have it, too.
    stat_type = optional_number("pcpu_stat_type")
    # Since Linux kernel commit 625788b58445 ("net: add per-cpu storage and
    # net->core_stats") (in v5.18). Before, there are the three below.
    core_stats = optional_pointer("core_stats")
    rx_dropped = optional_counter("rx_dropped")
    tx_dropped = optional_counter("tx_dropped")
    rx_nohandler = optional_counter("rx_nohandler")


#: ``net_device.stats``.
NetdevStats = cast(
    "type[Members]",
    type(
        "NetdevStats",
        (Members,),
        {name: counter(f"stats.{name}") for name in LINK_STATS if name not in _CORE},
    ),
)


class _Operations(Members):
    get_stats64 = pointer("ndo_get_stats64")
    get_stats = pointer("ndo_get_stats")


class _CoreStats(Members):
    rx_dropped = counter("rx_dropped")
    tx_dropped = counter("tx_dropped")
    rx_nohandler = counter("rx_nohandler")
    # Since v5.19.
    rx_otherhost_dropped = optional_counter("rx_otherhost_dropped")


class _Lstats(Members):
    packets = counter("packets")
    bytes = counter("bytes")


class _Tstats(Members):
    rx_packets = counter("rx_packets")
    rx_bytes = counter("rx_bytes")
    tx_packets = counter("tx_packets")
    tx_bytes = counter("tx_bytes")


class _Dstats(Members):
    # Up to v6.6, the struct is the vrf driver's, and has shorter names.
    rx_packets = counter("rx_packets", "rx_pkts")
    rx_bytes = counter("rx_bytes")
    rx_dropped = counter("rx_drops", "rx_drps")
    tx_packets = counter("tx_packets", "tx_pkts")
    tx_bytes = counter("tx_bytes")
    tx_dropped = counter("tx_drops", "tx_drps")


#: The struct, its members, and which module may be the one that has it.
_PER_CPU: dict[int, tuple[str, type[Members], Optional[str]]] = {
    LSTATS: ("struct pcpu_lstats", _Lstats, None),
    TSTATS: ("struct pcpu_sw_netstats", _Tstats, None),
    DSTATS: ("struct pcpu_dstats", _Dstats, "vrf"),
    CORE_STATS: ("struct net_device_core_stats", _CoreStats, None),
}


class Counted(NamedTuple):
    """A device whose counters are read."""

    address: int
    raw: NetDeviceStats
    netdev_ops: Maybe[int]
    num_rx: Maybe[int]  #: ``num_rx_queues``
    #: Its kind, or the name of its driver; LOOPBACK for a loopback device.
    driver: Maybe[Optional[bytes]]
    #: The private data of a veth, if it has been read.
    veth: Optional[VethPriv] = None


def known(value: Maybe[T]) -> T:
    """
    Return a value that has to be known.

    :param value: As it was read
    :raises ValueError: if it could not be read
    """
    if isinstance(value, Unreadable):
        raise ValueError(value.reason)
    return value


class LinkStatsBase:
    """
    What all ways to count share. Where the counters are is decided once for a program.
    """

    def __init__(self, prog: Program) -> None:
        self.prog = prog
        has = prog.type("struct rtnl_link_stats64")
        #: The counters that this kernel has.
        self.names = tuple([name for name in LINK_STATS if has.has_member(name)])
        self._zero = dict.fromkeys(self.names, 0)
        net_device = prog.type("struct net_device")
        self.dev_pointer = prog.pointer_type(net_device)
        self._stats_at = offsetof(net_device, "stats")
        self._sums: dict[object, Maybe[PerCpuSums]] = {}
        self._layouts: dict[object, Maybe[Layout[Members]]] = {}
        self._ops: dict[int, tuple[Maybe[int], Maybe[int]]] = {}
        self._addresses: dict[str, Optional[int]] = {}

    def zero(self) -> dict[str, int]:
        """Return counters that have counted nothing."""
        return self._zero.copy()

    def find_type(self, name: str, module: Optional[str] = None) -> drgn.Type:
        """
        Return a type.

        :param module: Which module has it, if only a module has
        :raises LookupError: if there is none
        """
        try:
            return self.prog.type(name)
        except LookupError as e:
            why = no_module_types(name, module) if module else reason(e)
            raise LookupError(why) from None

    def pointee(self, name: str, member: str, module: Optional[str]) -> drgn.Type:
        """
        Return the type that a member of a struct points to. BTF of a module cannot be
        searched for a name that the kernel has for something else; this finds it.

        :raises LookupError: if there is no such type, or no such member
        """
        return self.find_type(name, module).member(member).type.type

    def layout(
        self,
        name: str,
        declared: type[R],
        module: Optional[str] = None,
        member: Optional[str] = None,
    ) -> Layout[R]:
        """
        Return the layout of a struct, or of what a member of it points to.

        :raises LookupError: if its type is not there, or lacks a member
        """
        key = (name, declared, member)
        found = self._layouts.get(key)
        if found is None:
            found = attempt(self._new_layout, name, declared, module, member or "")
            self._layouts[key] = found
        if isinstance(found, Unreadable):
            raise LookupError(found.reason)
        return cast("Layout[R]", found)

    def _type(self, name: str, module: Optional[str], member: str) -> drgn.Type:
        if member:
            return self.pointee(name, member, module)
        return self.find_type(name, module)

    def _new_layout(
        self, name: str, declared: type[Members], module: Optional[str], member: str
    ) -> Layout[Members]:
        layout = Layout(self.prog, self._type(name, module, member), declared)
        layout.check()
        return layout

    def sums(
        self,
        name: str,
        declared: type[Members],
        module: Optional[str] = None,
        member: str = "",
    ) -> PerCpuSums:
        """
        Return what adds up a per-CPU struct, or what a member of a struct points to.

        :raises LookupError: if its type is not there, or lacks a member
        """
        found = self._sums.get((name, member))
        if found is None:
            found = attempt(
                lambda: PerCpuSums(
                    self.prog, self._type(name, module, member), declared
                )
            )
            self._sums[name, member] = found
        if isinstance(found, Unreadable):
            raise LookupError(found.reason)
        return found

    def per_cpu(self, stat_type: int) -> PerCpuSums:
        """Return what adds up per-CPU counters: LSTATS and the like."""
        return self.sums(*_PER_CPU[stat_type])

    def operations(self, netdev_ops: Maybe[int]) -> tuple[int, int]:
        """
        Return ``ndo_get_stats64`` and ``ndo_get_stats``; 0 if there is none.

        :raises ValueError: if they cannot be read
        """
        at = known(netdev_ops)
        try:
            get_stats64, get_stats = self._ops[at]
        except KeyError:
            ops = self.layout("struct net_device_ops", _Operations).read_span(at)
            get_stats64, get_stats = ops.get_stats64, ops.get_stats
            self._ops[at] = get_stats64, get_stats
        return known(get_stats64), known(get_stats)

    def is_function(self, address: int, *names: str) -> bool:
        """Return whether a function of the core is there."""
        for name in names:
            if name not in self._addresses:
                at = attempt(lambda name=name: self.prog.symbol(name).address)
                self._addresses[name] = None if isinstance(at, Unreadable) else at
            if self._addresses[name] == address:
                return True
        return False

    def add(self, stats: dict[str, int], stat_type: int, pointer: int) -> None:
        """Add the per-CPU counters that a pointer leads to; those that there are."""
        for name, value in self.per_cpu(stat_type).sum(pointer).items():
            if name in stats:
                stats[name] += value

    def add_tstats(self, stats: dict[str, int], counted: Counted) -> None:
        """Add ``net_device.tstats``, as dev_fetch_sw_netstats() does."""
        self.add(stats, TSTATS, known(counted.raw.tstats))

    def add_dstats(self, stats: dict[str, int], counted: Counted) -> None:
        """Add ``net_device.dstats``, as dev_fetch_dstats() does."""
        self.add(stats, DSTATS, known(counted.raw.tstats))

    def lstats(self, counted: Counted) -> dict[str, int]:
        """Return ``net_device.lstats``, as dev_lstats_read() does."""
        return self.per_cpu(LSTATS).sum(known(counted.raw.tstats))

    def netdev_stats(self, address: int) -> dict[str, int]:
        """
        Return ``net_device.stats``, as netdev_stats_to_stats64() does.

        :param address: Of the ``struct net_device``
        """
        layout = self.layout("struct net_device", NetdevStats)
        record = layout.read_span(address)
        stats = self.zero()
        for name in layout.offset:
            stats[name] = known(getattr(record, name))
        return stats

    def add_core(self, stats: dict[str, int], raw: NetDeviceStats) -> None:
        """Add what the core counts for every device."""
        pointer_ = known(raw.core_stats)
        if pointer_ is None:
            for name in ("rx_dropped", "tx_dropped", "rx_nohandler"):
                stats[name] += known(getattr(raw, name)) or 0
        elif pointer_:
            self.add(stats, CORE_STATS, pointer_)

    def wrapped(self, stats: dict[str, int]) -> dict[str, int]:
        """Return counters as ``u64``: some are sums, and some are signed."""
        if max(stats.values()) > _U64 or min(stats.values()) < 0:
            return {name: value & _U64 for name, value in stats.items()}
        return stats

    def dev(self, address: int) -> Object:
        """Return a ``struct net_device *``."""
        return Object(self.prog, self.dev_pointer, address)
