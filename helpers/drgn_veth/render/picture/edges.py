# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Edges
-----

A pair within a box is a curve at the side of its devices. Any other is a curve from box
to box, which passes behind the boxes between, and a straight line to each device. The
page's script has the same function, for boxes that were folded.
"""

from typing import NamedTuple

from .columns import Place

__all__ = ("Route", "route")

_BESIDE = 8.0  # at least that far to the right is beside, not above
_WIDEST = 30.0
_CLOSE = 40.0  # from a device to the side of its box: none is in the way


class Route(NamedTuple):
    """
    The path of an edge, in the terms of SVG.

    What is on a box is not drawn if that is folded, until the edge is asked for.
    """

    outside: str  #: behind the boxes
    inside: str  #: on the boxes, behind the devices


def _is_beside(a: Place, b: Place) -> bool:
    return b.x - (a.x + a.width) >= _BESIDE


def _curve(a: Place, ya: float, b: Place, yb: float) -> str:
    # a is not to the right of b.
    start, end = a.x + a.width, b.x
    if _is_beside(a, b):
        middle = (start + end) / 2
        return f"M{start:g} {ya:g}C{middle:g} {ya:g} {middle:g} {yb:g} {end:g} {yb:g}"
    end = b.x + b.width
    out = max(start, end) + min(_WIDEST, 12 + abs(yb - ya) / 16)
    return f"M{start:g} {ya:g}C{out:g} {ya:g} {out:g} {yb:g} {end:g} {yb:g}"


def _stub(one: Place, box: Place, left: bool) -> tuple[str, float]:
    # From a device to the side of its box, and the height where it gets there. It
    # passes between the devices that are in the way.
    y = one.y + one.height / 2
    start, end = one.x, box.x
    if not left:
        start, end = one.x + one.width, box.x + box.width
    if abs(end - start) <= _CLOSE:
        return f"M{start:g} {y:g}H{end:g}", y
    between = one.y + one.height + 2
    sign = -1 if left else 1
    turn, straight = start + sign * 5, start + sign * 10
    path = f"C{turn:g} {y:g} {turn:g} {between:g} {straight:g} {between:g}"
    return f"M{start:g} {y:g}{path}H{end:g}", between


def route(a: Place, box_a: Place, b: Place, box_b: Place) -> Route:
    """
    Return the path of an edge.

    :param a: A device
    :param box_a: The box that it is in

    >>> box = Place(0, 0, 30, 90)
    >>> route(Place(5, 0, 20, 20), box, Place(5, 40, 20, 20), box)
    Route(outside='', inside='M25 10C39.5 10 39.5 50 25 50')
    """
    if b.x < a.x:
        a, box_a, b, box_b = b, box_b, a, box_a
    if box_a == box_b:
        middles = a.y + a.height / 2, b.y + b.height / 2
        return Route("", _curve(a, middles[0], b, middles[1]))
    stub_a, ya = _stub(a, box_a, False)
    stub_b, yb = _stub(b, box_b, _is_beside(box_a, box_b))
    return Route(_curve(box_a, ya, box_b, yb), stub_a + stub_b)
