# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions in a row: each is asked of what there is after those that were granted."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ...core.unreadable import Unreadable
from ...model import Device, Snapshot
from ..attach.question import Answer
from ..need import CannotTell
from .asking import Asker
from .enslave import LEAVE
from .granted import after
from .request import Enslave, Question, What, parse

__all__ = ("Step", "in_a_row")


class Step(NamedTuple):
    """A question in a row, and its answer."""

    device: Device  #: as it is then; a question about its peer is about that one
    question: str
    answer: Answer
    #: Whether the questions behind it are asked of what it leaves: it was granted, or
    #: it may have been.
    carried_out: bool


def _unknown(why: str) -> Answer:
    return Answer(Unreadable(why), None, None, why)


def _has_left(what: What, answer: Answer) -> bool:
    # Whether a refused device has left its master.
    if not isinstance(what, Enslave):
        return False
    before = {decision.key for decision in LEAVE}
    return answer.decision is None or answer.decision[0] not in before


def in_a_row(
    snapshot: Snapshot,
    device: Device,
    questions: Sequence[str],
    asker: Optional[Asker] = None,
) -> Iterator[Step]:
    """
    Yield the answers to questions about a device, in their order.

    A refused question changes nothing, with one exception: a port that a new master
    refuses has already left the old one. A question whose answer is not known counts as
    granted.

    :param questions: In words: see :func:`.request.parse()`
    :param asker: One of the same Snapshot, if there is one already
    :raises RequestError: if one is not understood
    :raises TooOldError: if it is a kernel before v5.9
    """
    parsed = [parse(text) for text in questions]
    lost = ""
    if asker is None:
        asker = Asker(snapshot)
    for text, (peer, what) in zip(questions, parsed):
        question = Question(device.net_device, what, peer)
        now = asker.predictor.questions.by_address[device.net_device]
        if lost:
            yield Step(now, text, _unknown(lost), False)
            continue
        answer = asker.ask(question)
        carried_out = answer.errno == 0 or not isinstance(answer.errno, int)
        yield Step(now, text, answer, carried_out)
        if not carried_out and now.off_list is None and _has_left(what, answer):
            # The old master has released the port before the new one refused it.
            question = question._replace(what=Enslave(None))
            carried_out = True
        if carried_out:
            try:
                asker = Asker(after(asker.snapshot, question, asker))
            except CannotTell as e:
                lost = f"it is not known what {text!r} changes: {e}"
