# SPDX-License-Identifier: LGPL-2.1-or-later
"""
virtio_net
----------

What a virtio_net device negotiated, and its XDP program (drivers/net/virtio_net.c).

Upstream: all.
"""

from drgn import Object, container_of
from drgn.helpers.linux.net import netdev_priv

from .driver import netdev_driver_name, netdev_parent

__all__ = (
    "VIRTIO_NET_DRIVER",
    "virtio_net_features",
    "virtio_net_xdp_prog",
)

VIRTIO_NET_DRIVER = b"virtio_net"


def virtio_net_features(dev: Object) -> int:
    """
    Return the features that the driver and the host agreed on.

    :param dev: ``struct net_device *`` of a virtio_net device
    :return: ``virtio_device.features`` (``u64``), bits ``VIRTIO_NET_F_*`` and
        ``VIRTIO_F_*``
    :raises ValueError: if it is not a virtio_net device
    """
    if netdev_driver_name(dev) != VIRTIO_NET_DRIVER:
        raise ValueError("not a virtio_net device")
    # virtnet_probe() sets it: SET_NETDEV_DEV(dev, &vdev->dev).
    virtio = container_of(netdev_parent(dev), "struct virtio_device", "dev")
    return virtio.features.value_()


def virtio_net_xdp_prog(dev: Object) -> Object:
    """
    Return the native XDP program of a virtio_net device.

    :param dev: ``struct net_device *`` of a virtio_net device
    :return: ``struct bpf_prog *``, ``NULL`` if none
    :raises LookupError: if the types of the virtio_net module are not loaded
    """
    # virtnet_xdp_set() gives all queues the same.
    return netdev_priv(dev, "struct virtnet_info").rq[0].xdp_prog.read_()
