# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and docs/ show of a command is what it prints."""

from pathlib import Path

import pytest

from tests.support.pages import Screen, output_of, screens_in, shows
from tests.support.scripts import REPOSITORY

#: test_compare_page.py has those of compare.md.
PAGES = [
    REPOSITORY / "README.md",
    *(p for p in sorted((REPOSITORY / "docs").glob("*.md")) if p.stem != "compare"),
]
SCREENS = [(page, one) for page in PAGES for one in screens_in(page.read_text())]


@pytest.mark.parametrize(
    "page, screen",
    SCREENS,
    ids=[f"{page.stem}: {one.command}" for page, one in SCREENS],
)
def test_screen(page: Path, screen: Screen) -> None:
    printed = output_of(screen.command)
    assert shows(screen.lines, printed), "\n".join(printed)
