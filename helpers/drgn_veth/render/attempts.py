# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers to XDP attaches, as JSON
--------------------------------

The contract of ``xdp_attach.py --format json``.
"""

import json
from typing import Any, Dict, Iterable, NamedTuple, Optional

from ..analysis.attach.question import Answer, errno_name
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Task
from .json import SCHEMA

__all__ = ("Attempt", "render")


class Attempt(NamedTuple):
    """A question, in the words of the JSON contract, and its answer."""

    device: Device
    op: str  # attach, replace, detach, update
    mode: str
    via: str
    frags: bool
    answer: Answer


def _errno(answer: Answer) -> Dict[str, Any]:
    errno = answer.errno
    if isinstance(errno, Unreadable):
        return {"errno": {"unreadable": errno.reason}, "error": None}
    return {"errno": errno, "error": errno_name(errno) if errno else None}


def _answer(answer: Answer) -> Dict[str, Any]:
    record = {
        **_errno(answer),
        "message": answer.message,
        "function": answer.function,
        "because": answer.because,
        "fix": list(answer.fix),
    }
    if answer.either:
        record["either"] = [_answer(one) for one in answer.either]
    if answer.then is not None:
        record["then"] = _answer(answer.then)
    return record


def _value(value: Maybe[Any]) -> Any:
    if isinstance(value, Unreadable):
        return {"unreadable": value.reason}
    return value


def _record(attempt: Attempt) -> Dict[str, Any]:
    device = attempt.device
    record = {
        "netns": _value(device.netns),
        "ifindex": _value(device.ifindex),
        "name": _value(device.name),
        "mode": attempt.mode,
        "via": attempt.via,
        "frags": attempt.frags,
        **_answer(attempt.answer),
    }
    if attempt.op != "attach":
        record["op"] = attempt.op
    return record


def _task(task: Maybe[Optional[Task]]) -> Any:
    if task is None or isinstance(task, Unreadable):
        return _value(task)
    return {"pid": _value(task.pid), "comm": _value(task.comm)}


def render(attempts: Iterable[Attempt], blocked_by: Maybe[Optional[Task]]) -> str:
    """Return the answers as JSON text, one a line, ASCII only."""
    lines = ",\n".join(json.dumps(_record(attempt)) for attempt in attempts)
    attempts_text = f"[\n{lines}\n]" if lines else "[]"
    return (
        f'{{"schema": {json.dumps(SCHEMA)},\n'
        f'"blocked_by": {json.dumps(_task(blocked_by))},\n'
        f'"attempts": {attempts_text}}}\n'
    )
