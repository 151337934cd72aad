# SPDX-License-Identifier: LGPL-2.1-or-later
"""What only the machine code of a kernel shows."""

__all__ = (
    "arm64",
    "arm64_memory",
    "follow",
    "instruction",
    "veth_poll",
    "veth_xmit",
    "virtio_net",
    "x86_64",
    "xdp_messages",
)
