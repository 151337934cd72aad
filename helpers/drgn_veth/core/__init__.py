# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every room may use: unreadable values, errors, words."""

__all__ = (
    "byte_order",
    "containers",
    "english",
    "errors",
    "messages",
    "module_types",
    "names",
    "nearest",
    "netdev_features",
    "salvage",
    "skbuff",
    "sparse_layout",
    "struct_layout",
    "text",
    "uapi",
    "unreadable",
    "xdp_modes",
)
