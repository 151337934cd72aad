# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of the rules, and --explain."""

import re
import subprocess
import sys
from typing import Any

from drgn_veth.analysis.rules import RULES
from drgn_veth.analysis.rules.page import explain, markdown
import pytest

from tests.support.scripts import REPOSITORY


def test_page_is_made_of_the_rules() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drgn_veth.analysis.rules"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY / "helpers",
    )
    assert done.stdout == markdown()
    assert (REPOSITORY / "docs" / "rules.md").read_text() == markdown()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_tells_all(rule: Any) -> None:
    assert rule.severity in ("error", "warning", "info")
    text = explain(rule)
    assert text.startswith(f"{rule.id} ({rule.severity}): {rule.title}\n")
    assert all(len(line) <= 88 for line in text.splitlines())
    for part in (rule.predicate, rule.sees, rule.fix):
        assert len(part) > 15
    # A function and its file.
    assert re.search(r"\w\(\)", rule.why)
    assert re.search(r"\((net|drivers|kernel|include)/[\w/]+\.[ch]\)|\.c\)", rule.why)
    assert f"\n## {rule.id}\n" in markdown()
