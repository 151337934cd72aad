# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and docs/ show of a command is what it prints."""

from pathlib import Path
import re
import shlex

from drgn_veth.faces.cli import parser_of
from drgn_veth.faces.commands import DEFAULT, FACES
import pytest

from tests.support.pages import Screen, blocks_in, output_of, screens_in, shows
from tests.support.scripts import REPOSITORY

#: Another test has those of this page: vm/test_fleet.py.
ELSEWHERE = ("fleet",)
PAGES = [
    REPOSITORY / "README.md",
    *(p for p in sorted((REPOSITORY / "docs").glob("*.md")) if p.stem not in ELSEWHERE),
]
SCREENS = [(page, one) for page in PAGES for one in screens_in(page.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page, screen",
    SCREENS,
    ids=[f"{page.stem}: {one.command}" for page, one in SCREENS],
)
def test_screen(page: Path, screen: Screen) -> None:
    printed = output_of(screen.command)
    assert shows(screen.lines, printed), "\n".join(printed)


#: The others, which show no output: on dumps and devices that are not here.
OTHERS = sorted(
    {
        line.partition("#")[0].strip()
        for page in [*PAGES, REPOSITORY / "docs" / "fleet.md"]
        for block in blocks_in(page.read_text())
        for line in block.splitlines()
        if line.startswith(("drgn-veth ", "sudo drgn-veth"))
        and not line.startswith("drgn-veth help")
        # What it says, with a colon after the subcommand.
        and not re.match(r"drgn-veth( \w+)?: ", line)
    }
)


@pytest.mark.parametrize("command", OTHERS)
def test_options(command: str) -> None:
    """Each has the options that its subcommand takes."""
    words = shlex.split(re.split(r"[|<>]", command)[0].replace("sudo ", ""))[1:]
    name = words.pop(0) if words and words[0] in FACES else DEFAULT
    parser_of(name).parse_args(words)


def test_there_are_commands() -> None:
    assert len(OTHERS) > 15
