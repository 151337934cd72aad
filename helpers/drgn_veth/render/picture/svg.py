# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The picture as SVG
------------------

Boxes, then edges, then the devices, which hide what passes behind them. A page has the
open and the folded shape of each box, a picture alone just one.
"""

from collections.abc import Iterator, Mapping, Sequence
import functools
from importlib import resources
from typing import Optional

from ...model import Device, Snapshot
from .. import words
from .columns import Place
from .edges import route
from .layout import (
    BADGE_GAP,
    DOT,
    GLYPH,
    HEAD,
    LINE,
    MARGIN,
    PAD,
    Layout,
    Placed,
    Shape,
    badge_width,
    fitted,
    pack,
    shape_of,
    text_width,
)
from .legend import LEGEND_STEP, Sign, in_lines, signs
from .markup import element, text
from .scene import Badge, Row, Scene

__all__ = ("drawing", "open_shapes", "own_file", "render", "top")

_TITLE = 26
_LEGEND = 680.0  # wide, even if all boxes are not


@functools.cache
def own_file(name: str) -> str:
    """Return a file of the folder ``web``, such as ``picture.css``."""
    return (resources.files(__package__) / "web" / name).read_text("utf-8")


def _g(x: float, y: float, *inside: str, **attributes: Optional[str]) -> str:
    return element(
        "g", *inside, transform=f"translate({x:g} {y:g})", **attributes
    )  # fmt: skip


def _text(said: str, x: float, y: float, class_: str) -> str:
    return element("text", text(said), x=x, y=y, class_=class_)


def _state(state: str, x: float, y: float) -> str:
    # Told by their shapes, not by colour alone.
    if state == "?":
        return _text("?", x - 3, y + 4, "note")
    word = state.lower()
    inside = element("circle", cx=x, cy=y, r=4, class_=f"state {word}")
    if state == "NO-CARRIER":
        half = f"M{x:g} {y - 4:g}A4 4 0 0 0 {x:g} {y + 4:g}Z"
        inside += element("path", d=half, class_="state half")
    return inside


def _badge(badge: Badge, x: float, y: float) -> str:
    width = badge_width(badge.text)
    return _g(
        x,
        y,
        element("rect", width=width, height=14, rx=3),
        _text(badge.text, 5, 10.5, ""),
        class_=f"badge {badge.kind}",
    )


class _Devices:
    # Draws devices.

    def __init__(self, snapshot: Snapshot, page: bool) -> None:
        self._devices = snapshot.devices
        self._page = page

    def _about(self, row: Row) -> str:
        device: Device = self._devices[row.device]
        said = [f"{row.name} ({words.netns(device.ref)})", row.state]
        if row.note:
            said.append(row.note)
        said += [badge.text for badge in row.badges]
        peer = words.reference(device.peer)
        if peer:
            said.append(f"peer {peer}")
        return ", ".join(said)

    def _device(self, row: Row, place: Place, class_: str, *inside: str) -> str:
        return _g(
            place.x,
            place.y,
            element("title", text(self._about(row))),
            *inside,
            class_=class_,
            data_d=f"{row.device}" if self._page else None,
            tabindex="0" if self._page else None,
            role="button" if self._page else None,
        )

    def row(self, row: Row, place: Place) -> str:
        right = place.width - 5
        badges = []
        for badge in reversed(row.badges):
            width = badge_width(badge.text)
            if right - width < GLYPH + 30:
                break  # It is in the details.
            right -= width
            badges.append(_badge(badge, right, 3))
            right -= BADGE_GAP
        name = fitted(row.name, right - GLYPH - 3, 12)
        inside = [
            element("rect", width=place.width, height=place.height, rx=4),
            _state(row.state, 10, 10),
            _text(name, GLYPH, 14, "name"),
        ]
        if row.note:
            x = GLYPH + text_width(name, 12) + 7
            note = fitted(row.note, right - x - 3, 10)
            if len(note) > 2:
                inside.append(_text(note, x, 14, "note"))
        master = " master" if row.ports else ""
        return self._device(row, place, f"dev{master}", *inside, *badges)

    def dot(self, row: Row, place: Place) -> str:
        first = row.badges[0] if row.badges else None
        class_ = f"dot {first.kind if first else row.state.lower()}"
        inside = [element("rect", width=place.width, height=place.height, rx=2)]
        if first:
            sign = "?" if first.kind == "gone" else first.kind[0].upper()
            inside.append(_text(sign, place.width / 2, 9.5, ""))
        return self._device(row, place, f"dev {class_}", *inside)


def _head(
    placed: Placed, shape: Shape, width: float, folded: bool, page: bool
) -> Iterator[str]:
    box = placed.box
    left, right = PAD, width - PAD
    number = sum(1 for _ in box.all())
    if page:
        arrow = "M0 -5L7 0L0 5Z" if folded else "M-1 -3L9 -3L4 4Z"
        yield _g(
            PAD,
            HEAD / 2,
            element("rect", x=-6, y=-11, width=20, height=22, class_="hit"),
            element("path", d=arrow),
            class_="fold",
            tabindex="0",
            role="button",
            aria_expanded="false" if folded else "true",
            aria_label=f"{'unfold' if folded else 'fold'} {box.label}",
        )
        left += 16
    dots = list(shape.inside.devices.values())
    if folded and dots and dots[0].y < HEAD:
        right = dots[0].x - 6
    elif number:
        said = f"{number}"
        right -= text_width(said, 10)
        yield _text(said, right, HEAD / 2 + 4, "note")
        right -= 6
    label = _text(fitted(box.label, right - left, 13), left, HEAD / 2 + 5, "label")
    if page:
        label = element(
            "g",
            element("title", text(", ".join([box.label, *box.lines]))),
            element("rect", x=left - 2, y=4, width=right - left + 2, height=22, rx=3,
                class_="hit"),
            label,
            class_="about",
            tabindex="0",
            role="button",
        )  # fmt: skip
    yield label
    if not folded:
        for i, line in enumerate(box.lines):
            said = fitted(line, width - 2 * PAD, 10)
            yield _text(said, PAD, HEAD + LINE * i + 7, "note")


def _shape(
    placed: Placed, layout: Layout, draw: _Devices, folded: bool, page: bool
) -> str:
    shape = shape_of(placed, folded)
    width = layout.grid.box_width(shape.columns)
    inside = shape.inside
    parts = list(_head(placed, shape, width, folded, page))
    for frame in inside.frames:
        parts.append(
            element("rect", x=frame.x, y=frame.y, width=frame.width,
                height=frame.height, rx=4, class_="frame")
        )  # fmt: skip
    for place, said in inside.continued:
        said = fitted(said, place.width - 10, 10)
        parts.append(_text(said, place.x + 8, place.y + 13, "note"))
    one = draw.dot if folded else draw.row
    parts += [one(row, inside.devices[row.device]) for row in placed.box.all()]
    return element("g", *parts, class_="folded" if folded else "open")


def _sign(sign: Sign, x: float, y: float) -> str:
    drawn = []
    at = x
    if sign.shape == "edge":
        line = f"M{x:g} {y:g}H{x + sign.width_of_sign:g}"
        drawn.append(element("path", d=line, class_=f"edge shown {_css(sign.kind)}"))
    if sign.state is not None:
        drawn.append(_state(sign.state, x + 6, y))
        at += 16
    if sign.badge is not None:
        drawn.append(_badge(Badge(sign.kind, sign.badge), x, y - 7))
        at += badge_width(sign.badge) + 4
    if sign.dot is not None:
        square = element("rect", width=DOT, height=DOT, rx=2)
        letter = _text(sign.dot, 6, 9.5, "") if sign.dot else ""
        drawn.append(_g(at, y - 6, square, letter, class_=f"dot {sign.kind}"))
    drawn.append(_text(sign.meaning, x + sign.width_of_sign + 6, y + 4, "meaning"))
    return "".join(drawn)


def _css(kind: str) -> str:
    # The kind of a pair, as a class.
    return kind if kind in ("veth", "netkit") else "other"


def _at(placed: Placed, layout: Layout, place: tuple[int, float], top: float) -> Place:
    shape = shape_of(placed, layout.folded)
    return Place(
        MARGIN + layout.grid.x(place[0]),
        top + place[1],
        layout.grid.box_width(shape.columns),
        shape.height,
    )


def _ends(layout: Layout, places: Sequence[Place]) -> Mapping[int, tuple[Place, Place]]:
    # Where each device is in the picture, and its box.
    ends = {}
    for placed, at in zip(layout.boxes, places):
        for device, place in shape_of(placed, layout.folded).inside.devices.items():
            ends[device] = place._replace(x=at.x + place.x, y=at.y + place.y), at
    return ends


def _legend(scene: Scene, layout: Layout, page: bool) -> list[list[Sign]]:
    # On a page, a box may be open or folded.
    shown = signs(scene, page or not layout.folded, page or layout.folded)
    width = layout.grid.box_width(layout.grid.columns)
    return in_lines(shown, max(width, _LEGEND))


def top(scene: Scene, layout: Layout, page: bool) -> float:
    """Return where the boxes begin: below the title, and the legend."""
    lines = _legend(scene, layout, page)
    return MARGIN + (0 if page else _TITLE) + LEGEND_STEP * len(lines) + 6


def _width(scene: Scene, layout: Layout, lines: list[list[Sign]], page: bool) -> float:
    widths = [layout.grid.box_width(layout.grid.columns)]
    widths += [sum(sign.width for sign in line) for line in lines]
    if not page:
        widths.append(text_width(scene.title, 13))
    # To the right of a box, there is a curve to the one below it.
    return max(widths) + 2 * MARGIN + (0 if layout.quiet else MARGIN)


def drawing(snapshot: Snapshot, scene: Scene, layout: Layout, page: bool) -> str:
    """
    Return the picture as an element ``svg``.

    :param page: It is part of a page, which has a title and a script of its own
    """
    lines = _legend(scene, layout, page)
    begin = top(scene, layout, page)
    sizes = [
        (
            shape_of(placed, layout.folded).columns,
            shape_of(placed, layout.folded).height,
        )
        for placed in layout.boxes
    ]
    packed, tall = pack(sizes, layout.grid)
    places = [
        _at(placed, layout, place, begin) for placed, place in zip(layout.boxes, packed)
    ]
    draw = _Devices(snapshot, page)
    parts = []
    if not page:
        parts.append(element("title", text(scene.title)))
        parts.append(element("style", own_file("picture.css")))
        parts.append(element("rect", width="100%", height="100%", class_="ground"))
        parts.append(_text(scene.title, MARGIN, MARGIN + 12, "label"))
    y = begin - 6 - LEGEND_STEP * len(lines) + LEGEND_STEP / 2
    for line in lines:
        x = float(MARGIN)
        for sign in line:
            parts.append(_sign(sign, x, y))
            x += sign.width
        y += LEGEND_STEP
    grounds = [
        element("rect", x=at.x, y=at.y, width=at.width, height=at.height, rx=6,
            class_=f"box{' host' if placed.box.host else ''}"
            f"{' dying' if placed.box.dying else ''}")
        for placed, at in zip(layout.boxes, places)
    ]  # fmt: skip
    ends = _ends(layout, places)
    outside, inside = [], []
    for edge in scene.edges:
        path = route(*ends[edge.a], *ends[edge.b])
        class_ = f"edge {_css(edge.kind)}"
        outside.append(element("path", d=path.outside, class_=class_))
        shown = "" if layout.folded else path.inside
        inside.append(element("path", d=shown, class_=class_))
    boxes = []
    for placed, at in zip(layout.boxes, places):
        # An open box that starts folded is drawn later: see open_shapes().
        states = (False, True) if page and not layout.folded else (layout.folded,)
        shapes = [_shape(placed, layout, draw, state, page) for state in states]
        folded = " is-folded" if layout.folded else ""
        boxes.append(_g(at.x, at.y, *shapes, class_=f"ns{folded}"))
    look = " quiet" if layout.quiet else " faint" if layout.faint else ""
    parts.append(element("g", *outside, class_=f"edges outside{look}"))
    parts.append(element("g", *grounds, class_="grounds"))
    parts.append(element("g", *inside, class_=f"edges inside{look}"))
    parts.append(element("g", *boxes, class_="boxes"))
    width = _width(scene, layout, lines, page)
    height = begin + tall + MARGIN
    return element(
        "svg",
        *parts,
        xmlns=None if page else "http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=round(width),
        height=round(height),
        class_="picture",
        role="group" if page else "img",
        aria_label=scene.title,
    )


def open_shapes(snapshot: Snapshot, layout: Layout) -> Iterator[str]:
    """Yield each box as it is when it is open, for a page on which it starts folded."""
    draw = _Devices(snapshot, page=True)
    for placed in layout.boxes:
        yield _shape(placed, layout, draw, folded=False, page=True)


def render(snapshot: Snapshot, scene: Scene, layout: Layout) -> str:
    """Return the picture alone, as a file."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}{drawing(snapshot, scene, layout, page=False)}\n"
