# SPDX-License-Identifier: LGPL-2.1-or-later
"""drgn helpers: objects in, objects out. One kernel subject per file."""

__all__ = (
    "array",
    "bonding",
    "bounded",
    "bpf_link",
    "bpf_prog",
    "cpumask",
    "driver",
    "idr",
    "netdev",
    "netkit",
    "netns",
    "nsfs",
    "peer",
    "queues",
    "rps",
    "rtnl",
    "skb",
    "tun",
    "veth",
    "virtio_net",
    "xdp",
    "xps",
)
