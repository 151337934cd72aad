# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each decision says, and which comes first, as KERNEL.md D has it."""

from collections.abc import Sequence
from typing import Optional

__all__ = (
    "BOND",
    "CHECKS",
    "CHECKS_OLD",
    "CORE",
    "DRIVERS",
    "INSTALL",
    "MOST",
    "NETLINK",
    "ORDERS",
    "SAYS",
    "VETH",
    "VIRTIO",
    "VIRTIO_LRO",
    "VIRTIO_LRO_CSUM",
    "VIRTIO_NEW",
    "messages_of",
)

MOST = 3506  # of a veth's peer; K, measured
# D.3: errno and message of each decision.
SAYS: dict[str, tuple[str, Optional[str]]] = {
    "flags": ("EINVAL", None),
    "flags-modes": ("EINVAL", None),
    "flags-replace": ("EINVAL", None),
    "offloaded": ("EINVAL", None),
    "link-flags": ("EINVAL", "Invalid XDP flags for BPF link attachment"),
    "one-mode": ("EINVAL", "Only one XDP mode flag can be set"),
    "ambiguous": ("EINVAL", "More than one program loaded, unset mode is ambiguous"),
    "link-in-place": ("EBUSY", "Can't replace active BPF XDP link"),
    "upper": ("EEXIST", "Cannot attach when an upper device already has a program"),
    "program-in-place": ("EBUSY", "Can't replace active XDP program with BPF link"),
    "not-expected": ("EEXIST", "Active program does not match expected"),
    "exists": ("EBUSY", "XDP program already attached"),
    "other-mode": ("EEXIST", "Native and generic XDP can't be active at the same time"),
    "offload-without-hw-old": (
        "EINVAL",
        "Using device-bound program without HW_MODE flag is not supported",
    ),
    "offload-without-hw": (
        "EINVAL",
        "Using offloaded program without HW_MODE flag is not supported",
    ),
    "other-device": ("EINVAL", "Program bound to different device"),
    "bound-in-skb": ("EINVAL", "Can't attach device-bound programs in generic mode"),
    "devmap": ("EINVAL", "BPF_XDP_DEVMAP programs can not be attached to a device"),
    "cpumap": ("EINVAL", "BPF_XDP_CPUMAP programs can not be attached to a device"),
    "no-operation": (
        "EOPNOTSUPP",
        "Underlying driver does not support XDP in native mode",
    ),
    "tcp-data-split": ("EBUSY", "unable to install XDP to device using tcp-data-split"),
    "memory-provider": (
        "EBUSY",
        "unable to install XDP to device using memory provider",
    ),
    "program-maps": ("EINVAL", None),
    "veth-peer": ("ENOTCONN", "veth: Cannot set XDP when peer is detached"),
    "veth-mtu": ("ERANGE", "veth: Peer MTU is too large to set XDP"),
    "veth-queues": (
        "ENOSPC",
        "veth: XDP expects number of rx queues not less than peer tx queues",
    ),
    "bond-mode": ("EOPNOTSUPP", "No native XDP support for the current bonding mode"),
    "slave-operations": ("EOPNOTSUPP", "Slave device does not support XDP"),
    "slave-program": (
        "EOPNOTSUPP",
        "Slave has XDP program loaded, please unload before enslaving",
    ),
    "slave-tcp-data-split": (
        "EBUSY",
        "unable to propagate XDP to device using tcp-data-split",
    ),
    "slave-memory-provider": (
        "EBUSY",
        "unable to propagate XDP to device using memory provider",
    ),
    "slave-queues": (
        "ENOSPC",
        "veth: XDP expects number of rx queues not less than peer tx queues",
    ),
    "virtio-offloads-lro": (
        "EOPNOTSUPP",
        "virtio_net: Can't set XDP while host is implementing LRO, disable LRO first",
    ),
    "virtio-offloads-lro-csum": (
        "EOPNOTSUPP",
        (
            "virtio_net: Can't set XDP while host is implementing LRO/CSUM, "
            "disable LRO/CSUM first"
        ),
    ),
    "virtio-offloads": (
        "EOPNOTSUPP",
        (
            "virtio_net: Can't set XDP while host is implementing GRO_HW/CSUM, "
            "disable GRO_HW/CSUM first"
        ),
    ),
    "virtio-header": (
        "EINVAL",
        "virtio_net: XDP expects header/data in single page, any_header_sg required",
    ),
    "virtio-mtu-any": ("EINVAL", "virtio_net: MTU too large to enable XDP"),
    "virtio-mtu-plain": (
        "EINVAL",
        "virtio_net: MTU too large to enable XDP without frags",
    ),
    "virtio-tx-rings": ("ENOMEM", "virtio_net: Too few free TX rings available"),
    "netkit": ("EOPNOTSUPP", None),
    "wrong-old-program": ("EPERM", None),
    "other-type": ("EINVAL", None),
}
NETLINK = ["flags", "flags-modes", "flags-replace", "offloaded"]
CORE = [
    "link-flags",
    "one-mode",
    "ambiguous",
    "link-in-place",
    "upper",
    "program-in-place",
    "not-expected",
    "exists",
]
CHECKS = [
    "other-mode",
    "offload-without-hw",
    "other-device",
    "bound-in-skb",
    "devmap",
    "cpumap",
]
INSTALL = ["tcp-data-split", "memory-provider"]
VETH = ["veth-peer", "veth-mtu", "veth-queues"]
BOND = [
    "bond-mode",
    "slave-operations",
    "slave-program",
    "slave-tcp-data-split",
    "slave-memory-provider",
    "slave-queues",
]
_VIRTIO_OLD = ["virtio-header", "virtio-mtu-any", "virtio-tx-rings"]
VIRTIO_LRO = ["virtio-offloads-lro", *_VIRTIO_OLD]
VIRTIO_LRO_CSUM = ["virtio-offloads-lro-csum", *_VIRTIO_OLD]
VIRTIO = ["virtio-offloads", "virtio-header", "virtio-mtu-any"]
VIRTIO_NEW = ["virtio-offloads", "virtio-header", "virtio-mtu-plain"]
CHECKS_OLD = ["other-mode", "offload-without-hw-old", "devmap", "cpumap"]
#: What comes in which order, in the kernels that KERNEL.md calls A and I, and in those
#: of A that are older than v6.3.
ORDERS = {
    "A": [*NETLINK, *CORE, *CHECKS, "no-operation", *INSTALL],
    "I": [*NETLINK, *CORE, "no-operation", *CHECKS, *INSTALL],
    "old": [*NETLINK, *CORE, *CHECKS_OLD, "no-operation", *INSTALL],
}
DRIVERS = {
    "veth": VETH,
    "bond": BOND,
    "virtio-lro": VIRTIO_LRO,
    "virtio-lro-csum": VIRTIO_LRO_CSUM,
    "virtio": VIRTIO,
    "virtio-new": VIRTIO_NEW,
    "netkit": ["netkit"],
    "generic": ["program-maps"],
}


def messages_of(variant: str, absent: Sequence[str] = ()) -> dict[str, frozenset[str]]:
    def said(keys: Sequence[str]) -> frozenset[str]:
        messages = (SAYS[key][1] for key in keys if key not in absent)
        return frozenset(message for message in messages if message is not None)

    late = CHECKS if variant == "I" else []
    early = {"A": CHECKS, "I": [], "old": CHECKS_OLD}[variant]
    return {
        "dev_xdp_attach": said([*CORE, "no-operation", *early]),
        "dev_xdp_install": said([*INSTALL, *late]),
        "bond_xdp": said(["bond-mode"]),
    }
