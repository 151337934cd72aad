# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples in docs/ and in docstrings print what they say."""

import doctest
import importlib
from pathlib import Path
import pkgutil

import drgn_veth
import pytest

from tests.support.examples import examples_in, known_at_prompt, run_examples
from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY

#: As docs/prompt.md says.
NAME = "6.12-zoo"
PAGES = sorted(
    path for path in (REPOSITORY / "docs").glob("*.md") if ">>> " in path.read_text()
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(drgn_veth.__path__, "drgn_veth.")
    if not module.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NAME).core


def _fenced(text: str) -> str:
    # The code between fences, with as many lines as the page.
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        fence = line.startswith("```")
        kept.append(line if inside and not fence else "")
        inside ^= fence
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page(page: Path, core: Path) -> None:
    examples = examples_in(_fenced(page.read_text()))
    assert len(examples) == page.read_text().count("\n>>> ")
    run_examples(examples, known_at_prompt(core), page.name)


def test_there_are_pages() -> None:
    assert "prompt.md" in [path.name for path in PAGES]


def test_docstrings(core: Path) -> None:
    """Each knows what its module knows, and what a drgn prompt does."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    count = 0
    for name in MODULES:
        module = importlib.import_module(name)
        for test in finder.find(module, name):
            if test.examples:
                known = {**known_at_prompt(core), **vars(module)}
                run_examples(test.examples, known, test.name)
                count += len(test.examples)
    assert count > 5
