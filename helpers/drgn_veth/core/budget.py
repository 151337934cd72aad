# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much may be walked
----------------------

A list in damaged memory may be endless, and there may be thousands of such lists: a
limit for each is no limit for all. While a Snapshot is taken, all walks share one
budget of steps. Each device and each task adds to it, so that a large machine has a
large one.
"""

from collections.abc import Iterable, Iterator
import contextlib
from typing import TypeVar

from drgn import Program

from .errors import WalkError

__all__ = ("MAX_LIST_ENTRIES", "Budget", "budget_of", "paid", "shared_budget")

T = TypeVar("T")

#: Of a walk by itself: far above any real list (a node with 100,000 devices is a large
#: one), low enough to end in seconds.
MAX_LIST_ENTRIES = 1 << 20

_KEY = "drgn_veth.budget"
# Of a Snapshot. Sound machines need about three for each device.
_SHARED = 1 << 15


class Budget:
    """
    Steps that may still be taken.

    :param steps: How many at first
    """

    __slots__ = ("_all", "_left")

    def __init__(self, steps: int) -> None:
        self._all = self._left = steps

    def add(self, steps: int) -> None:
        """Allow more steps."""
        self._all += steps
        self._left += steps

    def step(self, steps: int = 1) -> None:
        """
        Take a step, or several.

        :raises WalkError: if none is left
        """
        if self._left <= 0:
            raise WalkError(f"more than {self._all} steps: gave up")
        self._left -= steps


def budget_of(prog: Program) -> Budget:
    """Return the shared budget of a program; outside of a Snapshot, one for a walk."""
    budget = prog.cache.get(_KEY)
    return budget if isinstance(budget, Budget) else Budget(MAX_LIST_ENTRIES)


def paid(prog: Program, entries: Iterable[T]) -> Iterator[T]:
    """
    Yield the entries of a walk. Each is a step.

    :raises WalkError: if no step is left
    """
    step = budget_of(prog).step
    for entry in entries:
        step()
        yield entry


@contextlib.contextmanager
def shared_budget(prog: Program) -> Iterator[None]:
    """Let all walks share one budget."""
    prog.cache[_KEY] = Budget(_SHARED)
    try:
        yield
    finally:
        prog.cache.pop(_KEY, None)
