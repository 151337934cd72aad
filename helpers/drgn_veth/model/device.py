# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network devices
---------------
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .counters import LinkStats, QdiscStats, VethQueueStats
from .kinds import Bond, BridgePort, Ipvlan, Macvlan, Netkit, Veth, VirtioNet, Vlan
from .maps import AfXdpSocket, TcProgram
from .processes import RefTracker, Task
from .queues import Queues, RpsQueue, XpsQueue
from .reference import DeviceRef
from .traits import Traits
from .xdp import Xdp

__all__ = ("Device", "Driver", "Features", "Pair")


class Driver(NamedTuple):
    """
    The driver of a device, and which of its operations there are
    (``net_device.netdev_ops``, ``net_device.ethtool_ops``).
    """

    name: Maybe[Optional[str]]
    ndo_bpf: Maybe[bool]
    ndo_xdp_xmit: Maybe[bool]
    set_channels: Maybe[bool]
    ndo_change_mtu: Maybe[bool] = False
    ndo_add_slave: Maybe[bool] = False
    ndo_xsk_wakeup: Maybe[bool] = False


class Features(NamedTuple):
    """Masks of ``NETIF_F_*`` and ``NETDEV_XDP_ACT_*`` (``struct net_device``)."""

    features: Maybe[int]
    wanted: Maybe[int]
    xdp: Maybe[Optional[int]]  # None: before v6.3 there are none


class Device(NamedTuple):
    """A network device (``struct net_device``)."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    altnames: Maybe[tuple[str, ...]]
    alias: Maybe[Optional[str]]
    net_device: int
    kind: Maybe[Optional[str]]
    flags: Maybe[tuple[str, ...]]
    operstate: Maybe[str]
    reg_state: Maybe[str]
    mtu: Maybe[int]
    min_mtu: Maybe[int]
    max_mtu: Maybe[int]
    mac: Maybe[Optional[str]]
    qdisc: Maybe[Optional[str]]  # None: not set up yet
    addresses: Maybe[tuple[str, ...]]  # as `ip address` has them: IPv4, then IPv6
    master: Maybe[Optional[DeviceRef]]
    lowers: Maybe[tuple[DeviceRef, ...]]  # adj_list.lower: one level
    uppers: Maybe[tuple[DeviceRef, ...]]  # adj_list.upper: one level, a master first
    queues: Queues
    peer: Maybe[Optional[DeviceRef]]
    xdp: Xdp
    rps: Maybe[tuple[RpsQueue, ...]]
    xps: Maybe[tuple[XpsQueue, ...]]
    # Of devices of some kinds. Unreadable: the types of the module are missing.
    vlan: Maybe[Optional[Vlan]] = None
    macvlan: Maybe[Optional[Macvlan]] = None
    ipvlan: Maybe[Optional[Ipvlan]] = None
    bond: Optional[Bond] = None
    bridge_port: Maybe[Optional[BridgePort]] = None
    netkit: Maybe[Optional[Netkit]] = None
    off_list: Optional[str] = None
    # What decides an XDP attach, and what the rules of diagnosis compare.
    driver: Driver = Driver(None, False, False, False)
    features: Features = Features(0, 0, None)
    hard_header_len: Maybe[int] = 0
    memory_provider: Maybe[bool] = False  # of some real RX queue
    tcp_data_split: Maybe[bool] = False  # cfg.hds_config is ENABLED
    veth: Optional[Veth] = None
    virtio_net: Optional[VirtioNet] = None
    netns_label: str = ""
    type: Maybe[int] = 1  # ARPHRD_*: 1 is Ethernet
    matched: bool = False  # a filter matches it, not only its peer
    # For a device that is on no list of its namespace, or whose namespace is on none:
    refcount: Maybe[Optional[int]] = None  # netdev_refcnt_read()
    # Tasks with its address on their kernel stack; looked for only if netdev_run_todo()
    # waits for its references.
    ref_tasks: Maybe[Optional[tuple[Task, ...]]] = None
    # Who took these references; None unless CONFIG_NET_DEV_REFCNT_TRACKER.
    ref_trackers: Maybe[Optional[tuple[RefTracker, ...]]] = None
    # None: not read; or no veth, or a device without a qdisc that counts.
    stats: Maybe[Optional[LinkStats]] = None
    queue_stats: Maybe[Optional[tuple[VethQueueStats, ...]]] = None  # real RX queues
    qdisc_stats: Maybe[Optional[QdiscStats]] = None
    # AF_XDP sockets that are bound to it, by queue.
    af_xdp: Maybe[tuple[AfXdpSocket, ...]] = ()
    # BPF programs of tcx, netkit and clsact, in the order in which they run.
    tc: Maybe[tuple[TcProgram, ...]] = ()
    # What decides requests that are no XDP attach.
    traits: Traits = Traits()
    xsk_queues: Maybe[tuple[int, ...]] = ()  # those that AF_XDP sockets have

    @property
    def is_down(self) -> bool:
        """Whether it is known to be down, as IFF_UP says."""
        return isinstance(self.flags, tuple) and "UP" not in self.flags

    @property
    def ref(self) -> DeviceRef:
        return DeviceRef(
            self.netns,
            self.ifindex,
            self.name,
            self.net_device,
            self.off_list,
            self.netns_label,
        )


class Pair(NamedTuple):
    """Two devices, each the other's peer; *a* is the one that sorts first."""

    kind: str
    a: DeviceRef
    b: DeviceRef
