# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every room may use: unreadable values, errors, words."""

__all__ = (
    "byte_order",
    "english",
    "errors",
    "messages",
    "netdev_features",
    "salvage",
    "skbuff",
    "struct_layout",
    "text",
    "uapi",
    "unreadable",
)
