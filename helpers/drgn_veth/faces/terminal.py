# SPDX-License-Identifier: LGPL-2.1-or-later
"""The terminal that a screen is shown on."""

import argparse
import os
import sys
from typing import Optional, TextIO

from ..render.style import NARROWEST, PLAIN, WIDEST, Style
from .commands import calls
from .status import UsageError

__all__ = ("is_terminal", "style_for")


def is_terminal(stream: Optional[TextIO]) -> bool:
    """Return whether a stream is a terminal; a closed one is none."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _size() -> tuple[int, int]:
    # Columns and lines. 0: the terminal does not know, as a serial line.
    try:
        return os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 0, 0


def _given() -> int:
    # $COLUMNS, for an output that goes through a pipe; 0: there is none.
    given = os.environ.get("COLUMNS", "")
    if not given.isdecimal() or not int(given):
        return 0
    return max(int(given), NARROWEST)


def _has_color(when: str, terminal: bool) -> bool:
    if when != "auto":
        return when == "always"
    # https://no-color.org: set and not empty.
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return terminal and not plain


def style_for(args: argparse.Namespace) -> Style:
    """
    Return the style for an output: as wide as ``$COLUMNS`` says, or the terminal; else
    80 columns. No format but a table has one.

    :param args: ``output``: file, None for standard output; ``color``: ``auto``,
        ``always`` or ``never``; ``format``, unless there are only tables; and the
        target, for what the screen tells to type
    :raises UsageError: if the terminal is too narrow
    """
    if getattr(args, "format", "table") != "table":
        return PLAIN
    output: Optional[str] = args.output
    terminal = output is None and is_terminal(sys.stdout)
    columns, lines = _size() if terminal else (0, 0)
    columns = _given() or columns
    if 0 < columns < NARROWEST:
        raise UsageError(
            f"the terminal has {columns} columns, but a table needs {NARROWEST}: use a "
            "wider one, --output FILE, or a pipe into less -S"
        )
    width = min(columns, WIDEST) or PLAIN.width
    encoding = PLAIN.encoding
    if output is None:
        encoding = getattr(sys.stdout, "encoding", None) or encoding
    colored = _has_color(args.color, terminal)
    return Style(width, colored, lines or PLAIN.height, encoding, calls(args))
