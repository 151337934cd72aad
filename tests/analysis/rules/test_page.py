# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of the rules, and --explain."""

import errno
import os
import re
import subprocess
import sys
from typing import Any

from drgn_veth.analysis.rules import RULES
from drgn_veth.analysis.rules.finding import severity_word
from drgn_veth.analysis.rules.page import explain, markdown
from drgn_veth.analysis.rules.rule import KINDS
from drgn_veth.core import messages
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
    assert all(len(line) <= 80 for line in explain(rule).splitlines())
    text = explain(rule, 88)
    severity = severity_word(rule.severity)
    assert text.startswith(f"{rule.id} ({severity}): {rule.title}\n")
    assert all(len(line) <= 88 for line in text.splitlines())
    for part in (rule.predicate, rule.sees, rule.fix):
        assert len(part) > 15
    # A function and its file.
    assert re.search(r"\w\(\)", rule.why)
    assert re.search(r"\((net|drivers|kernel|include)/[\w/]+\.[ch]\)|\.c\)", rule.why)
    assert f"\n## {rule.id}\n" in markdown()


KERNEL_MESSAGES = {value for value in vars(messages).values() if isinstance(value, str)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_names_its_symptoms(rule: Any) -> None:
    assert rule.symptoms
    for sign in rule.symptoms:
        assert sign.kind in KINDS and sign.text
        if sign.kind in ("message", "log"):
            assert sign.text in KERNEL_MESSAGES
        if sign.kind == "errno":
            assert getattr(errno, sign.text)
            assert (
                sign.text in rule.sees
                or os.strerror(getattr(errno, sign.text)) in rule.sees
            )


def test_page_begins_with_the_symptoms() -> None:
    page = markdown()
    table, _, rest = page.partition("\n\n`drgn-veth` applies")
    assert rest and "| errno of an attach or a command | `EBUSY`" in table
    for rule in RULES:
        assert f"[{rule.id}](#{rule.id})" in table
        for sign in rule.symptoms:
            assert sign.text in table
