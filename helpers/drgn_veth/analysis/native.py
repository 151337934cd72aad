# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What native XDP would meet
--------------------------

The answers to an attach in driver mode, for many devices, and what refuses it where.
Pure functions of a Snapshot.
"""

from collections.abc import Iterable, Mapping, Sequence
import errno
from typing import NamedTuple, Optional

from ..model import Device, Snapshot
from .attach.predictor import Predictor, TooOldError
from .attach.question import DRV, Answer, errno_name

__all__ = ("Refused", "chain", "native_answers", "refused")


class Refused(NamedTuple):
    """Devices that meet one refusal."""

    errno: int
    message: Optional[str]  #: in the extended ACK; None: none
    devices: tuple[Device, ...]


def _rank(number: int) -> int:
    return {errno.EOPNOTSUPP: 1, errno.EBUSY: 2}.get(number, 0)


def native_answers(whole: Snapshot, devices: Iterable[Device]) -> Mapping[int, Answer]:
    """
    Return the answers to an attach in driver mode that replaces nothing, by
    ``net_device``; none for a kernel before v5.9.

    :param whole: All devices: those above and below one decide, too
    """
    try:
        predictor = Predictor(whole)
    except TooOldError:
        return {}
    return {device.net_device: predictor.attach(device, DRV) for device in devices}


def chain(answer: Answer) -> Sequence[Answer]:
    """
    Return an answer, and those that would come after the fix of each; the same refusal
    once.
    """
    found: dict[tuple[object, ...], Answer] = {}
    one: Optional[Answer] = answer
    while one is not None:
        found.setdefault((one.errno, one.message, one.either), one)
        one = one.then
    return list(found.values())


def refused(
    devices: Iterable[Device], answers: Mapping[int, Answer]
) -> Sequence[Refused]:
    """
    Return the refusals and who meets them, by errno, and those of most devices first;
    behind them what no driver does, and what has a native program.
    """
    groups: dict[tuple[int, Optional[str]], list[Device]] = {}
    for device in devices:
        answer = answers.get(device.net_device)
        for one in () if answer is None else chain(answer):
            if isinstance(one.errno, int) and one.errno:
                groups.setdefault((one.errno, one.message), []).append(device)
    found = [Refused(*what, tuple(met)) for what, met in groups.items()]
    return sorted(
        found,
        key=lambda one: (
            *(_rank(one.errno), errno_name(one.errno)),
            *(-len(one.devices), one.message or ""),
        ),
    )
