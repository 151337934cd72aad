# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices of one kind
-------------------

What devices of some kinds keep themselves, besides their ``struct net_device``.
"""

from typing import NamedTuple

from ..core.unreadable import Maybe
from .reference import DeviceRef

__all__ = (
    "Bond",
    "BridgePort",
    "Ipvlan",
    "Macvlan",
    "Netkit",
    "StaleProgram",
    "StoppedTxQueue",
    "Veth",
    "VirtioNet",
    "Vlan",
)


class StaleProgram(NamedTuple):
    """A program in a ``struct veth_rq`` that is not in use."""

    queue: int
    prog: int  # struct bpf_prog *: it may be freed long since


class StoppedTxQueue(NamedTuple):
    """A TX queue of a veth whose peer would have to wake it."""

    queue: int
    peer_ring_empty: Maybe[bool]
    peer_napi_scheduled: Maybe[bool]


class Veth(NamedTuple):
    """What a veth keeps itself (``struct veth_priv``)."""

    dropped: Maybe[int]  # packets that it could not hand to its peer
    prog: Maybe[int]  # _xdp_prog, struct bpf_prog *; 0: none
    stale: Maybe[tuple[StaleProgram, ...]] = ()
    stopped: Maybe[tuple[StoppedTxQueue, ...]] = ()


class Bond(NamedTuple):
    """What a bond keeps itself (``struct bonding``)."""

    mode: Maybe[str]
    xmit_policy: Maybe[str]
    slaves: Maybe[tuple[DeviceRef, ...]]  # in the order of the kernel's list


class Vlan(NamedTuple):
    """What a VLAN device keeps itself (``struct vlan_dev_priv``)."""

    id: Maybe[int]
    protocol: Maybe[str]  # 802.1Q, 802.1ad


class Macvlan(NamedTuple):
    """What a macvlan or macvtap device keeps itself (``struct macvlan_dev``)."""

    mode: Maybe[str]  # private, vepa, bridge, passthru, source


class Ipvlan(NamedTuple):
    """What all ipvlan devices on one device share (``struct ipvl_port``)."""

    mode: Maybe[str]  # l2, l3, l3s
    flags: Maybe[tuple[str, ...]]  # private, vepa; none: what ip calls "bridge"


class BridgePort(NamedTuple):
    """What a bridge keeps of a port (``struct net_bridge_port``)."""

    state: Maybe[str]  # disabled, listening, learning, forwarding, blocking


class Netkit(NamedTuple):
    """What a netkit device keeps itself (``struct netkit``)."""

    mode: Maybe[str]  # l2, l3
    policy: Maybe[str]  # forward, blackhole: without a program
    primary: Maybe[bool]


class VirtioNet(NamedTuple):
    """What a virtio_net device negotiated."""

    features: Maybe[int]  # bits VIRTIO_NET_F_* and VIRTIO_F_*
