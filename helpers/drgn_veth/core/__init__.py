# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every room may use: unreadable values, errors, words."""

__all__ = (
    "arguments",
    "byte_order",
    "c_string",
    "containers",
    "driver_counters",
    "english",
    "errors",
    "exact_reads",
    "messages",
    "module_types",
    "moving",
    "names",
    "nearest",
    "netdev_features",
    "packets",
    "salvage",
    "skbuff",
    "sparse_layout",
    "struct_layout",
    "text",
    "uapi",
    "unreadable",
    "version",
    "xdp_modes",
)
