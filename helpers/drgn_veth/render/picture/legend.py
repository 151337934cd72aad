# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The legend of a picture
-----------------------

What its signs stand for: only those that are in it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from .layout import text_width
from .scene import Scene

__all__ = ("LEGEND_STEP", "Sign", "in_lines", "signs")

LEGEND_STEP = 20
_AFTER = 18
_SIZE = 11

_STATES = {
    "UP": "up",
    "NO-CARRIER": "no carrier",
    "DOWN": "down",
    "?": "unreadable",
}
_BADGES = {
    "xdp": ("XDP", "program attached"),
    "rps": ("RPS", "steers received packets"),
    "error": ("error", "broken now"),
    "warning": ("warning", "hurts traffic"),
    "gone": ("on no list", "the kernel cannot find it by name"),
}
_DOTS = {"xdp": "X", "rps": "R", "error": "E", "warning": "W", "gone": "?"}


class Sign(NamedTuple):
    """A sign, and what it stands for."""

    shape: str  #: state, badge, dot, edge
    kind: str
    sign: str  #: its own text
    meaning: str

    @property
    def sign_width(self) -> float:
        """Width of the sign in pixels."""
        if self.shape == "badge":
            return text_width(self.sign, 10) + 10
        return 28.0 if self.shape == "edge" else 12.0

    @property
    def width(self) -> float:
        """Width of the sign and its meaning in pixels."""
        return self.sign_width + 6 + text_width(self.meaning, _SIZE) + _AFTER


def signs(scene: Scene, folded: bool) -> Iterator[Sign]:
    """
    Yield the signs of a picture.

    :param folded: Whether there are folded boxes
    """
    rows = [row for box in scene.boxes for row in box.all()]
    states = {row.state for row in rows}
    kinds = {badge.kind for row in rows for badge in row.badges}
    for state, meaning in _STATES.items():
        if state in states:
            if folded and state != "?":
                yield Sign("dot", state.lower(), "", meaning)
            else:
                yield Sign("state", state, "", meaning)
    for kind, (sign, meaning) in _BADGES.items():
        if kind in kinds:
            if folded:
                yield Sign("dot", kind, _DOTS[kind], f"{sign}: {meaning}")
            else:
                yield Sign("badge", kind, sign, meaning)
    for kind in sorted({edge.kind for edge in scene.edges}):
        yield Sign("edge", kind, "", f"{kind} pair")


def in_lines(all_signs: Iterator[Sign], width: float) -> list[list[Sign]]:
    """Return signs in lines that are no wider than that, if one sign is not."""
    lines: list[list[Sign]] = [[]]
    used = 0.0
    for sign in all_signs:
        if lines[-1] and used + sign.width - _AFTER > width:
            lines.append([])
            used = 0.0
        lines[-1].append(sign)
        used += sign.width
    return lines if lines[0] else []
