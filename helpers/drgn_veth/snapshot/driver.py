# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What only some drivers have
---------------------------

Which driver a device has, what that driver can do, and what devices of some kinds keep
in their private data.
"""

from collections.abc import Mapping
from typing import Any, Callable

from drgn import Object

from ..core.errors import attempt
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import Bond, Device, Driver, Ipvlan, Macvlan, Netkit, VirtioNet, Vlan
from ..readers.bonding import BOND_KIND, bond_mode, bond_xmit_policy
from ..readers.driver import (
    ethtool_op,
    netdev_driver_name,
    netdev_op,
    netdev_tcp_data_split,
)
from ..readers.ipvlan import IPVLAN_KINDS, ipvlan_flags, ipvlan_mode, ipvlan_port
from ..readers.macvlan import MACVLAN_KINDS, macvlan_dev_mode, macvlan_priv
from ..readers.netkit import (
    NETKIT_KIND,
    netkit_is_primary,
    netkit_mode,
    netkit_policy,
    netkit_priv,
)
from ..readers.veth import VETH_KIND
from ..readers.virtio_net import VIRTIO_NET_DRIVER, virtio_net_features
from ..readers.vlan import (
    VLAN_KIND,
    vlan_dev_priv,
    vlan_dev_vlan_id,
    vlan_dev_vlan_proto,
)
from .found import Found
from .layouts import Layouts

__all__ = ("Drivers",)

# Functions whose code is read: driver, operation, name.
_FUNCTIONS = (
    (BOND_KIND, "ndo_bpf", "bond_xdp"),
    (VIRTIO_NET_DRIVER, "ndo_bpf", "virtnet_xdp"),
    (VETH_KIND, "ndo_start_xmit", "veth_xmit"),
)


def _vlan(dev: Object) -> Vlan:
    vlan_dev_priv(dev)  # If its type is missing, that is said once.
    return Vlan(attempt(vlan_dev_vlan_id, dev), attempt(vlan_dev_vlan_proto, dev))


def _macvlan(dev: Object) -> Macvlan:
    macvlan_priv(dev)
    return Macvlan(attempt(macvlan_dev_mode, dev))


def _ipvlan(dev: Object) -> Ipvlan:
    ipvlan_port(dev)
    return Ipvlan(attempt(ipvlan_mode, dev), attempt(ipvlan_flags, dev))


def _netkit(dev: Object) -> Netkit:
    netkit_priv(dev)
    return Netkit(
        attempt(netkit_mode, dev),
        attempt(netkit_policy, dev),
        attempt(netkit_is_primary, dev),
    )


# Member of Device, and what makes it.
_BY_KIND: Mapping[bytes, tuple[str, Callable[[Object], object]]] = {
    VLAN_KIND: ("vlan", _vlan),
    **dict.fromkeys(MACVLAN_KINDS, ("macvlan", _macvlan)),
    **dict.fromkeys(IPVLAN_KINDS, ("ipvlan", _ipvlan)),
    NETKIT_KIND: ("netkit", _netkit),
}

_ETHTOOL_TCP_DATA_SPLIT_ENABLED = 2  # include/uapi/linux/ethtool.h, enum


def _tcp_data_split(dev: Object) -> bool:
    # If a driver has no way to enable it, it is off.
    if not ethtool_op(dev, "set_ringparam"):
        return False
    return netdev_tcp_data_split(dev) == _ETHTOOL_TCP_DATA_SPLIT_ENABLED


class Drivers:
    """Makes the records of drivers."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        #: Functions of drivers that have devices, by name.
        self.functions: dict[str, int] = {}

    def record(self, found: Found) -> Driver:
        """Return the record of the driver of a device."""
        dev = self._layouts.dev(found.address)
        name = attempt(netdev_driver_name, dev)
        ndo_bpf = attempt(lambda: bool(netdev_op(dev, "ndo_bpf")))
        if name == VIRTIO_NET_DRIVER and ndo_bpf is False:
            name = None  # net_failover is on the same parent.
        for of_driver, op, function in _FUNCTIONS:
            if name == of_driver:
                address = attempt(lambda op=op: netdev_op(dev, op).value_())
                if address and not isinstance(address, Unreadable):
                    self.functions[function] = address
        return Driver(
            name if name is None or isinstance(name, Unreadable) else decode(name),
            ndo_bpf,
            attempt(lambda: bool(netdev_op(dev, "ndo_xdp_xmit"))),
            attempt(lambda: bool(ethtool_op(dev, "set_channels"))),
            attempt(lambda: bool(netdev_op(dev, "ndo_change_mtu"))),
            attempt(lambda: bool(netdev_op(dev, "ndo_add_slave"))),
            attempt(lambda: bool(netdev_op(dev, "ndo_xsk_wakeup"))),
        )

    def _bond(self, found: Found, device: Device) -> Bond:
        dev = self._layouts.dev(found.address)
        return Bond(
            attempt(bond_mode, dev), attempt(bond_xmit_policy, dev), device.lowers
        )

    def complete(self, found: Found, device: Device) -> Device:
        """
        Return a record with what only some drivers, or only hardware drivers, have.
        """
        dev = self._layouts.dev(found.address)
        changes: dict[str, Any] = {}
        kind = found.kind
        if not isinstance(kind, Unreadable) and kind in _BY_KIND:
            member, read = _BY_KIND[kind]
            changes[member] = attempt(read, dev)
        if found.kind == BOND_KIND:
            changes["bond"] = self._bond(found, device)
        elif device.driver.name == VIRTIO_NET_DRIVER.decode():
            changes["virtio_net"] = VirtioNet(attempt(virtio_net_features, dev))
        if device.driver.ndo_bpf is True:
            split: Maybe[bool] = attempt(_tcp_data_split, dev)
            changes["tcp_data_split"] = split
        return device._replace(**changes) if changes else device
