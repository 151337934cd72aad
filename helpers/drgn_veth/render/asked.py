# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions in a row about one device, for people."""

from collections.abc import Iterable, Iterator, Sequence
import os

from ..analysis.ask.in_a_row import Step
from ..analysis.attach.question import Answer
from . import words
from .attempts import outcome, painted
from .commands import command
from .escape import for_terminal
from .style import PLAIN, Style
from .width import wrap

__all__ = ("in_a_row",)

_INDENT = 3  # columns


def _texts(answer: Answer) -> Iterator[str]:
    if answer.message is not None:
        yield f'"{for_terminal(answer.message)}"'
    where = f"{answer.function}(): " if answer.function else ""
    yield f"{where}{for_terminal(answer.because)}"


def _lines(number: int, step: Step, style: Style) -> Iterator[str]:
    word = outcome(step.answer)
    errno = step.answer.errno
    text = word
    if isinstance(errno, int) and errno:
        text = f"{word}: {os.strerror(errno)}"
    question = f"{number}. {for_terminal(step.question)}"
    yield f"{style.paint(question, 'bold')}  {painted(text, word, style)}"
    indent = " " * _INDENT
    for text in _texts(step.answer):
        yield from wrap(text, style.width, indent, f"{indent}  ")
    for fix in step.answer.fix:
        yield from command(fix, f"{indent}$ ", style)
    if step.carried_out and errno != 0:
        yield f"{indent}what follows is asked as if it were granted"


def in_a_row(steps: Iterable[Step], style: Style = PLAIN) -> str:
    """Return the answers to questions in a row about one device."""
    there: Sequence[Step] = tuple(steps)
    device = there[0].device
    rx, tx = device.queues
    who = f"{words.reference(device.ref)}, {words.cell(device.kind, 'no kind')}"
    queues = f"queues rx {words.queue_count(rx)} tx {words.queue_count(tx)}"
    head = f"{who}: mtu {words.cell(device.mtu)}, {queues}"
    lines = wrap(head, style.width, rest="  ")
    for number, step in enumerate(there, 1):
        lines += ["", *_lines(number, step, style)]
    return "\n".join(lines) + "\n"
