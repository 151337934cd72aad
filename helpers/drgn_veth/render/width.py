# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How wide a text is
------------------

In columns of a terminal, where a letter may take two. wcwidth knows best, and tabulate
uses it, too. Without it, what Unicode calls wide counts as two, and all else as one.
"""

from collections.abc import Iterable, Iterator
import importlib
from typing import Callable, Optional
import unicodedata

__all__ = ("KEEP", "cut", "flow", "narrow", "spread", "width", "wrap")

_wcswidth: Optional[Callable[[str], int]] = None
try:
    # tabulate has no types for it either.
    _wcswidth = importlib.import_module("wcwidth").wcswidth
except ImportError:
    pass

#: A blank that a line is not broken at, and that tabulate does not strip. It is of the
#: private use area, which for_terminal() escapes.
KEEP = "\ue000"
# Stands behind a letter of two columns where tabulate counts letters: see spread().
_SECOND = "\0"


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def width(text: str) -> int:
    """
    Return how many columns a printable text takes.

    >>> width("veth0"), width("\N{HANGUL SYLLABLE HAN}\N{HANGUL SYLLABLE GUG}")
    (5, 4)
    """
    if text.isascii():
        return len(text)
    if _wcswidth is not None:
        columns = int(_wcswidth(text))
        if columns >= 0:
            return columns
    return len(text) + sum(map(_is_wide, text))


def spread(text: str) -> str:
    """Return a text in which each column counts as one letter."""
    if text.isascii() or _wcswidth is not None:
        return text
    return "".join(f"{char}{_SECOND}" if _is_wide(char) else char for char in text)


def narrow(text: str) -> str:
    """Return a text as it was before :func:`spread()`, with blanks for :data:`KEEP`."""
    return text.replace(_SECOND, "").replace(KEEP, " ")


def _fitting(text: str, most: int) -> int:
    # How many letters fit; at least one.
    if text.isascii():
        return max(most, 1)
    # What takes no column may be long, and what follows may be longer.
    low, high = 1, max(most, 1) + 1
    while high < len(text) and width(text[:high]) <= most:
        low, high = high, 2 * high
    high = min(high, len(text)) + 1
    while low + 1 < high:
        middle = (low + high) // 2
        if width(text[:middle]) <= most:
            low = middle
        else:
            high = middle
    return low


def cut(text: str, most: int, sign: str = "~") -> str:
    """
    Return a text that is no wider; a sign is where something is missing.

    >>> cut("containerd:9f86d081884c", 12)
    'containerd:~'
    """
    if width(text) <= most:
        return text
    return text[: _fitting(text, most - width(sign))] + sign


def _pieces(word: str, first: int, columns: int) -> Iterator[str]:
    room = first
    while (end := _fitting(word, room)) < len(word):
        yield word[:end]
        word = word[end:]
        room = columns
    yield word


def wrap(
    text: str, columns: int, first: str = "", rest: str = "", keep: bool = False
) -> list[str]:
    """
    Return the lines of a text, broken at blanks, or within a word that is too long.

    :param columns: Width of each line with its indentation
    :param first: Indentation of the first line
    :param rest: Indentation of the other lines
    :param keep: Leave :data:`KEEP` as it is
    """
    text = text.rstrip()
    if width(text) + len(first) <= columns:
        return [f"{first}{text}" if keep else narrow(f"{first}{text}")]
    lines = []
    line, empty = first, True
    for word in text.split(" "):
        if not empty and width(line) + 1 + width(word) > columns:
            lines.append(line)
            line, empty = rest, True
        if not empty:
            line += f" {word}"
            continue
        *whole, last = _pieces(word, columns - len(line), columns - len(rest))
        for piece in whole:
            lines.append(f"{line}{piece}")
            line = rest
        line, empty = f"{line}{last}", False
    lines.append(line)
    return lines if keep else [narrow(one) for one in lines]


def flow(
    parts: Iterable[str], columns: int, gap: int = 2, rest: str = "  "
) -> list[str]:
    """
    Return the lines of parts that each stay in one line, if they fit.

    :param gap: Blanks between two parts
    :param rest: Indentation of the lines after the first
    """
    lines: list[str] = []
    line = ""
    for part in filter(None, parts):
        if line and width(line) + gap + width(part) <= columns:
            line += f"{' ' * gap}{part}"
            continue
        if line:
            lines.append(line)
        *whole, line = wrap(part, columns, rest if lines else "", rest)
        lines += whole
    return [*lines, line] if line else lines
