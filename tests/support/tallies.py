# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Comparisons that are told at the end of a run
---------------------------------------------

Where tests run in several processes, each hands over its own. These are pytest's hooks,
for tests/conftest.py.
"""

import pickle
from typing import Any

import pytest

from tests.support.booted import Tally

__all__ = ("TALLIES", "pytest_sessionfinish", "pytest_testnodedown")

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
