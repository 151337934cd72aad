# SPDX-License-Identifier: LGPL-2.1-or-later
"""A question about an XDP attach, in the terms of the JSON contract, and its answer."""

from collections.abc import Sequence
from typing import NamedTuple

from ..analysis.attach.below import Below
from ..analysis.attach.question import Answer, errno_name
from ..core.unreadable import Unreadable
from ..model import Device
from . import words
from .style import Style

__all__ = ("Attempt", "outcome", "painted", "same_ways", "to_mend")


class Attempt(NamedTuple):
    """A question, in the terms of the JSON contract, and its answer."""

    device: Device
    op: str  # attach, replace, detach, update
    mode: str
    via: str
    frags: bool
    answer: Answer
    #: What the devices below answer to the same, if they see its packets.
    below: tuple[Below, ...] = ()


def outcome(answer: Answer) -> str:
    """Return an answer in a word: ``ok``, ``ENOSPC``, ``?``."""
    errno = answer.errno
    if isinstance(errno, Unreadable):
        return words.UNKNOWN
    if errno is None:
        if answer.either:
            return " or ".join(dict.fromkeys(outcome(one) for one in answer.either))
        return "up to the driver"
    return errno_name(errno) if errno else "ok"


def to_mend(number: int) -> list[str]:
    """Return a line that says how many refusals come in a row, none of only one."""
    if number < 2:
        return []
    what = "both" if number == 2 else f"all {number}"
    return [f"{what} have to be fixed, in this order:"]


def painted(text: str, word: str, style: Style) -> str:
    """Return a text in the colour of an outcome that it shows."""
    if word == "ok":
        return style.paint(text, "green")
    return style.paint(text, "red" if word.startswith("E") else "yellow")


def same_ways(ways: Sequence[tuple[str, bool]], of: Sequence[tuple[str, bool]]) -> str:
    """
    Return what some ways have in common that the others have not: ``by link``,
    ``with fragments``; "" if they are all, or if it takes more words.

    :param ways: via and frags of some
    :param of: Those of all
    """
    if set(ways) == set(of):
        return ""
    vias, frags = {via for via, _ in ways}, {frags for _, frags in ways}
    if set(ways) == {one for one in of if one[0] in vias}:
        return f"by {' and '.join(sorted(vias))}"
    if set(ways) == {one for one in of if one[1] in frags}:
        return "with fragments" if frags == {True} else "without fragments"
    return ", ".join(
        f"by {via} {'with' if frag else 'without'} fragments" for via, frag in ways
    )
