# SPDX-License-Identifier: LGPL-2.1-or-later
"""Platforms of either byte order and size of words."""

from drgn import Architecture, Platform, PlatformFlags

__all__ = ("BIG_32", "BIG_64", "LITTLE_32", "LITTLE_64")

LITTLE_64 = Platform(
    Architecture.X86_64, PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
)
BIG_64 = Platform(Architecture.S390X, PlatformFlags.IS_64_BIT)
LITTLE_32 = Platform(Architecture.I386, PlatformFlags.IS_LITTLE_ENDIAN)
BIG_32 = Platform(Architecture.PPC64, PlatformFlags(0))
