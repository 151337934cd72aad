# SPDX-License-Identifier: LGPL-2.1-or-later
"""All walks of a Snapshot have one budget."""

import itertools

from drgn import Program
from drgn_veth.core import budget
from drgn_veth.core.budget import budget_of, paid, shared_budget
from drgn_veth.core.errors import WalkError
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.recorded import recorded_core


def steps(prog: Program) -> int:
    """Return how many steps an endless walk takes."""
    walk = paid(prog, itertools.count())
    taken = 0
    with pytest.raises(WalkError, match="steps: gave up"):
        for _ in walk:
            taken += 1
    return taken


def test_walks_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_LIST_ENTRIES", 3)
    monkeypatch.setattr(budget, "_SHARED", 5)
    prog = Program()
    assert (steps(prog), steps(prog)) == (3, 3)
    with shared_budget(prog):
        assert (steps(prog), steps(prog)) == (5, 0)
        budget_of(prog).add(2)
        assert (steps(prog), steps(prog)) == (2, 0)
    assert steps(prog) == 3


def test_it_is_said_where_a_report_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    core = recorded_core("7.3-zoo")
    # The first namespace has devices, and they pay for the next.
    monkeypatch.setattr(budget, "_SHARED", 2)
    whole = take_snapshot(core.prog)
    assert not any("gave up" in why for _, why in whole.incomplete)
    monkeypatch.setattr(budget, "_SHARED", 0)
    nothing = take_snapshot(core.prog)
    assert ("namespaces", "more than 0 steps: gave up") in nothing.incomplete
    assert not nothing.namespaces
