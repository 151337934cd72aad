# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What native XDP would meet
--------------------------

In a cell, and as a list of the refusals with the devices that meet them.
"""

from collections.abc import Sequence
import errno as errno_module
import os
from typing import Optional

from ..analysis.attach.question import Answer, errno_name
from ..analysis.native import Refused, chain
from ..model import Device
from . import words
from .attempts import outcome
from .commands import hint
from .escape import for_terminal
from .style import PLAIN, Style
from .width import KEEP, cut, width, wrap

__all__ = ("answer", "names", "refused", "refusal", "refusal_words")

_SHORT = 6  # letters: ENOSPC


def answer(given: Optional[Answer]) -> str:
    """Return an answer and those after its fixes: ``EEXIST, then ENOSPC``."""
    if given is None:
        return words.UNKNOWN
    first, *others = map(outcome, chain(given))
    # "then" goes with a short name.
    return "".join(
        [first, *(f", then{KEEP if len(o) <= _SHORT else ' '}{o}" for o in others)]
    )


def refusal(errno: int, message: Optional[str]) -> str:
    """Return a refusal as user space sees it, in words, without its name."""
    said = "" if message is None else f': "{for_terminal(message)}"'
    return f"{os.strerror(errno)}{said}"


def refusal_words(name: str, message: Optional[str]) -> str:
    """Return a refusal by the name of its errno: ``ENOSPC: No space ...: "..."``."""
    number = getattr(errno_module, name, None)
    if number is None:
        return name if message is None else f'{name}: "{message}"'
    return f"{name}: {refusal(number, message)}"


def names(found: Sequence[str], columns: int, sign: str = "~") -> str:
    """Return as many names as fit in a line, and how many more there are."""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    line = cut(found[0], columns - width(more), sign)
    for i, name in enumerate(found[1:], 1):
        rest = f" and {len(found) - i - 1} more" if i + 1 < len(found) else ""
        if width(f"{line}, {name}{rest}") > columns:
            return f"{line} and {len(found) - i} more"
        line += f", {name}"
    return line


def _name(device: Device) -> str:
    name = words.cell(device.name)
    host = device.netns_label in ("host", "")
    return name if host else f"{name} ({words.netns(device.ref)})"


def refused(groups: Sequence[Refused], style: Style = PLAIN) -> list[str]:
    """Return the lines of what refuses native XDP, and on which devices."""
    if not groups:
        return []
    indent = 2 + max(len(errno_name(group.errno)) for group in groups) + 2
    lines = [style.paint("native XDP would be refused", "bold")]
    some_more = False
    for group in groups:
        name = errno_name(group.errno)
        said = wrap(
            refusal(group.errno, group.message), style.width, " " * indent, " " * indent
        )
        first = said[0][indent:]
        lines.append(f"  {style.paint(f'{name:<{indent - 2}}', 'red')}{first}")
        lines += said[1:]
        who = [style.shown(_name(device)) for device in group.devices]
        listed = names(who, style.width - indent, style.ellipsis)
        some_more |= listed.endswith(" more")
        lines.append(" " * indent + listed)
    call = f"{style.calls.attach} DEVICE"
    lines += hint("why, and what to do about it", call, style, "  ", "    ")
    if some_more and not style.calls.attach.startswith("%"):  # %xdp has no --failing.
        call = f"{style.calls.attach} --all --failing --mode driver"
        lines += hint("all that are refused now", call, style, "  ", "    ")
    return lines
