# SPDX-License-Identifier: LGPL-2.1-or-later
"""How wide a screen is, and whether it has colour."""

from typing import NamedTuple

__all__ = ("NARROWEST", "PLAIN", "WIDEST", "Style")

#: Columns: a terminal that is narrower cannot show a report.
NARROWEST = 60
#: Columns: wider lines are hard to read.
WIDEST = 200

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


class Style(NamedTuple):
    """What a screen is made for."""

    width: int = 80  #: columns
    color: bool = False

    def paint(self, text: str, *names: str) -> str:
        """
        Return a text in colour, unchanged if the screen has none.

        The meaning must be in the text, too: not everyone sees colours.

        :param names: ``bold``, ``dim``, ``red``, ``green``, ``yellow``, ``cyan``
        """
        if not self.color or not text:
            return text
        codes = ";".join(_CODES[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m"


#: What is no terminal: a file, a pipe.
PLAIN = Style()
