# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The legend of a picture
-----------------------

What its signs stand for: only those that are in it.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from .layout import DOT, badge_width, text_width
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

    shape: str  #: device, edge
    kind: str
    meaning: str
    state: Optional[str] = None  #: the sign left of a name
    badge: Optional[str] = None  #: the word on an open device
    dot: Optional[str] = None  #: the letter on a device of a folded box, or ""

    @property
    def width_of_sign(self) -> float:
        """Width of the sign in pixels."""
        if self.shape == "edge":
            return 28.0
        width = 0.0
        if self.state is not None:
            width += 16
        if self.badge is not None:
            width += badge_width(self.badge) + 4
        if self.dot is not None:
            width += DOT + 4
        return width - 4

    @property
    def width(self) -> float:
        """Width of the sign and its meaning in pixels."""
        return self.width_of_sign + 6 + text_width(self.meaning, _SIZE) + _AFTER


def signs(scene: Scene, opened: bool, folded: bool) -> Iterator[Sign]:
    """
    Yield the signs of a picture.

    :param opened: Whether there may be open boxes
    :param folded: Whether there may be folded boxes
    """
    rows = [row for box in scene.boxes for row in box.all()]
    states = {row.state for row in rows}
    kinds = {badge.kind for row in rows for badge in row.badges}
    for state, meaning in _STATES.items():
        if state in states:
            yield Sign(
                *("device", "unknown" if state == "?" else state.lower(), meaning),
                state=state if opened or state == "?" else None,
                dot="" if folded and state != "?" else None,
            )
    for kind, (badge, meaning) in _BADGES.items():
        if kind in kinds:
            yield Sign(
                *("device", kind, meaning if opened else f"{badge}: {meaning}"),
                badge=badge if opened else None,
                dot=_DOTS[kind] if folded else None,
            )
    for kind in sorted({edge.kind for edge in scene.edges}):
        yield Sign("edge", kind, f"{kind} pair")


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
