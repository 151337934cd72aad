# SPDX-License-Identifier: LGPL-2.1-or-later
"""Quoting of words for a shell, and masks of CPUs for the kernel."""

from collections.abc import Iterable
import re
import shlex

__all__ = ("rps_mask", "shell_quote")


def shell_quote(word: str) -> str:
    """
    Return a word quoted for any POSIX shell, without bytes that a terminal interprets.

    Names from kernel memory have bytes that are not UTF-8 as ``\\xNN``; printf makes
    bytes of them again.
    """
    if word.isprintable() and word.isascii() and "\\" not in word:
        return shlex.quote(word)
    escaped = "".join(
        c if c.isprintable() and c.isascii() and c not in "'\\%" else _octal(c)
        for c in re.sub(r"\\x([89a-f][0-9a-f])", _lone_byte, word)
    )
    return f"\"$(printf -- '{escaped}')\""


def _lone_byte(match: "re.Match[str]") -> str:
    return chr(0xDC00 + int(match.group(1), 16))


def _octal(c: str) -> str:
    data = c.encode("utf-8", "surrogateescape")
    return "".join(f"\\{byte:03o}" for byte in data)


def rps_mask(cpus: Iterable[int]) -> str:
    """
    Return a mask of CPUs in the format of the kernel's bitmap_parse(): ``2,00000009``.
    """
    mask = sum(1 << cpu for cpu in set(cpus))
    groups: list[str] = []
    while mask or not groups:
        groups.insert(0, f"{mask & 0xFFFFFFFF:08x}")
        mask >>= 32
    groups[0] = groups[0].lstrip("0") or "0"
    return ",".join(groups)
