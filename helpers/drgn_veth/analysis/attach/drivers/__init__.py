# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What drivers answer to an XDP attach
------------------------------------

The decisions of ``ndo_bpf`` (``XDP_SETUP_PROG``) of each known driver, one driver per
file: its ``DRIVER`` describes it completely. For all other drivers, the answer is that
the driver has the final say.
"""

from typing import Optional

from ....core.unreadable import Unreadable
from ... import modules
from ..decision import Decision, first
from ..driver_decisions import DriverDecisions, lists_of
from ..question import HW, Answer, Question, refusal

__all__ = ("DRIVERS", "decide_in_driver")

#: By name of the driver.
DRIVERS: dict[str, DriverDecisions] = {
    driver.name: driver for driver in modules.each(__name__, __path__, "DRIVER")
}


_Lists = list[tuple[Decision, ...]]
# By driver, with what they were made of.
_LISTS: dict[str, tuple[DriverDecisions, Optional[frozenset[str]], _Lists]] = {}


def _lists_of(driver: DriverDecisions, said: Optional[frozenset[str]]) -> _Lists:
    # All devices of a driver have the same ones.
    known = _LISTS.get(driver.name)
    if known is None or known[0] is not driver or known[1] is not said:
        known = driver, said, lists_of(driver.decisions, said)
        _LISTS[driver.name] = known
    return known[2]


def decide_in_driver(q: Question) -> Answer:
    """
    Return the driver's answer, in driver or offload mode.

    :raises CannotTell: if a value is missing
    """
    name = q.driver_name
    driver = None if name is None else DRIVERS.get(name)
    if driver is None:
        who = "the driver (name unknown)" if name is None else f"driver {name}"
        return Answer(
            None, None, None, f"passes the core checks; {who} has the final say"
        )
    if q.mode == HW:
        why = f"{name} does not support offload (XDP_SETUP_PROG_HW)"
        return refusal("EINVAL", None, driver.ndo_bpf, why)
    said = q.kernel.messages
    in_code = None if isinstance(said, Unreadable) else dict(said).get(driver.ndo_bpf)
    answers: list[Answer] = []
    for decisions in _lists_of(driver, in_code):
        answer = first(q, decisions) or _accepted(q, driver)
        if answer not in answers:
            answers.append(answer)
    if len(answers) == 1:
        return answers[0]
    why = f"this depends on the code of {driver.function}(), which could not be read"
    if len({answer.errno for answer in answers}) == 1:
        because = f"{answers[0].because}; whether there is a message: {why}"
        return answers[0]._replace(because=because, either=tuple(answers))
    return Answer(None, None, None, why, (), tuple(answers))


def _accepted(q: Question, driver: DriverDecisions) -> Answer:
    if driver.accepts is None:
        return q.accepted(driver.function, f"{driver.name} accepts any program")
    return driver.accepts(q, decide_in_driver)
