# SPDX-License-Identifier: LGPL-2.1-or-later
"""
virtio_net
----------

What a virtio_net device negotiated, and what its driver (drivers/net/virtio_net.c)
was built with.
"""

from drgn import Object, Program, container_of
from drgn.helpers.common.prog import takes_program_or_default

from .drivers import netdev_driver_name
from .kernel_text import code_constants
from .skb import page_size

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
    "virtio_net_padded_vnet_hdr_size",
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

# What sizeof(struct padded_vnet_hdr) can be: that of struct virtio_net_hdr_mrg_rxbuf
# or, with the hash, of struct virtio_net_hdr_v1_hash, filled up to 16 bytes. Both are
# user space API.
_PADDED_SIZES = (16, 32)


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
    virtio = container_of(dev.dev.parent.read_(), "struct virtio_device", "dev")
    return virtio.features.value_()


@takes_program_or_default
def virtio_net_padded_vnet_hdr_size(prog: Program, ndo_bpf: int) -> int:
    """
    Return ``sizeof(struct padded_vnet_hdr)``, by which older kernels limit the MTU
    (``virtnet_xdp_set()``).

    :param ndo_bpf: ``netdev_ops->ndo_bpf`` of a virtio_net device
    :raises LookupError: if this kernel does not limit the MTU so
    :raises FaultError: if the code cannot be read
    :raises ValueError: if it is no code
    :raises NotImplementedError: on another architecture than x86-64
    """
    # Nothing but this size is made of the struct, so compilers leave its type out. The
    # number that the MTU is compared with is in the code.
    page = page_size(prog)
    constants = code_constants(prog, ndo_bpf)
    found = [size for size in _PADDED_SIZES if page - size in constants]
    if len(found) != 1:
        raise LookupError("virtnet_xdp_set() compares the MTU with no such limit")
    return found[0]
