# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers to XDP attaches to one device
-------------------------------------

In each mode: what happens, why, and what would change it.
"""

import collections
from collections.abc import Iterable, Iterator, Sequence
import os
from typing import Optional

from ..analysis.attach.below import Below
from ..analysis.attach.caller import of_caller
from ..analysis.attach.question import Answer
from ..core.unreadable import Maybe, Unreadable
from ..model import Task
from . import words
from .attempts import Attempt, outcome, painted, same_ways, to_mend
from .commands import command
from .escape import for_terminal
from .style import PLAIN, Style
from .width import wrap

__all__ = ("blocked", "one_device")

_MODE = 9  # columns of a mode
_BESIDE = " " * _MODE
_NO_MODE = " (no mode means"  # what the predictor adds for an attach without a mode


def blocked(blocked_by: Maybe[Optional[Task]], style: Style = PLAIN) -> list[str]:
    """Return a line that says which task an attach would wait for, if any."""
    if blocked_by is None:
        return []
    if isinstance(blocked_by, Unreadable):
        why = for_terminal(blocked_by.reason)
        line = f"cannot tell whether the attach would block: rtnl_mutex: {why}"
    else:
        task = f"{words.cell(blocked_by.comm)} (pid {words.cell(blocked_by.pid)})"
        line = f"the attach would block: {task} holds rtnl_mutex; after that:"
    return ["\n".join(wrap(line, style.width)) + "\n"]


def _message(answer: Answer, by_netlink: bool) -> Optional[str]:
    # What user space sees.
    if answer.message is None:
        return None
    text = f'"{for_terminal(answer.message)}"'
    if any(one.message is None for one in answer.either):
        text += " or no message"
    if by_netlink:
        return text
    # The kernel does not return it over a link.
    return f"no message by a link; the kernel's source says {text}"


def _in_a_row(answer: Answer) -> int:
    return 1 if answer.then is None else 1 + _in_a_row(answer.then)


def _because(answer: Answer) -> str:
    where = f"{answer.function}(): " if answer.function else ""
    return f"{where}{for_terminal(answer.because)}"


def _line(text: str, style: Style) -> list[str]:
    # Beside the mode, not below it.
    return wrap(text, style.width, _BESIDE, _BESIDE)


def _commands(texts: Iterable[str], style: Style) -> Iterator[str]:
    for text in texts:
        yield from command(text, f"{_BESIDE}  $ ", style)


def _why(answer: Answer, style: Style, said: str = "") -> Iterator[str]:
    yield from _line(f"{said}{_because(answer)}", style)
    if answer.errno is None:
        # Otherwise they differ only in the message.
        for one in answer.either:
            yield from _line(f"{outcome(one)} if {_because(one)}", style)
    if answer.fix_effect is not None:
        yield from _line(f"this {for_terminal(answer.fix_effect)}:", style)
    yield from _commands(answer.fix, style)
    if answer.then is not None:
        yield from _why(answer.then, style, f"then {outcome(answer.then)}: ")


def _way_out(commands: Sequence[str], style: Style) -> Iterator[str]:
    colon = ":" if commands else ""
    yield from _line(f"generic mode would be accepted: xdpgeneric{colon}", style)
    yield from _commands(commands, style)


def _below(below: Sequence[Below], style: Style) -> Iterator[str]:
    # What would be answered there: of many, how many there are of each.
    if len(below) == 1:
        ((device, answer),) = below
        where = words.reference(device.ref)
        yield from _line(f"{where} below it: {outcome(answer)}", style)
        if answer.errno != 0:
            first, rest = f"{_BESIDE}  ", f"{_BESIDE}      "
            yield from wrap(_because(answer), style.width, first, rest)
        return
    found = collections.Counter(outcome(one.answer) for one in below)
    counts = ", ".join(f"{number} {word}" for word, number in found.items())
    yield from _line(f"the {len(below)} devices below it: {counts}", style)


def _caller(attempts: Sequence[Attempt], style: Style) -> Iterator[str]:
    vias = sorted({a.via for a in attempts if a.answer.errno == 0 and a.op != "detach"})
    if not vias:
        return
    mistakes = []
    for one in of_caller(vias):
        ways = "" if set(one.vias) >= set(vias) else f"by {' and '.join(one.vias)}, "
        mistakes.append(f"{one.errno} ({ways}{one.mistake})")
    yield ""
    text = f"ok is about the device. The caller can still get {', '.join(mistakes)}"
    yield from wrap(text, style.width)


def _is_native_refusal(mode: str, answer: Answer) -> bool:
    refused = isinstance(answer.errno, int) and answer.errno != 0
    return refused and mode in ("default", "driver")


def _answer(
    mode: str,
    same: Sequence[Attempt],
    of: Sequence[Attempt],
    way_out: Optional[Sequence[str]],
    style: Style,
) -> Iterator[str]:
    answer = same[0].answer
    word = outcome(answer)
    text = word
    if isinstance(answer.errno, int) and answer.errno:
        text += f": {os.strerror(answer.errno)}"
    ways = same_ways([(a.via, a.frags) for a in same], [(a.via, a.frags) for a in of])
    if ways:
        text += f" ({ways})"
    head = wrap(text, style.width, mode.ljust(_MODE), _BESIDE)
    mode_word = style.paint(mode, "bold")
    rest = head[0][len(mode) :]
    blank = rest[: len(rest) - len(rest.lstrip())]
    yield f"{mode_word}{blank}{painted(rest.lstrip(), word, style)}"
    yield from head[1:]
    message = _message(answer, any(attempt.via == "netlink" for attempt in same))
    if message is not None:
        yield from _line(message, style)
    for text in to_mend(_in_a_row(answer)):
        yield from _line(text, style)
    yield from _why(answer, style)
    if way_out is not None and _is_native_refusal(mode, answer):
        yield from _way_out(way_out, style)
    if same[0].below and answer.errno != 0:
        yield from _below(same[0].below, style)


def _without_default(answer: Answer) -> Answer:
    return answer._replace(because=answer.because.partition(_NO_MODE)[0])


def _told(attempts: Sequence[Attempt]) -> list[tuple[str, bool, str, Answer]]:
    return [(a.via, a.frags, a.op, _without_default(a.answer)) for a in attempts]


def one_device(
    attempts: Sequence[Attempt],
    style: Style = PLAIN,
    way_out: Optional[Sequence[str]] = None,
    caller: bool = False,
) -> str:
    """
    Return the answers for one device: what happens, why, what to do.

    :param way_out: If generic mode would be accepted: the command, or none
    :param caller: Whether to say what the caller can still get wrong
    """
    device = attempts[0].device
    rx, tx = device.queues
    who = f"{words.reference(device.ref)}, {words.cell(device.kind, 'no kind')}"
    queues = f"queues rx {words.queue_count(rx)} tx {words.queue_count(tx)}"
    head = [f"{who}: mtu {words.cell(device.mtu)}, {queues}"]
    if device.peer is not None:
        head.append(f"peer {words.reference(device.peer)}")
    attached = words.xdp(device)
    if attached:
        head.append(f"attached: {', '.join(attached)}")
    lines = [line for text in head for line in wrap(text, style.width, rest="  ")]
    by_mode: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_mode.setdefault(attempt.mode, []).append(attempt)
    default = by_mode.get("default")
    for mode, of_mode in by_mode.items():
        lines.append("")
        if default and of_mode is not default and _told(default) == _told(of_mode):
            lines.append(style.paint(mode, "bold") + " " * (_MODE - len(mode)))
            lines[-1] += "as without a mode (default)"
            continue
        groups: dict[Answer, list[Attempt]] = {}
        for attempt in of_mode:
            groups.setdefault(attempt.answer, []).append(attempt)
        for same in groups.values():
            lines += _answer(mode, same, of_mode, way_out, style)
    if caller:
        lines += _caller(attempts, style)
    return "\n".join(lines) + "\n"
