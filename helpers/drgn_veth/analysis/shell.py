# SPDX-License-Identifier: LGPL-2.1-or-later
"""Words of a shell command and their quotes, and masks of CPUs for the kernel."""

from collections.abc import Iterable, Iterator
import re
import shlex
from typing import NamedTuple

__all__ = ("Char", "rps_mask", "shell_chars", "shell_quote", "shell_words")


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


class Char(NamedTuple):
    """A character of a command, as a shell sees it."""

    char: str
    literal: bool  #: within '...', where a backslash is one
    free: bool  #: neither quoted nor escaped: a blank here ends a word


def shell_chars(command: str) -> Iterator[Char]:
    """
    Yield the characters of a command such as :func:`shell_quote()` helps to make;
    ``"$(printf -- '...')"`` is one word, too.
    """
    outer = inner = previous = ""
    escaped = False
    for char in command:
        yield Char(char, inner == "'", not (outer or inner or escaped))
        if escaped:
            escaped = False
        elif char == "\\" and inner != "'":
            escaped = True
        elif char in "'\"" and inner in ("", char):
            inner = "" if inner else char
        elif char == "(" and inner == '"' and previous == "$":
            outer, inner = inner, ""
        elif char == ")" and outer and not inner:
            outer, inner = "", outer
        previous = char


def shell_words(command: str) -> Iterator[str]:
    """Yield the words of a command as written, with their quotes."""
    word = ""
    for char, _, free in shell_chars(command):
        if char == " " and free:
            yield word
            word = ""
        else:
            word += char
    yield word


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
