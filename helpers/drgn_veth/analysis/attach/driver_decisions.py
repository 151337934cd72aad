# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a driver decides on an XDP attach, and which of its decisions a kernel makes."""

from collections.abc import Sequence
import itertools
from typing import (
    Callable,
    NamedTuple,
    Optional,
)

from .decision import Decision
from .question import Answer, Question

__all__ = ("Decide", "DriverDecisions", "lists_of")

#: Asks the driver of a device.
Decide = Callable[[Question], Answer]


class DriverDecisions(NamedTuple):
    """What a driver decides."""

    name: str  #: of the driver, as the kernel has it
    ndo_bpf: str  #: its name in the source
    function: str  #: that sets a program
    decisions: tuple[Decision, ...] = ()
    #: The answer if no decision refuses; None: it accepts any program. The second
    #: argument asks the driver of another device.
    accepts: Optional[Callable[[Question, Decide], Answer]] = None


def _as_said(
    decision: Decision, said: Optional[frozenset[str]]
) -> Sequence[Optional[Decision]]:
    # With its message, without it, or perhaps either; None: a kernel does not make it.
    if decision.only_if_said:
        if said is None:
            return decision, None
        return (decision if decision.message in said else None,)
    if not decision.may_be_silent:
        return (decision,)
    silent = decision._replace(message=None)
    if said is None:
        return decision, silent
    return (decision,) if decision.message in said else (silent,)


def _one_of(
    group: Sequence[Decision], said: Optional[frozenset[str]]
) -> Sequence[Decision]:
    there = [one for one in group if said is not None and one.message in said]
    # If the code has none of them, it was not read completely.
    return there or group


def lists_of(
    decisions: Sequence[Decision], said: Optional[frozenset[str]]
) -> list[tuple[Decision, ...]]:
    """
    Return the lists of decisions that this kernel's driver may have: one, if its code
    was read.

    :param said: Messages that the driver's code refers to, None if that is not known
    """
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.one_of is not None:
            groups.setdefault(decision.one_of, []).append(decision)
    lists: list[tuple[Decision, ...]] = []
    for chosen in itertools.product(*(_one_of(g, said) for g in groups.values())):
        there = [d for d in decisions if d.one_of is None or d in chosen]
        for made in itertools.product(*(_as_said(d, said) for d in there)):
            lists.append(tuple(one for one in made if one is not None))
    return lists
