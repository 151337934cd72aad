# SPDX-License-Identifier: LGPL-2.1-or-later
"""
virtio_net
----------

What a virtio_net device negotiated (drivers/net/virtio_net.c).

Upstream: all.
"""

from drgn import Object, container_of

from .driver import netdev_driver_name, netdev_parent

__all__ = (
    "VIRTIO_F_ANY_LAYOUT",
    "VIRTIO_F_VERSION_1",
    "VIRTIO_NET_DRIVER",
    "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS",
    "VIRTIO_NET_F_GUEST_CSUM",
    "VIRTIO_NET_F_GUEST_ECN",
    "VIRTIO_NET_F_GUEST_TSO4",
    "VIRTIO_NET_F_GUEST_TSO6",
    "VIRTIO_NET_F_GUEST_UFO",
    "VIRTIO_NET_F_GUEST_USO4",
    "VIRTIO_NET_F_GUEST_USO6",
    "VIRTIO_NET_F_MRG_RXBUF",
    "virtio_net_features",
)

VIRTIO_NET_DRIVER = b"virtio_net"

# include/uapi/linux/virtio_net.h and virtio_config.h: numbers of bits. They are macros
# and user space API: no symbol has them, and they do not change.
VIRTIO_NET_F_GUEST_CSUM = 1
VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2
VIRTIO_NET_F_GUEST_TSO4 = 7
VIRTIO_NET_F_GUEST_TSO6 = 8
VIRTIO_NET_F_GUEST_ECN = 9
VIRTIO_NET_F_GUEST_UFO = 10
VIRTIO_NET_F_MRG_RXBUF = 15
VIRTIO_F_ANY_LAYOUT = 27
VIRTIO_F_VERSION_1 = 32
VIRTIO_NET_F_GUEST_USO4 = 54
VIRTIO_NET_F_GUEST_USO6 = 55


def virtio_net_features(dev: Object) -> int:
    """
    Return the features that the driver and the host agreed on.

    :param dev: ``struct net_device *`` of a virtio_net device
    :return: ``virtio_device.features`` (``u64``), bits ``VIRTIO_NET_F_*`` and
        ``VIRTIO_F_*``
    :raises ValueError: if it is none
    """
    if netdev_driver_name(dev) != VIRTIO_NET_DRIVER:
        raise ValueError("not a virtio_net device")
    # virtnet_probe() sets it: SET_NETDEV_DEV(dev, &vdev->dev).
    virtio = container_of(netdev_parent(dev), "struct virtio_device", "dev")
    return virtio.features.value_()
