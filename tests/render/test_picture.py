# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures: nothing is lost, nothing overlaps, no name is markup."""

import base64
from collections.abc import Iterator, Sequence
import functools
import hashlib
import itertools
import json
import re
import xml.etree.ElementTree as ElementTree

from drgn_veth.model import Snapshot
from drgn_veth.render.escape import for_terminal
from drgn_veth.render.picture.columns import Place
from drgn_veth.render.picture.layout import Layout, fitted, pack, shape_of, text_width
from drgn_veth.render.picture.scene import Row
import pytest

from tests.support.pictures import (
    ATTACKS,
    Page,
    hostile,
    layout_of,
    picture_of,
    scene_of,
    unreadable,
)
from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but
from tests.support.snapshots import HOST, device, native, node, pair, rps

SVG = "{http://www.w3.org/2000/svg}"


def snapshots() -> dict[str, Snapshot]:
    """Snapshots that are made by hand."""
    return {
        "hostile": hostile(),
        "unreadable": unreadable(),
        "node of 5": node(5),
        "node of 100": node(100),
        "node of 220": node(220),
        "nothing": pair()._replace(devices=(), pairs=(), namespaces=()),
        "no device": pair()._replace(devices=(), pairs=()),
        "nested": nested(),
    }


def nested() -> Snapshot:
    """Masters in masters, one of itself, two of each other, a pair across two."""
    devices = [device(HOST, i, f"d{i}", netns_label="host") for i in range(1, 60)]

    def put(port: int, master: int) -> None:
        devices[port] = devices[port]._replace(master=devices[master].ref)

    for port, master in ((1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5)):
        put(port, master)
    put(7, 7)
    put(8, 9)
    put(9, 8)
    for port in range(11, 40):
        put(port, 10)
    for port in range(40, 50):
        put(port, 39)
    return pair()._replace(devices=tuple(devices), pairs=())


MADE = snapshots()
CORES = slow_but(["6.12-zoo"], EVERY_CORE)
KINDS = [*slow_but([name for name in MADE if name != "node of 220"], MADE), *CORES]


def snapshot_of(name: str) -> Snapshot:
    return MADE[name] if name in MADE else recorded_core(name).snapshot


@functools.cache
def drawn(name: str, format: str) -> str:
    return picture_of(snapshot_of(name), format)


@functools.cache
def parsed(name: str) -> Page:
    return Page(drawn(name, "html"))


@functools.cache
def laid_out(name: str) -> Layout:
    return layout_of(snapshot_of(name))


# The picture


def overlap(a: Place, b: Place) -> bool:
    return (
        a.x < b.x + b.width
        and b.x < a.x + a.width
        and a.y < b.y + b.height
        and b.y < a.y + a.height
    )


