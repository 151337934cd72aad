# SPDX-License-Identifier: LGPL-2.1-or-later
"""How large a screen is, whether it has colour, and which letters it can show."""

from typing import NamedTuple

from .escape import escaped
from .width import KEEP

__all__ = ("NARROWEST", "PLAIN", "SCRIPTS", "WIDEST", "Calls", "Style")

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


_CORNER = "\N{BOX DRAWINGS LIGHT UP AND RIGHT}\N{BOX DRAWINGS LIGHT HORIZONTAL}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


class Calls(NamedTuple):
    """What the user types to learn more, by the name of the subcommand."""

    report: str
    attach: str
    netns: str
    explain: str


#: In a checkout.
SCRIPTS = Calls(
    "veth_report.py", "xdp_attach.py", "netns_report.py", "veth_report.py --explain"
)


class Style(NamedTuple):
    """What a screen is made for."""

    width: int = 80  #: columns
    color: bool = False
    height: int = 50  #: lines
    encoding: str = "utf-8"
    calls: Calls = SCRIPTS

    @property
    def corner(self) -> str:
        """What leads from the first end of a pair down to the second."""
        return _CORNER if self.can_show(_CORNER) else "+-"

    @property
    def ellipsis(self) -> str:
        """The sign for something that is cut."""
        return _ELLIPSIS if self.can_show(_ELLIPSIS) else "~"

    def can_show(self, text: str) -> bool:
        """Return whether the encoding of the output has these letters."""
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def shown(self, text: str) -> str:
        """Return a text with escapes for the letters that the output does not have."""
        if text.isascii() or self.can_show(text):
            return text
        return "".join(c if c == KEEP or self.can_show(c) else escaped(c) for c in text)

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
