# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Drivers
-------

Which driver a device has, what that driver can do, and which settings prevent XDP.

Upstream: all but the members.
"""

from typing import Optional

from drgn import NULL, Object, TypeKind

from ..core.struct_layout import Members, number, optional_pointer, pointer
from .netdev import netdev_kind

__all__ = (
    "NetDeviceDriver",
    "RxQueueMemory",
    "ethtool_op",
    "netdev_driver_name",
    "netdev_op",
    "netdev_parent",
    "netdev_tcp_data_split",
    "rx_queue_memory_provider",
)

_MAX_NAME = 256


class NetDeviceDriver(Members):
    """Members of ``struct net_device`` about its driver."""

    features = number("features")
    wanted_features = number("wanted_features")
    netdev_ops = pointer("netdev_ops")
    ethtool_ops = pointer("ethtool_ops")
    parent = pointer("dev.parent")


class RxQueueMemory(Members):
    """Members of ``struct netdev_rx_queue`` about its memory."""

    # Since v6.11 or v6.12.
    mp_priv = optional_pointer("mp_params.mp_priv")


def netdev_parent(dev: Object) -> Object:
    """
    Return the parent of a device, which ``SET_NETDEV_DEV()`` sets.

    :param dev: ``struct net_device *``
    :return: ``struct device *``, ``NULL`` for a virtual device
    """
    return dev.dev.parent.read_()


def netdev_driver_name(dev: Object) -> Optional[bytes]:
    """
    Return the name of the driver of a device.

    >>> netdev_driver_name(netdev_get_by_name("eth0"))
    b'virtio_net'

    :param dev: ``struct net_device *``
    :return: For a virtual device, its rtnetlink kind; otherwise
        ``net_device.dev.parent->driver->name``, as ``ethtool -i`` shows; None for a
        device that has neither, such as ``lo``
    """
    kind = netdev_kind(dev)
    if kind:
        return kind
    parent = netdev_parent(dev)
    if not parent:
        return None
    driver = parent.driver.read_()
    if not driver:
        return None
    return dev.prog_.read_c_string(driver.name.value_(), max_size=_MAX_NAME)


def _op(ops: Object, name: str) -> Object:
    try:
        member = ops.member_(name)
    except LookupError:  # This kernel has no such operation.
        return NULL(ops.prog_, "void *")
    if not ops:
        raise ValueError("the device has no operations")
    if member.type_.unaliased_kind() != TypeKind.POINTER:
        raise ValueError(f"{name} is not a pointer in this kernel")
    return member.read_()


def netdev_op(dev: Object, name: str) -> Object:
    """
    Return an operation of a device.

    >>> bool(netdev_op(netdev_get_by_name("veth_xxx0"), "ndo_bpf"))
    True

    :param dev: ``struct net_device *``
    :param name: Member of ``struct net_device_ops``, such as ``ndo_bpf``
    :return: Pointer to the function, ``NULL`` if the driver has none
    :raises ValueError: if the device has no operations, or the member is no pointer
    """
    return _op(dev.netdev_ops.read_(), name)


def ethtool_op(dev: Object, name: str) -> Object:
    """
    Return an ethtool(8) operation of a device.

    :param dev: ``struct net_device *``
    :param name: Member of ``struct ethtool_ops``, such as ``set_channels``
    :return: Pointer to the function, ``NULL`` if the driver has none
    :raises ValueError: if the device has no operations, or the member is no pointer
    """
    return _op(dev.ethtool_ops.read_(), name)


def netdev_tcp_data_split(dev: Object) -> Optional[int]:
    """
    Return the setting of ``ethtool -G DEV tcp-data-split``, which dev_xdp_install()
    (net/core/dev.c) checks.

    :param dev: ``struct net_device *``
    :return: ``ETHTOOL_TCP_DATA_SPLIT_*`` (``u8``): 0 not set, 1 off, 2 on; None if this
        kernel does not have it
    """
    # In v6.14 and later; before, only the driver may know.
    try:
        config = dev.cfg
    except AttributeError:
        return None
    return config.hds_config.value_()


def rx_queue_memory_provider(queue: Object) -> Optional[Object]:
    """
    Return the memory provider of a receive queue, such as a dma-buf or io_uring, which
    dev_get_min_mp_channel_count() (net/core/dev.c) checks.

    :param queue: ``struct netdev_rx_queue *``
    :return: ``mp_params.mp_priv`` (``void *``), ``NULL`` if there is none; None if this
        kernel has no memory providers
    """
    # In v6.12 and later.
    try:
        params = queue.mp_params
    except AttributeError:
        return None
    return params.mp_priv.read_()
