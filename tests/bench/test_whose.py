# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bench of namespaces measures the steps that a Snapshot takes."""

import sys

import pytest

from tests.bench.whose import _measure
from tests.support.recorded import smallest_core


@pytest.mark.slow
def test_all_parts_are_measured() -> None:
    core = smallest_core().core
    command = [sys.executable, "-m", "drgn", "-q", "--no-default-symbols"]
    count, spent = _measure([*command, "-c", str(core)])
    namespaces, devices, *_ = count
    assert namespaces >= 1 and devices > namespaces
    assert {"walk", "records", "whose", "net_tasks", "add_holders"} <= spent.keys()
    assert sum(spent.values()) > 0
