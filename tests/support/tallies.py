# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Comparisons that are told at the end of a run
---------------------------------------------

Where tests run in several processes, each hands over its own. These are pytest's hooks,
for tests/conftest.py.
"""

from collections.abc import Mapping
import pickle
from typing import Any

import pytest
from tabulate import tabulate

from tests.support.answers import Answers
from tests.support.booted import Tally

__all__ = ("TALLIES", "each_kernel", "pytest_sessionfinish", "pytest_testnodedown")

TALLIES = pytest.StashKey[Tally]()
_NAME = "drgn_veth_tallies"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what a process of pytest-xdist has compared."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_NAME] = pickle.dumps(session.config.stash.get(TALLIES, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take it; a process that died has none."""
    packed = getattr(node, "workeroutput", {}).get(_NAME)
    if packed is not None:
        tallies = {**node.config.stash.get(TALLIES, {}), **pickle.loads(packed)}
        node.config.stash[TALLIES] = dict(sorted(tallies.items()))


def each_kernel(values: Tally, answers: Mapping[str, Answers]) -> str:
    """Return a table: what was compared of each kernel, and how often it differed."""
    columns = ("values", "differences", "answers", "different answers")
    rows: dict[str, dict[str, int]] = {}
    for place, tally in ((0, values), (2, answers)):
        for name, one in tally.items():
            row = rows.setdefault(name.split()[0], dict.fromkeys(columns, 0))
            row[columns[place]] += sum(one.compared.values())
            row[columns[place + 1]] += len(one.differences)
    table = [[kernel, *row.values()] for kernel, row in rows.items()]
    return tabulate(table, headers=["kernel", *columns], intfmt=",")
