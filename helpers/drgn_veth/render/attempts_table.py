# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers to XDP attaches, as tables
----------------------------------

The screens of ``xdp_attach.py``, at most 120 columns wide.
"""

from collections.abc import Iterable, Sequence
import os
import textwrap
from typing import Optional

import tabulate

from ..analysis.attach.question import Answer, errno_name
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Task
from . import words
from .attempts import Attempt
from .escape import for_terminal

__all__ = ("all_devices", "blocked", "one_device")

_WIDTH = 120
_MODE_WIDTH = 10
_ANSWER_WIDTH = 38
_WHY_WIDTH = _WIDTH - _MODE_WIDTH - _ANSWER_WIDTH - 4


def blocked(blocked_by: Maybe[Optional[Task]]) -> list[str]:
    """Return a line that says which task an attach would wait for, if any."""
    if blocked_by is None:
        return []
    if isinstance(blocked_by, Unreadable):
        why = for_terminal(blocked_by.reason)
        return [f"cannot tell whether the attach would block: rtnl_mutex: {why}"]
    task = f"{words.cell(blocked_by.comm)} (pid {words.cell(blocked_by.pid)})"
    line = f"the attach would block: {task} holds rtnl_mutex; after that:"
    return [textwrap.fill(line, _WIDTH) + "\n"]


def _outcome(answer: Answer) -> str:
    errno = answer.errno
    if isinstance(errno, Unreadable):
        return words.UNKNOWN
    if errno is None:
        if answer.either:
            return " or ".join(_outcome(one) for one in answer.either)
        return "up to the driver"
    return errno_name(errno) if errno else "ok"


def _outcome_lines(answer: Answer, by_netlink: bool) -> list[str]:
    # What user space sees.
    lines = [_outcome(answer)]
    errno = answer.errno
    if isinstance(errno, int) and errno:
        lines[0] += f": {os.strerror(errno)}"
    if answer.message is not None:
        # The kernel does not return it over a link.
        text = f'"{answer.message}"'
        if any(one.message is None for one in answer.either):
            text += " or no message"
        lines.append(text if by_netlink else f"(not returned: {text})")
    return lines


def _why(answer: Answer) -> list[str]:
    where = f"{answer.function}(): " if answer.function else ""
    lines = [f"{where}{for_terminal(answer.because)}"]
    if answer.errno is None:
        # Otherwise they differ only in the message.
        for one in answer.either:
            lines.append(f"{_outcome(one)} if {_why(one)[0]}")
    if answer.fix_effect is not None:
        lines.append(f"this {for_terminal(answer.fix_effect)}:")
    lines.extend(f"  {for_terminal(command)}" for command in answer.fix)
    if answer.then is not None:
        first, *others = _why(answer.then)
        lines += [f"then {_outcome(answer.then)}: {first}", *others]
    return lines


def _wrapped(lines: Iterable[str], width: int) -> str:
    wrapped: list[str] = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        wrapped.extend(
            textwrap.wrap(
                line,
                width,
                subsequent_indent=indent + "  " if indent else "",
                break_on_hyphens=False,
            )  # fmt: skip
        )
    return "\n".join(wrapped)


def _by_way(attempts: Sequence[Attempt]) -> list[tuple[str, Sequence[Attempt]]]:
    # The attempts of a mode, grouped by answer.
    groups: dict[Answer, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.answer, []).append(attempt)
    rows: list[tuple[str, Sequence[Attempt]]] = []
    for same in groups.values():
        label = same[0].mode
        if len(same) != len(attempts):
            ways = {attempt.via for attempt in same}
            label += "\n" + ",\n".join(
                sorted(f"by {via}" for via in ways)
                if len(ways) < len({attempt.via for attempt in attempts})
                else sorted("frags" if a.frags else "plain" for a in same)
            )
        rows.append((label, same))
    return rows


def one_device(attempts: Sequence[Attempt]) -> str:
    """Return the answers for one device: what happens, why, what to do."""
    device = attempts[0].device
    rx, tx = device.queues
    who = f"{words.reference(device.ref)}, {words.cell(device.kind, 'no kind')}"
    queues = f"queues rx {words.queue_count(rx)} tx {words.queue_count(tx)}"
    lines = [f"{who}: mtu {words.cell(device.mtu)}, {queues}"]
    if device.peer is not None:
        lines.append(f"peer {words.reference(device.peer)}")
    attached = words.xdp(device)
    if attached:
        lines.append(f"attached: {', '.join(attached)}")
    by_mode: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_mode.setdefault(attempt.mode, []).append(attempt)
    rows = []
    for of_mode in by_mode.values():
        for label, same in _by_way(of_mode):
            answer = same[0].answer
            by_netlink = any(attempt.via == "netlink" for attempt in same)
            told = _wrapped(_outcome_lines(answer, by_netlink), _ANSWER_WIDTH)
            rows.append([label, told, _wrapped(_why(answer), _WHY_WIDTH)])
    table = tabulate.tabulate(
        rows,
        headers=["mode", "answer", "why, and what would change it"],
        tablefmt="simple",
        disable_numparse=True,
    )
    head = "\n".join(line for text in lines for line in textwrap.wrap(text, _WIDTH))
    return f"{head}\n\n{table}\n"


def all_devices(attempts: Sequence[Attempt]) -> str:
    """Return the answers for many devices: one line per device, one column per mode."""
    modes = list(dict.fromkeys(attempt.mode for attempt in attempts))
    rows: dict[int, list[str]] = {}
    cells: dict[tuple[int, str], list[str]] = {}
    devices: dict[int, Device] = {}
    for attempt in attempts:
        address = attempt.device.net_device
        devices[address] = attempt.device
        told = cells.setdefault((address, attempt.mode), [])
        outcome = _outcome(attempt.answer)
        if outcome not in told:
            told.append(outcome)
    for address, device in devices.items():
        rows[address] = [
            _wrapped([words.netns(device.ref)], 20),
            _wrapped([f"{words.cell(device.ifindex)}: {words.cell(device.name)}"], 24),
            _wrapped([words.cell(device.kind, "-")], 10),
            *("\n".join(cells[address, mode]) for mode in modes),
        ]
    return (
        tabulate.tabulate(
            list(rows.values()),
            headers=["netns", "ifindex: name", "kind", *modes],
            tablefmt="simple",
            disable_numparse=True,
        )
        + "\n"
    )
