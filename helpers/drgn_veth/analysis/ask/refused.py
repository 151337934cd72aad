# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the kernel would refuse a command that is about to be printed."""

from typing import Optional

from ...model import Device, Snapshot
from ..attach.predictor import TooOldError
from ..attach.question import Answer
from .asking import Asker
from .request import Question, parse

__all__ = ("refused",)

# The last one: many fixes are made of one Snapshot.
_LAST: list[tuple[Snapshot, Asker]] = []


def _asker(snapshot: Snapshot) -> Asker:
    if not _LAST or _LAST[0][0] is not snapshot:
        _LAST[:] = [(snapshot, Asker(snapshot))]
    return _LAST[0][1]


def refused(snapshot: Snapshot, device: Device, question: str) -> Optional[Answer]:
    """
    Return how the kernel would refuse a question; None if it would not, or if that
    cannot be told.

    :param question: In words: see :func:`.request.parse()`
    """
    try:
        asker = _asker(snapshot)
        peer, what = parse(question)
        answer = asker.ask(Question(device.net_device, what, peer))
    except (LookupError, TooOldError):
        return None
    return answer if isinstance(answer.errno, int) and answer.errno else None
