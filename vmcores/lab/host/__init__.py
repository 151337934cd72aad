# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs on the host: fetches kernels, boots them, and keeps their dumps."""

__all__ = (
    "agent",
    "archive",
    "dump",
    "initramfs",
    "kernels",
    "machines",
    "qemu",
    "qemu_guest",
    "rootfs",
    "vmcore",
)
