# SPDX-License-Identifier: LGPL-2.1-or-later
"""drgn helpers: objects in, objects out. One kernel subject a file."""

__all__ = (
    "bonding",
    "bpf",
    "bpf_programs",
    "cpumask",
    "driver",
    "flex",
    "idr",
    "mounts",
    "netdev",
    "netkit",
    "netns",
    "nsfs",
    "peer",
    "queues",
    "rps",
    "rtnl",
    "skb",
    "veth",
    "virtio_net",
    "walk",
    "xdp",
    "xdp_links",
    "xps",
)
