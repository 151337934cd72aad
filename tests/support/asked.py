# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Predictions of other requests against the kernel's own answers
--------------------------------------------------------------

asked.json has what the kernel said in the guest (vmcores/lab/guest/asker.py); each is
predicted from a Snapshot of the dump, and compared: errno and message.
"""

import collections
from collections.abc import Mapping
from typing import Any, NamedTuple

from drgn_veth.analysis.ask import Asker, Question, after, parse
from drgn_veth.analysis.ask.request import Move
from drgn_veth.analysis.attach.question import Answer, errno_name
from drgn_veth.model import Snapshot

__all__ = ("Asked", "compare_asked", "question_of")

#: Requests whose answer is an errno alone.
_NO_MESSAGE = ("bind", "devmap")


class Asked(NamedTuple):
    """How the predictions stood up."""

    compared: "collections.Counter[str]"  # answers, by request
    differences: list[str]
    #: Answers that only a driver that is not modelled could predict, by request.
    untold: "collections.Counter[str]"


class _InARow:
    """The Snapshots after some requests, each made once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._made = {(): Asker(snapshot)}

    def asker(self, device: int, before: tuple[str, ...]) -> Asker:
        if not before:
            return self._made[()]
        made: dict[Any, Asker] = self._made
        key = device, before
        if key not in made:
            first = self.asker(device, before[:-1])
            snapshot = after(first.snapshot, question_of(device, before[-1]))
            made[key] = Asker(snapshot)
        return made[key]


def question_of(device: int, text: str) -> Question:
    """Return a question in words, about a device."""
    peer, what = parse(text)
    return Question(device, what, peer)


def _words(number: Any, message: Any) -> str:
    if isinstance(number, int) and number:
        number = errno_name(number)
    return f"{number} {message!r}"


def _predict(row: _InARow, device: int, said: Mapping[str, Any]) -> Answer:
    question = question_of(device, said["question"])
    if "names" in said:
        assert isinstance(question.what, Move)
        # The report may write a name of its own in another way.
        own = row.asker(device, ()).device(question).name
        assert isinstance(own, str)
        names = (own if name == said["name"] else name for name in said["names"])
        what = question.what._replace(names=tuple(names))
        question = question._replace(what=what)
    return row.asker(device, tuple(said["before"])).ask(question)


def compare_asked(snapshot: Snapshot, document: Mapping[str, Any]) -> Asked:
    """Predict every answer of a document and compare."""
    row = _InARow(snapshot)
    devices = {(d.netns, d.ifindex): d.net_device for d in snapshot.devices}
    compared: collections.Counter[str] = collections.Counter()
    untold: collections.Counter[str] = collections.Counter()
    differences: list[str] = []
    for said in document["answers"]:
        device = devices[said["netns"], said["ifindex"]]
        answer = _predict(row, device, said)
        kind = said["question"].removeprefix("peer ").split()[0]
        if answer.errno is None and not answer.either:
            untold[kind] += 1
            continue
        compared[kind] += 1
        message = None if kind in _NO_MESSAGE else said["message"]
        may_be = answer.either or (answer,)
        if (said["errno"], message) not in {(one.errno, one.message) for one in may_be}:
            differences.append(
                f"{said['netns']}:{said['ifindex']} {said['name']} {said['before']} "
                f"{said['question']!r}: the kernel {_words(said['errno'], message)}, "
                f"we {_words(answer.errno, answer.message)} ({answer.because})"
            )
    return Asked(compared, differences, untold)
