# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request and all that its decisions look at."""

from collections.abc import Sequence
from typing import Any, Optional

from ...model import Device, DeviceRef, Snapshot
from ..attach.ask import Questions
from ..attach.decision import Decision, first
from ..attach.question import Answer, Question
from ..need import need_of
from .request import What

__all__ = ("Asked", "first_said", "granted", "in_words")


class Asked(Question):
    """
    A request about a device.

    It is a question like that for an attach, so that both have the same decisions;
    *what* says what is asked.
    """

    def __init__(
        self, snapshot: Snapshot, questions: Questions, device: Device, what: What
    ) -> None:
        super().__init__(
            questions.kernel, questions.by_address, questions.fixes, device,
            "netlink", 0, None,
        )  # fmt: skip
        self.snapshot = snapshot
        self.questions = questions
        self.what: Any = what

    def asked_of(self, device: Device, what: Optional[What] = None) -> "Asked":
        """Return a request about another device, on behalf of this one."""
        made = Asked(
            self.snapshot, self.questions, device, self.what if what is None else what
        )
        made.above = (*self.above, self.device.net_device)
        return made

    def lower(self) -> Device:
        """
        Return the device that this one lies on.

        :raises CannotTell: if it was not found
        """
        lowers = need_of(self.device, self.device.lowers, "adj_list.lower")
        ref: DeviceRef
        (ref,) = lowers[:1] or (self.device.ref,)
        return self.device_at(ref)

    def peer(self) -> Optional[Device]:
        """
        Return the peer, None if there is none.

        :raises CannotTell: if it could not be read
        """
        ref = need_of(self.device, self.device.peer, "peer")
        return None if ref is None else self.device_at(ref)


def granted(function: str, because: str) -> Answer:
    """Return the answer of a kernel that grants a request."""
    return Answer(0, None, function, because)


def in_words(answer: Answer, name: Optional[str], number: Optional[int]) -> Answer:
    """Return an answer with the values that its message names."""
    if answer.message is None:
        return answer
    said = answer.message
    if said.startswith("%s"):  # NL_SET_ERR_MSG_FMT()
        said = said[2:-2]
    said = said.replace("%s", name or "").replace("%d", str(number))
    return answer._replace(
        message=said, either=tuple(in_words(one, name, number) for one in answer.either)
    )


def first_said(
    q: Asked, decisions: Sequence[Decision], said: Optional[frozenset[str]]
) -> Optional[Answer]:
    """
    Return the answer of the first decision that refuses, None if none does; with all
    that it may be, if it is not known whether this kernel has a message for it.

    :param said: Messages that the function's code refers to; None: unknown
    :raises CannotTell: if a value is missing before one does
    """
    refused = first(q, decisions)
    if refused is None or refused.message is None:
        return refused
    silent = refused._replace(message=None)
    if said is None:
        why = f"{refused.because}; whether there is a message depends on the kernel"
        return refused._replace(because=why, either=(refused, silent))
    return refused if refused.message in said else silent
