# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Commands on a screen
--------------------

Broken over lines so that what is copied runs as it was.
"""

from collections.abc import Iterator

from ..analysis.shell import shell_chars, shell_words
from .escape import for_terminal
from .style import PLAIN, Style
from .width import width, wrap

__all__ = ("command", "hint", "one_line")

_CONTINUED = " \\"


def one_line(text: str, style: Style = PLAIN) -> str:
    """Return a command as a screen can show it."""
    return style.shown(for_terminal(text))


def _broken(word: str, first: int, columns: int) -> Iterator[str]:
    # The lines of a word that no line has room for. What follows the break begins in
    # the first column, and a quote is closed before it.
    line, room = "", columns - first - len("'\\")
    previous = ""
    blank = 0  # behind the last blank of the line that is within quotes
    for char, quoted, _ in shell_chars(word):
        if width(line) + width(char) > room and previous != "\\":
            if quoted and char != "'":
                end = blank or len(line)
                yield f"{line[:end]}'\\"
                line = f"'{line[end:]}"
            elif not quoted:
                yield f"{line}\\"
                line = ""
            room, blank = columns - len("'\\"), 0
        line += char
        previous = char
        if quoted and char == " ":
            blank = len(line)
    yield line


def command(text: str, mark: str, style: Style = PLAIN) -> Iterator[str]:
    """
    Yield the lines of a command; all but the last end with a backslash.

    :param mark: What the first line begins with
    """
    line = mark
    empty = True
    for word in shell_words(one_line(text, style)):
        long = width(word) + len(mark) + len(_CONTINUED) > style.width
        if not empty and width(line) + 1 + width(word) + len(_CONTINUED) > style.width:
            yield f"{line}{_CONTINUED}"
            line, empty = " " * len(mark), True
        if long:
            start = width(line)
            *whole, word = _broken(word, start, style.width - len(_CONTINUED))
            if whole:
                yield f"{line}{whole[0]}"
                yield from whole[1:]
                line, empty = word, False
                continue
        line = f"{line}{word}" if empty else f"{line} {word}"
        empty = False
    yield line


def hint(
    said: str, call: str, style: Style = PLAIN, first: str = "", rest: str = "  "
) -> list[str]:
    """
    Return the lines of a text that ends with what the user can type.

    :param said: The text, without a colon
    :param first: Indentation of the first line
    :param rest: Indentation of the other lines
    """
    line = f"{first}{said}: {call}"
    if width(line) <= style.width:
        return [line]
    return [
        *wrap(f"{said}:", style.width, first, rest),
        *command(call, rest, style),
    ]
