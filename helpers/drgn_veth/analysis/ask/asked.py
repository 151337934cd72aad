# SPDX-License-Identifier: LGPL-2.1-or-later
"""A request and all that its decisions look at."""

from collections.abc import Iterable
from typing import Any, Optional

from ...model import Device, DeviceRef, Snapshot
from ..attach.ask import Questions
from ..attach.question import Answer, Question
from ..need import need_of
from .request import What

__all__ = ("Asked", "granted", "in_words", "one_of")


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
        made = self.with_device(device)
        if what is not None:
            made.what = what
        made.above = (*self.above, self.device.net_device)
        return made

    def with_device(self, device: Device) -> "Asked":
        """Return the same request, with another record of the device."""
        made = Asked(self.snapshot, self.questions, device, self.what)
        made.above = self.above
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
    said = answer.message.replace("%s", name or "").replace("%d", str(number))
    return answer._replace(message=said)


def one_of(answers: Iterable[Optional[Answer]], accepted: Answer) -> Answer:
    """
    Return an answer of a kernel that may give one of several.

    :param answers: None: it does not refuse
    :param accepted: What it answers then
    """
    either = tuple(dict.fromkeys(one or accepted for one in answers))
    if len(either) == 1:
        return either[0]
    why = "this depends on the kernel's code, which is not read"
    if len({one.errno for one in either}) == 1:
        because = f"{either[0].because}; which message there is: {why}"
        return either[0]._replace(because=because, either=either)
    return Answer(None, None, None, why, (), either)
