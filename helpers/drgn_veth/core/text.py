# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text out of kernel memory."""

__all__ = ("decode",)


def decode(text: bytes) -> str:
    """
    Return a name as the contract has it: UTF-8, and each byte that is not as
    ``\\xNN``. It may still hold control characters: renderers escape them.
    """
    return text.decode("utf-8", "backslashreplace")
