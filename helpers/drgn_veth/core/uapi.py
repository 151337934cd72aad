# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Numbers of the kernel's user space API
--------------------------------------

They are macros, or enumerators that a compiler may omit, so types and symbols may lack
them. They are user space API and never change.
"""

__all__ = (
    "ARPHRD_ETHER",
    "ARPHRD_LOOPBACK",
    "BPF_XDP_CPUMAP",
    "BPF_XDP_DEVMAP",
    "ETH_HLEN",
    "ETH_MAX_MTU",
    "IPV6_MIN_MTU",
    "NETDEV_XDP_ACT_NDO_XMIT",
    "VIRTIO_F_ANY_LAYOUT",
    "VIRTIO_F_VERSION_1",
    "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS",
    "VIRTIO_NET_F_GUEST_CSUM",
    "VIRTIO_NET_F_GUEST_ECN",
    "VIRTIO_NET_F_GUEST_TSO4",
    "VIRTIO_NET_F_GUEST_TSO6",
    "VIRTIO_NET_F_GUEST_UFO",
    "VIRTIO_NET_F_GUEST_USO4",
    "VIRTIO_NET_F_GUEST_USO6",
    "VIRTIO_NET_F_MRG_RXBUF",
    "XDP_FLAGS_DRV_MODE",
    "XDP_FLAGS_HW_MODE",
    "XDP_FLAGS_MASK",
    "XDP_FLAGS_MODES",
    "XDP_FLAGS_REPLACE",
    "XDP_FLAGS_SKB_MODE",
    "XDP_FLAGS_UPDATE_IF_NOEXIST",
    "XDP_PACKET_HEADROOM",
)

# include/uapi/linux/if_arp.h
ARPHRD_ETHER = 1
ARPHRD_LOOPBACK = 772

# include/uapi/linux/bpf.h
XDP_PACKET_HEADROOM = 256  # bytes
BPF_XDP_DEVMAP = 33  # enum bpf_attach_type
BPF_XDP_CPUMAP = 35

# include/uapi/linux/if_link.h
XDP_FLAGS_UPDATE_IF_NOEXIST = 1 << 0
XDP_FLAGS_SKB_MODE = 1 << 1
XDP_FLAGS_DRV_MODE = 1 << 2
XDP_FLAGS_HW_MODE = 1 << 3
XDP_FLAGS_REPLACE = 1 << 4
XDP_FLAGS_MODES = XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE | XDP_FLAGS_HW_MODE
XDP_FLAGS_MASK = XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_MODES | XDP_FLAGS_REPLACE

# include/uapi/linux/if_ether.h
ETH_HLEN = 14  # bytes
ETH_MAX_MTU = 65535

# include/uapi/linux/ipv6.h
IPV6_MIN_MTU = 1280

# include/uapi/linux/netdev.h
NETDEV_XDP_ACT_NDO_XMIT = 1 << 2

# include/uapi/linux/virtio_net.h, virtio_config.h: numbers of bits.
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
