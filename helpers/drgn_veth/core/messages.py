# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel says about an XDP attach, by function. Plain data."""

__all__ = ("XDP_ATTACH_ALWAYS", "XDP_ATTACH_FUNCTIONS", "XDP_ATTACH_MESSAGES")

# net/core/dev.c: the first two since v5.9, where they took over from the last.
XDP_ATTACH_FUNCTIONS = ("dev_xdp_attach", "dev_xdp_install", "dev_change_xdp_fd")

# What those give to netlink_ext_ack, in the order of the checks in v7.2, and then
# what became of it since.
XDP_ATTACH_MESSAGES = (
    b"Invalid XDP flags for BPF link attachment",
    b"Only one XDP mode flag can be set",
    b"More than one program loaded, unset mode is ambiguous",
    b"XDP_FLAGS_REPLACE is not specified",
    b"Can't replace active BPF XDP link",
    b"Cannot attach when an upper device already has a program",
    b"Can't replace active XDP program with BPF link",
    b"Active program does not match expected",
    b"XDP program already attached",
    b"Underlying driver does not support XDP in native mode",
    b"Native and generic XDP can't be active at the same time",
    b"Using offloaded program without HW_MODE flag is not supported",
    b"Program bound to different device",
    b"Can't attach device-bound programs in generic mode",
    b"BPF_XDP_DEVMAP programs can not be attached to a device",
    b"BPF_XDP_CPUMAP programs can not be attached to a device",
    b"unable to install XDP to device using tcp-data-split",
    b"unable to install XDP to device using memory provider",
    # Since Linux kernel commit 2b3486bc2d23 ("bpf: Introduce device-bound XDP
    # programs") (in v6.3), a program may be bound to a device, but not offloaded.
    b"Using device-bound program without HW_MODE flag is not supported",
    # Before v5.9.
    b"underlying driver does not support XDP in native mode",
    b"native and generic XDP can't be active at the same time",
    b"using device-bound program without HW_MODE flag is not supported",
)

# What dev_xdp_attach(), or dev_xdp_install() for it, has said since v5.9.
XDP_ATTACH_ALWAYS = frozenset(
    {
        b"Invalid XDP flags for BPF link attachment",
        b"Only one XDP mode flag can be set",
        b"XDP_FLAGS_REPLACE is not specified",
        b"Can't replace active BPF XDP link",
        b"Can't replace active XDP program with BPF link",
        b"Active program does not match expected",
        b"XDP program already attached",
        b"Native and generic XDP can't be active at the same time",
        b"BPF_XDP_DEVMAP programs can not be attached to a device",
        b"BPF_XDP_CPUMAP programs can not be attached to a device",
        b"Underlying driver does not support XDP in native mode",
    }
)
