# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which way packets take: situations, and how path_scene.py sets and measures them."""

__all__ = (
    "counting",
    "drawn",
    "measuring",
    "packets",
    "programs",
    "redirecting",
    "setting",
    "situation",
    "situations",
    "stacked",
)
