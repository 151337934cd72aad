# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own answers, recorded."""

from tests.support.answers import compare_answers
from tests.support.recorded import Recorded


def test_recorded_answers(recorded: Recorded) -> None:
    compared = compare_answers(recorded.snapshot, recorded.answers)
    assert compared.differences == []
    assert sum(compared.compared.values()) > 1000
