# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What drivers answer to an XDP attach
------------------------------------

The decisions of ``ndo_bpf`` (``XDP_SETUP_PROG``) of those drivers whose decisions are
known, a driver a file: its ``DRIVER`` is all that there is to say of it. Of all others
it is said that they decide.
"""

from typing import Dict, List

from ....core.unreadable import Unreadable
from ... import modules
from ..decision import first
from ..driver import DriverDecisions, lists_of
from ..question import HW, Answer, Question, refusal

__all__ = ("DRIVERS", "decide_in_driver")

#: By name of the driver.
DRIVERS: Dict[str, DriverDecisions] = {
    driver.name: driver for driver in modules.each(__name__, __path__, "DRIVER")
}


def decide_in_driver(q: Question) -> Answer:
    """
    Return the driver's answer, in driver or offload mode.

    :raises CannotTell: if a value is missing
    """
    name = q.driver_name
    driver = None if name is None else DRIVERS.get(name)
    if driver is None:
        known = (
            "its driver, which has no name here,"
            if name is None
            else f"the driver {name}"
        )
        return Answer(
            None, None, None, f"as far as the core goes, yes; then {known} decides"
        )
    if q.mode == HW:
        return refusal(
            "EINVAL", None, driver.ndo_bpf, f"{name} knows no command XDP_SETUP_PROG_HW"
        )
    said = q.kernel.messages
    in_code = None if isinstance(said, Unreadable) else dict(said).get(driver.ndo_bpf)
    answers: List[Answer] = []
    for decisions in lists_of(driver.decisions, in_code):
        answer = first(q, decisions) or _accepted(q, driver)
        if answer not in answers:
            answers.append(answer)
    if len(answers) == 1:
        return answers[0]
    why = f"the text of {driver.function}() could not be read, which would tell"
    if len({answer.errno for answer in answers}) == 1:
        because = f"{answers[0].because}; the message, or none: {why}"
        return answers[0]._replace(because=because, either=tuple(answers))
    return Answer(None, None, None, why, (), tuple(answers))


def _accepted(q: Question, driver: DriverDecisions) -> Answer:
    if driver.accepts is None:
        return q.accepted(driver.function, f"{driver.name} takes any")
    return driver.accepts(q, decide_in_driver)
