# SPDX-License-Identifier: LGPL-2.1-or-later
"""
All checks on the path of an XDP attach
---------------------------------------

In the kernel's order: those of the core, then those of each driver that is known.
"""

from collections.abc import Iterator, Mapping
from typing import Optional

from ...core.messages import DRIVER_MESSAGES, XDP_ATTACH_MESSAGES
from ...core.unreadable import Maybe, Unreadable
from ...model import Kernel
from ..attach import core
from ..attach.drivers import DRIVERS
from ..attach.drivers.bonding import BOND_SLAVE
from ..attach.question import Answer, errno_name
from .check import Check, check_from
from .elsewhere import BEFORE, NO_OFFLOAD, UNPREDICTED

__all__ = ("CHECKS", "check_of", "function_in", "is_made")


def _all() -> Iterator[Check]:
    yield from BEFORE
    for decision in core.NETLINK:
        yield check_from(decision, "the core", "netlink")
    for decision in core.UPDATE:
        yield check_from(decision, "the core", "link")
    for decision in (
        *core.CORE,
        *core.CHECKS,
        *core.NO_OPERATION,
        *core.INSTALL,
        *core.GENERIC,
    ):
        yield check_from(decision, "the core")
    yield NO_OFFLOAD
    for driver in DRIVERS.values():
        for decision in driver.decisions:
            place = f"driver {driver.name}"
            yield check_from(decision, place, ndo_bpf=driver.ndo_bpf)
        if driver.name == "bond":
            for decision in BOND_SLAVE:
                yield check_from(decision, "driver bond, for each slave")
    yield from UNPREDICTED


#: All checks.
CHECKS: tuple[Check, ...] = tuple(_all())

_BY_KEY: Mapping[str, Check] = {check.key: check for check in CHECKS}
_BY_FUNCTION: Mapping[tuple[str, str], Check] = {
    **{(check.function, check.errno): check for check in BEFORE},
    **{(driver.ndo_bpf, NO_OFFLOAD.errno): NO_OFFLOAD for driver in DRIVERS.values()},
}
_SEARCHED = frozenset(message.decode() for message in XDP_ATTACH_MESSAGES)


def check_of(answer: Answer) -> Optional[Check]:
    """Return the check that gave an answer, None if it is no refusal."""
    if not isinstance(answer.errno, int) or not answer.errno:
        return None
    if answer.decision is not None:
        return _BY_KEY[answer.decision[0]]
    return _BY_FUNCTION.get((answer.function or "", errno_name(answer.errno)))


def _in_core(check: Check, said: Maybe[Mapping[str, frozenset[str]]]) -> Maybe[bool]:
    if isinstance(said, Unreadable):
        return said
    early = said.get("dev_xdp_attach")
    if not early:
        return Unreadable("the code of dev_xdp_attach() was not searched for messages")
    return check.message in early | said.get("dev_xdp_install", frozenset())


def _in_driver(check: Check, said: Maybe[Mapping[str, frozenset[str]]]) -> Maybe[bool]:
    if isinstance(said, Unreadable):
        return said
    there = said.get(check.ndo_bpf or "")
    if there is None:
        return Unreadable(f"the code of {check.ndo_bpf}() was not found")
    return check.message in there


def _messages(kernel: Kernel) -> Maybe[Mapping[str, frozenset[str]]]:
    said = kernel.messages
    return said if isinstance(said, Unreadable) else dict(said)


def is_made(check: Check, kernel: Kernel) -> Maybe[bool]:
    """Return whether a kernel makes a check, as its code and its types show."""
    decision = check.decision
    if check.key == "no-frags":
        return not kernel.xdp_frags
    if decision is None:
        return True
    said = _messages(kernel)
    in_types = decision.in_kernel(kernel)
    if check.key == "program-maps":
        # Removed together with a check of upper devices: see variants.py.
        newer = _in_core(_BY_KEY["upper"], said)
        return newer if isinstance(newer, Unreadable) else not newer
    searched = DRIVER_MESSAGES.get(check.ndo_bpf or "", ())
    if (check.message or "").encode() in searched and not decision.may_be_silent:
        return _in_driver(check, said)
    if check.message in _SEARCHED:
        found = _in_core(check, said)
        if not isinstance(found, Unreadable) or in_types is None:
            return found
    return in_types is not False


def function_in(check: Check, kernel: Optional[Kernel]) -> str:
    """Return the function that makes a check: some kernels make it in a later one."""
    said = Unreadable("") if kernel is None else _messages(kernel)
    if (
        check.function == "dev_xdp_attach"
        and not isinstance(said, Unreadable)
        and check.message in said.get("dev_xdp_install", frozenset())
        and check.message not in said.get("dev_xdp_attach", frozenset())
    ):
        return "dev_xdp_install"
    return check.function