def overlaps(places: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Yield those that overlap, without comparing each with each."""
    ordered = sorted(places, key=lambda place: place.y)
    for i, place in enumerate(ordered):
        for other in itertools.islice(ordered, i + 1, None):
            if other.y >= place.y + place.height:
                break
            if overlap(place, other):
                yield place, other


def boxes(layout: Layout, folded: bool) -> list[Place]:
    shapes = [shape_of(placed, folded) for placed in layout.boxes]
    places, _ = pack([(shape.columns, shape.height) for shape in shapes], layout.grid)
    return [
        Place(
            layout.grid.x(column), y, layout.grid.box_width(shape.columns), shape.height
        )
        for (column, y), shape in zip(places, shapes)
    ]


def is_in(inner: Place, width: float, height: float) -> bool:
    return (
        inner.x >= 0
        and inner.y >= 0
        and inner.x + inner.width <= width + 0.001
        and inner.y + inner.height <= height + 0.001
    )


@pytest.mark.parametrize("name", KINDS)
def test_each_device_is_in_one_box(name: str) -> None:
    snapshot = snapshot_of(name)
    shown = scene_of(snapshot)
    rows = [row.device for box in shown.boxes for row in box.all()]
    assert sorted(rows) == list(range(len(snapshot.devices)))
    assert len(shown.boxes) >= len(snapshot.namespaces)
    assert len(shown.edges) == len(snapshot.pairs)
    for box in shown.boxes:
        if box.namespace is None:
            continue
        inum = snapshot.namespaces[box.namespace].inum
        assert all(snapshot.devices[row.device].netns == inum for row in box.all())


@pytest.mark.parametrize("folded", [False, True], ids=["open", "folded"])
@pytest.mark.parametrize("name", KINDS)
def test_nothing_overlaps(name: str, folded: bool) -> None:
    layout = laid_out(name)
    assert not list(overlaps(boxes(layout, folded)))
    for placed in layout.boxes:
        shape = shape_of(placed, folded)
        inside = shape.inside
        width = layout.grid.box_width(shape.columns)
        places = [inside.devices[row.device] for row in placed.box.all()]
        places += [place for place, _ in inside.continued]
        assert not list(overlaps(places))
        assert all(is_in(place, width, shape.height) for place in places)
        assert all(is_in(frame, width, shape.height) for frame in inside.frames)
        assert all(place.width >= 12 for place in places)


def test_ports_are_in_the_frames_of_their_masters() -> None:
    snapshot = recorded_core("6.12-zoo").snapshot
    layout = layout_of(snapshot)
    framed = set()
    for placed in layout.boxes:
        inside = placed.open.inside
        for row in placed.box.rows:
            for port in row.ports:
                place = inside.devices[port.device]
                assert any(
                    frame.x <= place.x
                    and frame.y <= place.y
                    and place.x + place.width <= frame.x + frame.width
                    and place.y + place.height <= frame.y + frame.height
                    for frame in inside.frames
                )
                framed.add(snapshot.devices[port.device].name)
    assert framed >= {"brporta", "bslave0", "bslave1", "bxslave"}


def test_a_master_goes_on_in_the_next_column() -> None:
    inside = laid_out("node of 220").boxes[0].open.inside
    assert inside.number > 1
    said = {text for _, text in inside.continued}
    assert said == {"br0, continued"}


def depth(row: Row) -> int:
    return 1 + max(map(depth, row.ports), default=0)


def test_masters_of_each_other_end() -> None:
    (box,) = [box for box in scene_of(nested()).boxes if box.rows]
    assert max(map(depth, box.rows)) == 5


def test_how_much_is_shown() -> None:
    small, middle, large = (laid_out(f"node of {n}") for n in (5, 100, 220))
    assert not small.folded and not small.quiet and not small.faint
    assert not middle.folded and not middle.quiet and middle.faint
    assert large.folded and large.quiet
    assert large.grid.box_width(large.grid.columns) <= 1500


def test_texts_fit() -> None:
    for text in ("veth0", "表" * 40, "x" * 90):
        for width in (0, 5, 30, 200):
            assert text_width(fitted(text, width, 12), 12) <= width


# SVG and DOT


def texts(svg: ElementTree.Element) -> str:
    return "\n".join(svg.itertext())


@pytest.mark.parametrize("name", KINDS)
def test_svg(name: str) -> None:
    snapshot = snapshot_of(name)
    text = drawn(name, "svg")
    svg = ElementTree.fromstring(text)
    assert svg.tag == f"{SVG}svg"
    tags = {element.tag.replace(SVG, "") for element in svg.iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "g", "path", "circle"}
    for element in svg.iter():
        assert not [key for key in element.attrib if key.startswith(("on", "{"))]
        assert "href" not in element.attrib
    assert text.count("http") == 1
    assert not re.search("[\x00-\x09\x0b-\x1f]", text)
    devices = [g for g in svg.iter() if "dev" in g.get("class", "").split()]
    assert len(devices) == len(snapshot.devices)
    shown = texts(svg)
    for one in snapshot.devices:
        if isinstance(one.name, str):
            assert for_terminal(one.name) in shown


#: A statement of DOT, of those that we write, at the end of its line.
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_STATEMENT = re.compile(
    rf"""\s*(?:graph\ {_QUOTED}\ \{{
    |subgraph\ cluster_m?\d+\ \{{
    |\}}
    |(?:label|style|color|labelloc|rankdir)=(?:{_QUOTED}|\w+);
     (?:\ \w+=(?:{_QUOTED}|\w+);)*
    |(?:n|empty)\d+\ \[\w+=(?:{_QUOTED}|\w+)(?:,\ \w+=(?:{_QUOTED}|\w+))*\];
    |node\ \[[\w=, ]+\];
    |n\d+\ --\ n\d+\ \[style=\w+\];)""",
    re.VERBOSE,
)


@pytest.mark.parametrize("name", KINDS)
def test_dot(name: str) -> None:
    snapshot = snapshot_of(name)
    lines = drawn(name, "dot").splitlines()
    for line in lines:
        assert _STATEMENT.fullmatch(line), line
    assert sum(line.count("{") > 0 and line.endswith("{") for line in lines) == sum(
        line.strip() == "}" for line in lines
    )
    nodes = [line for line in lines if re.match(r"\s*n\d+ \[", line)]
    assert len(nodes) == len(snapshot.devices)
    assert sum(" -- " in line for line in lines) == len(snapshot.pairs)


# The page

#: No other element, however a name looks.
TAGS = set(
    """
    html head meta title style body a header main div span input output button p h1 h2
    h3 details summary article code pre table thead tbody tr th td br noscript aside
    script svg g rect circle path text
    """.split()
)
ATTRIBUTES = set(
    """
    lang charset http-equiv content name id class href role aria-label aria-live
    aria-pressed aria-expanded type placeholder autocomplete spellcheck for title
    tabindex hidden open scope data-d data-go data-of viewbox width height x y cx cy r
    rx d transform
    """.split()
)


@pytest.mark.parametrize("name", KINDS)
def test_page(name: str) -> None:
    snapshot = snapshot_of(name)
    text = drawn(name, "html")
    text.encode()  # No half of a character.
    page = parsed(name)
    assert not page.open
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {key for _, attributes in page.tags for key in attributes} <= ATTRIBUTES
    assert {a["href"] for _, a in page.tags if "href" in a} == {"#findings"}
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "http" not in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u2028\u2029]", text)
    devices = [a for tag, a in page.tags if tag == "g" and "data-d" in a]
    assert {int(a["data-d"]) for a in devices} == set(range(len(snapshot.devices)))


@pytest.mark.parametrize(
    "name",
    ["hostile", "6.12-zoo", pytest.param("node of 220", marks=pytest.mark.slow)],
)
def test_policy_allows_what_is_there(name: str) -> None:
    page = parsed(name)
    (policy,) = (a["content"] for _, a in page.tags if "http-equiv" in a)
    (style,), (_, script) = page.inside["style"], page.inside["script"]

    def digest(content: str) -> str:
        hashed = hashlib.sha256(content.encode()).digest()
        return f"'sha256-{base64.b64encode(hashed).decode()}'"

    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src {digest(style)}",
        f"script-src {digest(script)}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not [a for _, a in page.tags if "style" in a]


@pytest.mark.parametrize("name", KINDS)
def test_what_the_script_knows(name: str) -> None:
    snapshot = snapshot_of(name)
    page = parsed(name)
    data = json.loads(page.inside["script"][0])
    assert len(data["devices"]) == len(snapshot.devices)
    assert len(data["edges"]) == len(snapshot.pairs)
    column = data["columns"].index("name")
    for one, known in zip(snapshot.devices, data["devices"]):
        if isinstance(one.name, str):
            assert known["facts"][column] == for_terminal(one.name)
        assert {mode for mode, _, _ in known["answers"]} in (
            {"default", "generic", "driver", "offload"},
            set(),
        )
    placed = [d for box in data["boxes"] for d in box["devices"]]
    assert sorted(placed) == list(range(len(snapshot.devices)))
    for box in data["boxes"]:
        assert len(box["open"]["p"]) == 4 * len(box["devices"])


def test_attacks_are_text() -> None:
    """Each name is on the page as it is on a screen."""
    page = parsed("hostile")
    shown = "".join(page.text)
    for attack in ATTACKS:
        assert for_terminal(attack) in shown


def test_all_findings_are_on_the_page() -> None:
    page = parsed("6.12-zoo")
    classes = [a.get("class", "").split() for _, a in page.tags]
    found = json.loads(page.inside["script"][0])["findings"]
    assert len(found) > 100
    assert sum("finding" in one for one in classes) == len(found)
    shown = "".join(page.text)
    for finding in found:
        assert finding["summary"] in shown
        for command in finding.get("fix", ()):
            assert command in shown
        undo = finding.get("undo")
        if undo is not None:
            assert f"to undo it, {undo['effect']}:" in shown
            assert all(command in shown for command in undo["commands"])
    assert any("undo" in finding for finding in found)


def test_buttons_say_where_they_lead() -> None:
    """By its name in the table of its namespace, with that elsewhere."""
    page = picture_of(pair(native(), rps((2,), (3,))), "html")
    said = re.findall(r'<button[^>]*class="go"[^>]*>([^<]*)</button>', page)
    assert {"veth0", "eth0"} <= {*said}
    assert any(one.startswith("eth0 (") for one in said)


def test_what_would_come_next() -> None:
    """veth_xxx0 has a generic program, and too few RX queues for a native one."""
    cells = parsed("6.12-zoo").text
    assert "EEXIST, then ENOSPC" in [cell.strip() for cell in cells]


def test_answers_that_depend_on_the_way() -> None:
    """m3507b: the MTU is too large without frags alone."""
    shown = "\n".join(parsed("6.12-zoo").text)
    assert "ERANGE without frags" in shown
    assert "ok with frags" in shown


def test_a_kernel_that_is_too_old() -> None:
    """It has no answers to attaches, and all else."""
    old = pair()
    assert old.kernel is not None
    old = old._replace(kernel=old.kernel._replace(xdp_state=False))
    assert "older than v5.9" in "".join(Page(picture_of(old, "html")).text)


@pytest.mark.parametrize("format", ["html", "svg", "dot"])
def test_same_picture_twice(format: str) -> None:
    assert picture_of(node(40), format) == picture_of(node(40), format)
