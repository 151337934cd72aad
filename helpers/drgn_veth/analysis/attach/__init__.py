# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's decisions about an XDP attach."""

__all__ = (
    "alike",
    "ask",
    "below",
    "caller",
    "core",
    "decision",
    "driver_decisions",
    "drivers",
    "predictor",
    "question",
    "uppers",
    "variants",
)
