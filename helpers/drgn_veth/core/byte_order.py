# SPDX-License-Identifier: LGPL-2.1-or-later
"""The byte order of a target."""

from drgn import PlatformFlags, Program

__all__ = ("byteorder", "struct_order")


def byteorder(prog: Program) -> str:
    """Return ``little`` or ``big``, as :meth:`int.from_bytes()` expects it."""
    platform = prog.platform
    assert platform is not None
    return "little" if platform.flags & PlatformFlags.IS_LITTLE_ENDIAN else "big"


def struct_order(byteorder: str) -> str:
    """Return a byte order as :mod:`struct` expects it."""
    return "<" if byteorder == "little" else ">"
