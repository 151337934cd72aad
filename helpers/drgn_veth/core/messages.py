# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages in the kernel's source
-------------------------------

Strings to look for in the kernel's code: messages about an XDP attach, and others that
show which code a kernel has; also messages that are a symptom of a rule. Plain data. A
message that is neither stands beside the decision that returns it.
"""

from collections.abc import Mapping

__all__ = (
    "AMBIGUOUS",
    "BACK_PRESSURE",
    "BOND_MODE",
    "BOUND_IN_SKB",
    "CHANNELS_AF_XDP",
    "CHANNELS_BUSY",
    "CHANNELS_MESSAGES",
    "CPUMAP",
    "DEVMAP",
    "DRIVER_MESSAGES",
    "EXISTS",
    "LINK_FLAGS",
    "LINK_IN_PLACE",
    "MEMORY_PROVIDER",
    "MTU_MAXIMUM",
    "NETNS_ALTNAME",
    "NETNS_IFINDEX",
    "NETNS_IMMUTABLE",
    "NETNS_NAME",
    "NETNS_UNREGISTERED",
    "NOT_EXPECTED",
    "NO_OPERATION",
    "NO_REPLACE",
    "OFFLOAD_WITHOUT_HW",
    "OFFLOAD_WITHOUT_HW_OLD",
    "ONE_MODE",
    "OTHER_DEVICE",
    "OTHER_MODE",
    "PROGRAM_IN_PLACE",
    "RPS_QUEUE",
    "TCP_DATA_SPLIT",
    "UNREGISTER",
    "UPPER",
    "VETH_MTU",
    "VETH_PEER",
    "VETH_QUEUES",
    "VIRTIO_GRO_HW_CSUM",
    "VIRTIO_LRO",
    "VIRTIO_LRO_CSUM",
    "VIRTIO_MTU",
    "VIRTIO_MTU_FRAGS",
    "VIRTIO_SLOW_TX",
    "VIRTIO_TX_RINGS",
    "XDP_ATTACH_ALWAYS",
    "XDP_ATTACH_FUNCTIONS",
    "XDP_ATTACH_MESSAGES",
)

# net/core/dev.c: the first two since v5.9, which replaced the last.
XDP_ATTACH_FUNCTIONS = ("dev_xdp_attach", "dev_xdp_install", "dev_change_xdp_fd")

LINK_FLAGS = "Invalid XDP flags for BPF link attachment"
ONE_MODE = "Only one XDP mode flag can be set"
AMBIGUOUS = "More than one program loaded, unset mode is ambiguous"
NO_REPLACE = "XDP_FLAGS_REPLACE is not specified"
LINK_IN_PLACE = "Can't replace active BPF XDP link"
UPPER = "Cannot attach when an upper device already has a program"
PROGRAM_IN_PLACE = "Can't replace active XDP program with BPF link"
NOT_EXPECTED = "Active program does not match expected"
EXISTS = "XDP program already attached"
NO_OPERATION = "Underlying driver does not support XDP in native mode"
OTHER_MODE = "Native and generic XDP can't be active at the same time"
OFFLOAD_WITHOUT_HW = "Using offloaded program without HW_MODE flag is not supported"
OTHER_DEVICE = "Program bound to different device"
BOUND_IN_SKB = "Can't attach device-bound programs in generic mode"
DEVMAP = "BPF_XDP_DEVMAP programs can not be attached to a device"
CPUMAP = "BPF_XDP_CPUMAP programs can not be attached to a device"
TCP_DATA_SPLIT = "unable to install XDP to device using tcp-data-split"
MEMORY_PROVIDER = "unable to install XDP to device using memory provider"
# Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP programs")
# (in v6.3), a program may be bound to a device, but not offloaded.
OFFLOAD_WITHOUT_HW_OLD = (
    "Using device-bound program without HW_MODE flag is not supported"
)

# drivers/net/veth.c: veth_xdp_set()
VETH_PEER = "veth: Cannot set XDP when peer is detached"
VETH_MTU = "veth: Peer MTU is too large to set XDP"
VETH_QUEUES = "veth: XDP expects number of rx queues not less than peer tx queues"

# net/core/dev.c: __dev_change_net_namespace(). Older kernels say nothing.
NETNS_IMMUTABLE = "The interface netns is immutable"
NETNS_UNREGISTERED = "The interface isn't registered"
NETNS_NAME = "An interface with the same name exists in the target netns"
NETNS_ALTNAME = "An interface with the altname %s exists in the target netns"
NETNS_IFINDEX = "The ifindex %d is not available in the target netns"

# net/core/dev.c: dev_validate_mtu(), netdev_wait_allrefs_any(), get_rps_cpu()
MTU_MAXIMUM = "mtu greater than device maximum"
UNREGISTER = "unregister_netdevice: waiting for %s to become free. Usage count = %d"
#: Since v5.13; a line of the log.
VIRTIO_SLOW_TX = (
    "XDP request %i queues but max is %i. XDP_TX and XDP_REDIRECT will operate in a "
    "slower locked tx mode."
)
RPS_QUEUE = "%s received packet on queue %u, but number of RX queues is %u"

# net/ethtool/channels.c: ethnl_set_channels(). The newest kernels have neither, but
# netdev_queue_busy().
CHANNELS_AF_XDP = (
    "requested channel counts are too low for existing zerocopy AF_XDP sockets"
)
CHANNELS_BUSY = (
    "requested channel counts are too low due to busy queues (AF_XDP or queue leasing)"
)
CHANNELS_MESSAGES: tuple[bytes, ...] = tuple(
    message.encode() for message in (CHANNELS_AF_XDP, CHANNELS_BUSY)
)
# What these functions report by netlink_ext_ack: in the order of the checks in v7.2,
# then messages that only older kernels have.
XDP_ATTACH_MESSAGES: tuple[bytes, ...] = tuple(
    message.encode()
    for message in (
        LINK_FLAGS,
        ONE_MODE,
        AMBIGUOUS,
        NO_REPLACE,
        LINK_IN_PLACE,
        UPPER,
        PROGRAM_IN_PLACE,
        NOT_EXPECTED,
        EXISTS,
        NO_OPERATION,
        OTHER_MODE,
        OFFLOAD_WITHOUT_HW,
        OTHER_DEVICE,
        BOUND_IN_SKB,
        DEVMAP,
        CPUMAP,
        TCP_DATA_SPLIT,
        MEMORY_PROVIDER,
        OFFLOAD_WITHOUT_HW_OLD,
        # Before v5.9.
        "underlying driver does not support XDP in native mode",
        "native and generic XDP can't be active at the same time",
        "using device-bound program without HW_MODE flag is not supported",
    )
)

# Messages that dev_xdp_attach() or dev_xdp_install() of every kernel since v5.9 has.
XDP_ATTACH_ALWAYS = frozenset(
    message.encode()
    for message in (
        LINK_FLAGS,
        ONE_MODE,
        NO_REPLACE,
        LINK_IN_PLACE,
        PROGRAM_IN_PLACE,
        NOT_EXPECTED,
        EXISTS,
        OTHER_MODE,
        DEVMAP,
        CPUMAP,
        NO_OPERATION,
    )
)

# drivers/net/veth.c: veth_xmit(). Since Linux kernel commit dc82a33297fc ("veth: apply
# qdisc backpressure on full ptr_ring to reduce TX drops") (in v6.16), with KERN_CRIT.
BACK_PRESSURE = "\x012%s(%s): Invalid return code(%d)"

# drivers/net/bonding/bond_main.c: bond_xdp_set()
BOND_MODE = "No native XDP support for the current bonding mode"

# drivers/net/virtio_net.c: virtnet_xdp_set()
_VIRTIO_OFFLOADS = (
    "virtio_net: Can't set XDP while host is implementing {0}, disable {0} first"
)
VIRTIO_LRO = _VIRTIO_OFFLOADS.format("LRO")
VIRTIO_LRO_CSUM = _VIRTIO_OFFLOADS.format("LRO/CSUM")
VIRTIO_GRO_HW_CSUM = _VIRTIO_OFFLOADS.format("GRO_HW/CSUM")
VIRTIO_MTU = "virtio_net: MTU too large to enable XDP"
VIRTIO_MTU_FRAGS = "virtio_net: MTU too large to enable XDP without frags"
VIRTIO_TX_RINGS = "virtio_net: Too few free TX rings available"

# Messages that only some kernels have, by the driver's function that refers to them.
DRIVER_MESSAGES: Mapping[str, tuple[bytes, ...]] = {
    "bond_xdp": (BOND_MODE.encode(),),
    "virtnet_xdp": tuple(
        message.encode()
        for message in (
            VIRTIO_LRO,
            VIRTIO_LRO_CSUM,
            VIRTIO_GRO_HW_CSUM,
            VIRTIO_MTU,
            VIRTIO_MTU_FRAGS,
            VIRTIO_TX_RINGS,
        )
    ),
    "veth_xmit": (BACK_PRESSURE.encode(),),
}
