# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What drivers count
------------------

How each driver answers ``ndo_get_stats64``. Of a driver that is not here, only the core
and its own code know how it counts: the counters of its devices cannot be read.

Upstream: all.
"""

from collections.abc import Mapping
from typing import Callable, Optional

from drgn import Object
from drgn.helpers.linux.net import netdev_priv

from ..core.struct_layout import (
    Layout,
    Members,
    counter,
    number,
    optional_counter,
    optional_pointer,
    pointer,
)
from .ipvlan import IPVLAN_KINDS
from .link_stats import (
    LOOPBACK,
    TSTATS,
    Counted,
    LinkStatsBase,
    known,
)
from .macvlan import MACVLAN_KINDS, macvlan_priv
from .netkit import NETKIT_KIND
from .percpu import PerCpuSums
from .tun import TUN_KIND
from .virtio_net import VIRTIO_NET_DRIVER
from .vlan import VLAN_KIND, vlan_dev_priv

__all__ = ("DriverWays",)

_MOST_QUEUE_PAIRS = 1 << 15  # VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX
_U32 = (1 << 32) - 1


class _VlanStats(Members):
    rx_packets = counter("rx_packets")
    rx_bytes = counter("rx_bytes")
    multicast = counter("rx_multicast")
    tx_packets = counter("tx_packets")
    tx_bytes = counter("tx_bytes")
    rx_errors = counter("rx_errors")
    tx_dropped = counter("tx_dropped")


class _IpvlanStats(Members):
    rx_packets = counter("rx_pkts")
    rx_bytes = counter("rx_bytes")
    multicast = counter("rx_mcast")
    tx_packets = counter("tx_pkts")
    tx_bytes = counter("tx_bytes")
    rx_errors = counter("rx_errs")
    tx_dropped = counter("tx_drps")


class _TunStats(Members):
    # Up to v5.10.
    rx_packets = counter("rx_packets")
    rx_bytes = counter("rx_bytes")
    tx_packets = counter("tx_packets")
    tx_bytes = counter("tx_bytes")
    rx_dropped = counter("rx_dropped")
    tx_dropped = counter("tx_dropped")
    rx_frame_errors = counter("rx_frame_errors")


class _TunStruct(Members):
    pcpu_stats = optional_pointer("pcpu_stats")
    rx_frame_errors = optional_counter("rx_frame_errors")


class _NetBridge(Members):
    stats = pointer("stats")


class _IpvlDev(Members):
    pcpu_stats = pointer("pcpu_stats")


class _VirtnetInfo(Members):
    sq = pointer("sq")
    rq = pointer("rq")
    max_queue_pairs = number("max_queue_pairs")


class _SendQueue(Members):
    tx_packets = counter("stats.packets")
    tx_bytes = counter("stats.bytes")
    # Since v5.17.
    tx_errors = optional_counter("stats.tx_timeouts")


class _ReceiveQueue(Members):
    rx_packets = counter("stats.packets")
    rx_bytes = counter("stats.bytes")
    rx_dropped = counter("stats.drops")


class DriverWays:
    """How drivers count that need no other device to know it."""

    def __init__(self, base: LinkStatsBase) -> None:
        self.base = base
        self._vlan_sums: Optional[PerCpuSums] = None
        #: By kind, or name of the driver.
        self.by_driver: Mapping[bytes, Callable[[Counted], dict[str, int]]] = {
            LOOPBACK: self._loopback,
            b"dummy": self._dummy,
            b"nlmon": self._nlmon,
            b"vrf": self._vrf,
            b"bridge": self._bridge,
            b"ip6tnl": self._ip6tnl,
            b"openvswitch": self._openvswitch,
            NETKIT_KIND: self._netkit,
            TUN_KIND: self._tun,
            VIRTIO_NET_DRIVER: self._virtio_net,
            VLAN_KIND: self._vlan,
            **dict.fromkeys(MACVLAN_KINDS, self._macvlan),
            **dict.fromkeys(IPVLAN_KINDS, self._ipvlan),
        }

    def _loopback(self, counted: Counted) -> dict[str, int]:
        # loopback_get_stats64(), drivers/net/loopback.c
        stats, lstats = self.base.zero(), self.base.lstats(counted)
        stats["rx_packets"] = stats["tx_packets"] = lstats["packets"]
        stats["rx_bytes"] = stats["tx_bytes"] = lstats["bytes"]
        return stats

    def _dummy(self, counted: Counted) -> dict[str, int]:
        # dummy_get_stats64(), drivers/net/dummy.c
        stats, lstats = self.base.zero(), self.base.lstats(counted)
        stats["tx_packets"], stats["tx_bytes"] = lstats["packets"], lstats["bytes"]
        return stats

    def _nlmon(self, counted: Counted) -> dict[str, int]:
        # nlmon_get_stats64(), drivers/net/nlmon.c
        stats, lstats = self.base.zero(), self.base.lstats(counted)
        stats["rx_packets"], stats["rx_bytes"] = lstats["packets"], lstats["bytes"]
        return stats

    def _vrf(self, counted: Counted) -> dict[str, int]:
        # vrf_get_stats64(), drivers/net/vrf.c: all but what was dropped on receive.
        stats = self.base.zero()
        self.base.add_dstats(stats, counted)
        stats["rx_dropped"] = 0
        return stats

    def _netkit(self, counted: Counted) -> dict[str, int]:
        # netkit_get_stats(), drivers/net/netkit.c
        stats = self.base.zero()
        self.base.add_tstats(stats, counted)
        dropped = self.base.netdev_stats(counted.address)["tx_dropped"]
        stats["tx_dropped"] = dropped
        return stats

    def _bridge(self, counted: Counted) -> dict[str, int]:
        # br_get_stats64(), net/bridge/br_device.c, up to v5.10
        base = self.base
        layout = base.layout("struct net_bridge", _NetBridge, "bridge")
        priv = netdev_priv(base.dev(counted.address), "struct net_bridge")
        pointer = known(layout.read_span(priv.value_()).stats)
        stats = base.netdev_stats(counted.address)
        base.add(stats, TSTATS, pointer)
        return stats

    def _ip6tnl(self, counted: Counted) -> dict[str, int]:
        # ip6_get_stats(), net/ipv6/ip6_tunnel.c, up to v5.10
        stats = self.base.netdev_stats(counted.address)
        stats.update(self.base.per_cpu(TSTATS).sum(known(counted.raw.tstats)))
        return stats

    def _openvswitch(self, counted: Counted) -> dict[str, int]:
        # internal_get_stats(), net/openvswitch/vport-internal_dev.c, up to v5.10
        stats, of_device = self.base.zero(), self.base.netdev_stats(counted.address)
        for own in ("rx_errors", "tx_errors", "rx_dropped", "tx_dropped"):
            stats[own] = of_device[own]
        self.base.add_tstats(stats, counted)
        return stats

    def _tun(self, counted: Counted) -> dict[str, int]:
        # tun_net_get_stats64(), drivers/net/tun.c
        base = self.base
        layout = base.layout("struct tun_struct", _TunStruct, "tun")
        priv = netdev_priv(base.dev(counted.address), "struct tun_struct")
        tun = layout.read_span(priv.value_())
        pointer = known(tun.pcpu_stats)
        if pointer is not None:
            stats = base.zero()
            of_cpus = base.sums("struct tun_struct", _TunStats, "tun", "pcpu_stats")
            sums = of_cpus.sum(pointer)
            for name in ("rx_dropped", "tx_dropped", "rx_frame_errors"):
                sums[name] &= _U32
            stats.update(sums)
            return stats
        stats = base.netdev_stats(counted.address)
        base.add_tstats(stats, counted)
        stats["rx_frame_errors"] += known(tun.rx_frame_errors) or 0
        return stats

    def _of_vlan(self, pointer: Object) -> dict[str, int]:
        # struct vlan_pcpu_stats, include/linux/if_vlan.h
        if self._vlan_sums is None:
            type = pointer.type_.type
            self._vlan_sums = PerCpuSums(self.base.prog, type, _VlanStats)
        stats = self.base.zero()
        stats.update(self._vlan_sums.sum(pointer.value_()))
        for name in ("rx_errors", "tx_dropped"):
            stats[name] &= _U32
        return stats

    def _vlan(self, counted: Counted) -> dict[str, int]:
        # vlan_dev_get_stats64(), net/8021q/vlan_dev.c
        priv = vlan_dev_priv(self.base.dev(counted.address))
        return self._of_vlan(priv.vlan_pcpu_stats.read_())

    def _macvlan(self, counted: Counted) -> dict[str, int]:
        # macvlan_dev_get_stats64(), drivers/net/macvlan.c
        pointer = macvlan_priv(self.base.dev(counted.address)).pcpu_stats.read_()
        if not pointer:
            return self.base.zero()
        stats = self._of_vlan(pointer)
        stats["rx_dropped"] = stats["rx_errors"]
        return stats

    def _ipvlan(self, counted: Counted) -> dict[str, int]:
        # ipvlan_get_stats64(), drivers/net/ipvlan/ipvlan_main.c
        base = self.base
        layout = base.layout("struct ipvl_dev", _IpvlDev, "ipvlan")
        priv = netdev_priv(base.dev(counted.address), "struct ipvl_dev")
        pointer = known(layout.read_span(priv.value_()).pcpu_stats)
        stats = base.zero()
        # Since Linux kernel commit ff672b9ffeb3 ("ipvlan: properly track tx_errors")
        # (in v6.7), and in stable kernels. Others count them, and show 0.
        stats["tx_errors"] = base.netdev_stats(counted.address)["tx_errors"]
        if not pointer:
            return stats
        sums = base.sums("struct ipvl_dev", _IpvlanStats, "ipvlan", "pcpu_stats")
        stats.update(sums.sum(pointer))
        for name in ("rx_errors", "tx_dropped"):
            stats[name] &= _U32
        stats["rx_dropped"] = stats["rx_errors"]
        return stats

    def _virtio_net(self, counted: Counted) -> dict[str, int]:
        # virtnet_stats(), drivers/net/virtio_net.c
        base, name, module = self.base, "struct virtnet_info", "virtio_net"
        info = base.layout(name, _VirtnetInfo, module)
        priv = netdev_priv(base.dev(counted.address), name)
        virtnet = info.read_span(priv.value_())
        pairs = known(virtnet.max_queue_pairs)
        if not 0 < pairs <= _MOST_QUEUE_PAIRS:
            raise ValueError(f"max_queue_pairs is {pairs}")
        stats = base.zero()
        of_device = base.netdev_stats(counted.address)
        for own in (
            *("tx_dropped", "tx_fifo_errors", "rx_length_errors"),
            "rx_frame_errors",
        ):
            stats[own] = of_device[own]
        queues: tuple[tuple[int, Layout[Members]], ...] = (
            (known(virtnet.sq), base.layout(name, _SendQueue, module, "sq")),
            (
                known(virtnet.rq),
                base.layout(name, _ReceiveQueue, module, "rq"),
            ),
        )
        for first, layout in queues:
            for i in range(pairs):
                record = layout.read_span(first + i * layout.size)
                for own in layout.offset:
                    stats[own] += known(getattr(record, own))
        return stats
