# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text from kernel memory."""

import os

__all__ = ("as_in_snapshot", "decode")


def decode(text: bytes) -> str:
    """
    Return a name in the form of the contract: UTF-8, and each byte that is not UTF-8 as
    ``\\xNN``. It may still contain control characters: renderers escape them.
    """
    return text.decode("utf-8", "backslashreplace")


def as_in_snapshot(given: str) -> str:
    """Return a path or an argument in the same form."""
    return decode(os.fsencode(given))
