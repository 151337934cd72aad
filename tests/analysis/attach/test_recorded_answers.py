# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own answers, recorded."""

import pytest

from tests.support.answers import compare_answers
from tests.support.recorded import CORES, recorded_core
from tests.support.slow import slow_but

#: The oldest, the newest, and another machine.
FAST = ("5.10-zoo", "6.12-arm64-zoo", "7.3-zoo")


@pytest.mark.parametrize("name", slow_but(FAST, CORES))
def test_recorded_answers(name: str) -> None:
    recorded = recorded_core(name)
    compared = compare_answers(recorded.snapshot, recorded.answers)
    assert compared.differences == []
    assert sum(compared.compared.values()) > 1000
