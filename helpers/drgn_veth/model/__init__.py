# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The records of a Snapshot
-------------------------

Plain, immutable Python values: no drgn object gets in here, so that analysis
and renderers cannot touch the kernel. The members are those of the JSON
contract (docs/drgn-veth-1.schema.json), in its order.

They are named tuples because these are frozen and slotted on every Python that
drgn runs on, and are made several times faster than frozen dataclasses.

All can be imported from here. What the JSON leaves out is in
:mod:`drgn_veth.model.in_json`.
"""

from .counters import CpuStats, LinkStats, QdiscStats, VethQueueStats, VethRing
from .device import Device, Driver, Features, Pair
from .in_flight import PacketInFlight, QueueInFlight
from .in_json import NOT_IN_JSON, device_place, unreadable_in
from .kinds import (
    Bond,
    BridgePort,
    Ipvlan,
    Macvlan,
    Netkit,
    StaleProgram,
    StoppedTxQueue,
    Veth,
    VirtioNet,
    Vlan,
)
from .maps import AfXdpSocket, Extension, Map, MapEntry, TcProgram, XskRing
from .namespace import Namespace
from .processes import Container, Holder, NetTask, RefTracker, Task
from .queues import QueueCount, Queues, RpsQueue, XpsQueue
from .reference import DeviceRef
from .snapshot import Snapshot
from .target import Kernel, RecordsRxQueue, Target
from .traits import Traits
from .xdp import XDP_MODES, LoadedProgram, Xdp, XdpLink, XdpProgram, XdpQueue

__all__ = (
    "NOT_IN_JSON",
    "XDP_MODES",
    "AfXdpSocket",
    "Bond",
    "BridgePort",
    "Container",
    "CpuStats",
    "Device",
    "DeviceRef",
    "Driver",
    "Extension",
    "Features",
    "Holder",
    "Ipvlan",
    "Kernel",
    "LinkStats",
    "LoadedProgram",
    "Macvlan",
    "Map",
    "MapEntry",
    "Namespace",
    "NetTask",
    "Netkit",
    "PacketInFlight",
    "Pair",
    "QdiscStats",
    "QueueCount",
    "QueueInFlight",
    "Queues",
    "RecordsRxQueue",
    "RefTracker",
    "RpsQueue",
    "Snapshot",
    "StaleProgram",
    "StoppedTxQueue",
    "Target",
    "Task",
    "TcProgram",
    "Traits",
    "Veth",
    "VethQueueStats",
    "VethRing",
    "VirtioNet",
    "Vlan",
    "Xdp",
    "XdpLink",
    "XdpProgram",
    "XdpQueue",
    "XpsQueue",
    "XskRing",
    "device_place",
    "unreadable_in",
)
