# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Renews the screens of README and of the pages, after what a command prints has changed:
``make screens``.

Of a screen that leaves lines out, those lines are kept that are still like what was
there. Read ``git diff`` afterwards.
"""

import difflib
from pathlib import Path
import sys

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [
    str(REPOSITORY),
    str(REPOSITORY / "helpers"),
    str(REPOSITORY / "vmcores"),
]

from tests.support.pages import (  # noqa: E402
    LEFT_OUT,
    Screen,
    output_of,
    screens_in,
    shows,
)

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
_LIKE = 0.6  # of 1: how much of a line is still what it was


def renewed(page: tuple[str, ...], printed: list[str]) -> list[str]:
    """
    Return what a page should show.

    :param page: What it shows now
    :param printed: What the command prints
    :raises LookupError: if a line of it is not there any more
    """
    if LEFT_OUT not in page:
        return printed
    kept: list[int] = []
    for line in page:
        if line == LEFT_OUT:
            continue
        start = kept[-1] + 1 if kept else 0
        like = [
            difflib.SequenceMatcher(None, line, other).ratio()
            for other in printed[start:]
        ]
        best = max(like, default=0.0)
        if best < _LIKE and line:
            raise LookupError(line)
        kept.append(start + like.index(best))
    shown: list[str] = []
    for before, at in zip([-1, *kept], [*kept, len(printed)]):
        if at > before + 1:
            shown.append(LEFT_OUT)
        shown += printed[at : at + 1]
    return shown


def _as_on_page(screen: Screen, lines: list[str]) -> str:
    text = "\n".join([f"$ {screen.command}", *lines])
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def main() -> int:
    """Renew the pages."""
    failed = False
    for path in PAGES:
        text = path.read_text()
        for screen in screens_in(text):
            printed = output_of(screen.command)
            if shows(screen.lines, printed):
                continue
            try:
                lines = renewed(screen.lines, printed)
            except LookupError as e:
                print(f"{path.name}: {screen.command}: no longer there: {e}")
                failed = True
                continue
            before = _as_on_page(screen, list(screen.lines))
            assert before in text, before
            text = text.replace(before, _as_on_page(screen, lines), 1)
            print(f"{path.name}: {screen.command}")
        path.write_text(text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
