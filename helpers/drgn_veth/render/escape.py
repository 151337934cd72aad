# SPDX-License-Identifier: LGPL-2.1-or-later
"""Escaping of strings from kernel memory."""

__all__ = ("escaped", "for_terminal")


def escaped(char: str) -> str:
    """Return the escape for a character: ``\\\\x1b``, ``\\\\u2603``."""
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def for_terminal(text: str) -> str:
    """
    Return a string that is safe for a terminal, a pager or a log: control characters,
    and others that move, hide or reorder text, become escapes.

    >>> for_terminal("veth0\\x1b[31m")
    'veth0\\\\x1b[31m'
    """
    # str.isprintable() is false for controls, format characters (text
    # direction), separators other than a space, surrogates and private use.
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escaped(char) for char in text)
