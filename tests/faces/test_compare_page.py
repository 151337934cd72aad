# SPDX-License-Identifier: LGPL-2.1-or-later
"""The screens of docs/compare.md are what comes out."""

import re
import shlex

import pytest

from tests.support.scripts import REPOSITORY
from tests.support.warm import run_warm

PAGE = (REPOSITORY / "docs" / "compare.md").read_text()
SCREENS = re.findall(r"^ {4}\$ python3 (scripts/.*)\n((?:(?: {4}.*)?\n)+)", PAGE, re.M)


def test_there_are_screens() -> None:
    assert len(SCREENS) == PAGE.count("    $ ") > 0


@pytest.mark.slow
@pytest.mark.parametrize("command, screen", SCREENS)
def test_screen(command: str, screen: str) -> None:
    script, *argv = shlex.split(command)
    done = run_warm(REPOSITORY / script, *argv, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.sub(r"^ {4}", "", screen, flags=re.M).rstrip("\n") + "\n"
    assert done.stdout == shown
