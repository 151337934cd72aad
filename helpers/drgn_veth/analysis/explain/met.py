# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which devices meet a check now: pure functions of a Snapshot."""

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import NamedTuple, Optional

from ...core.unreadable import Unreadable
from ...model import Device
from ..attach.alike import Answered, likeness
from ..attach.predictor import MODES, VIAS, Predictor
from ..attach.question import Answer, errno_name
from .check import Check
from .checks import check_of

__all__ = ("Met", "Undecided", "met", "undecided")


class Met(NamedTuple):
    """A check that a device meets, in some modes and ways."""

    device: Device
    check: Check
    because: str  #: with the numbers
    modes: tuple[str, ...]
    vias: tuple[str, ...]
    frags: tuple[bool, ...]  #: of the program
    fix: tuple[str, ...]  #: commands after which it does not meet the check
    fix_effect: Optional[str]
    after: tuple[str, ...] = ()  #: errnos that come before it, and can be fixed
    generic_ok: bool = False  #: whether generic mode would be accepted


_Place = tuple[str, str, bool]


def _refusals(answer: Answer) -> Iterator[tuple[Check, Answer, tuple[str, ...]]]:
    # The refusal, and those that come after its fix.
    before: tuple[str, ...] = ()
    one: Optional[Answer] = answer
    while one is not None:
        check = check_of(one)
        if check is not None:
            yield check, one, before
        if isinstance(one.errno, int):
            before = (*before, errno_name(one.errno))
        one = one.then


def _because(answer: Answer) -> str:
    # The predictor adds what no mode means; the list of modes says that here.
    return answer.because.partition(" (no mode means")[0]


def _ask(predictor: Predictor, device: Device) -> list[Answered]:
    return [
        Answered(*one)
        for one in predictor.answers(device, "attach", MODES, VIAS, (False, True))
    ]


# Refusals that no command changes, so that nothing comes after them.
_FINAL = ("no-offload", "no-operation")


def _is_plain(answers: Iterable[Answered]) -> bool:
    # Whether nothing else stands behind a refusal, whatever the namespace.
    for one in answers:
        check = check_of(one.answer)
        if one.answer.errno != 0 and (check is None or check.key not in _FINAL):
            return False
    return True


def _of_device(
    answers: Iterable[Answered], device: Device, checks: Collection[str]
) -> Iterator[Met]:
    groups: dict[tuple[str, str, tuple[str, ...]], list[tuple[_Place, Answer]]] = {}
    check_by_key: dict[str, Check] = {}
    generic = False
    for _, mode, via, frags, answer in answers:
        if mode == "generic" and answer.errno == 0:
            generic = True
        for check, one, before in _refusals(answer):
            if check.key in checks:
                check_by_key[check.key] = check
                group = groups.setdefault((check.key, _because(one), before), [])
                group.append(((mode, via, frags), one))
    for (key, because, before), found in groups.items():
        places = [place for place, _ in found]
        yield Met(
            device,
            check_by_key[key],
            because,
            tuple(dict.fromkeys(mode for mode, _, _ in places)),
            tuple(dict.fromkeys(via for _, via, _ in places)),
            tuple(dict.fromkeys(frags for _, _, frags in places)),
            found[0][1].fix,
            found[0][1].fix_effect,
            before,
            generic,
        )


def met(
    predictor: Predictor, devices: Iterable[Device], checks: Iterable[Check]
) -> list[Met]:
    """
    Return which devices would meet checks on an attach of a new program:
    in each mode, by netlink and by a link, with and without fragments.

    :param checks: The checks to look for
    """
    keys = {check.key for check in checks}
    by_address = predictor.questions.by_address
    # Devices that are like one that meets nothing need not be asked.
    free: set[Hashable] = set()
    found: list[Met] = []
    for device in devices:
        key = likeness(device, by_address)
        if key is not None and key in free:
            continue
        answers = _ask(predictor, device)
        of_device = list(_of_device(answers, device, keys))
        found += of_device
        if not of_device and key is not None and _is_plain(answers):
            free.add(key)
    return found


class Undecided(NamedTuple):
    """Devices whose answer is not certain."""

    drivers: dict[str, int]  #: drivers that are not known, and how many devices
    unread: int  #: devices of which a value could not be read, or the kernel's code


def undecided(predictor: Predictor, devices: Iterable[Device]) -> Undecided:
    """Return which devices might meet any check: in driver mode, by netlink."""
    drivers: dict[str, int] = {}
    unread = 0
    by_address = predictor.questions.by_address
    accepted: set[Hashable] = set()
    for device in devices:
        key = likeness(device, by_address)
        if key is not None and key in accepted:
            continue
        answer = predictor.attach(device, "driver")
        if answer.errno == 0 and key is not None:
            accepted.add(key)
        while answer.then is not None:
            answer = answer.then
        if isinstance(answer.errno, Unreadable) or answer.either:
            unread += 1
        elif answer.errno is None:
            name = device.driver.name
            word = name if isinstance(name, str) else "?"
            drivers[word] = drivers.get(word, 0) + 1
    return Undecided(drivers, unread)
