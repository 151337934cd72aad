# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README.md shows is what comes out."""

from pathlib import Path
import re
import sys
from unittest import mock

import pytest

from tests.support.examples import examples_in, known_at_prompt, run_examples
from tests.support.pages import blocks_in, screens_in
from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY

NAME = "6.12-zoo"
README = (REPOSITORY / "README.md").read_text()
CORE = f"build/{NAME}.core"


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NAME).core


def _block(start: str) -> str:
    (block,) = (block for block in blocks_in(README) if block.startswith(start))
    return block


def test_screen() -> None:
    """It shows at once what it began with; test_pages.py runs the commands."""
    shown, answers, *_ = screens_in(README)
    assert shown.command == f"drgn-veth {CORE}"
    said = "\n".join(shown.lines)
    assert re.search(r"veth_yyy0 .* 48/48 .*\n.*veth_xxx0 .* 14/14 .*generic", said)
    assert "No space left on device" in said
    assert answers.command.startswith(f"drgn-veth attach {CORE}")


def test_is_short() -> None:
    assert len(README.splitlines()) < 150


@pytest.mark.slow
def test_prompt(core: Path) -> None:
    block = _block(f"$ drgn -q -c {CORE}\n")
    examples = examples_in(block)
    assert len(examples) > 8
    with mock.patch.object(sys, "path", [str(REPOSITORY / "helpers"), *sys.path]):
        run_examples(examples, known_at_prompt(core), "README.md")


PAGES = ["README.md", "CONTRIBUTING.md"] + [
    str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").glob("*.md")
]


@pytest.mark.parametrize("path", sorted(PAGES))
def test_links(path: str) -> None:
    """Files that are named are there."""
    text = (REPOSITORY / path).read_text()
    folder = (REPOSITORY / path).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (folder / target).exists(), target
    for target in re.findall(
        r"`((?:tests|vmcores|docs|scripts|helpers)/[\w./-]+)`", text
    ):
        assert (REPOSITORY / target).exists(), target
