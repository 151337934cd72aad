# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a person meets: arguments, opening a target, output."""

__all__ = (
    "output",
    "slice",
    "target_options",
)
