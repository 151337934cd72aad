# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page in a browser: clicks, keys, paper, and names that attack. Boots nothing."""

from collections.abc import Iterator
from pathlib import Path
import re
import subprocess
from typing import Any

import lab
import pytest

from tests.support.browser import Tab, browser
from tests.support.pictures import ATTACKS, hostile, picture_of
from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.snapshots import node

pytestmark = pytest.mark.vm

#: CPU seconds for a page of 1,000 pairs in as many namespaces.
MOST = 3.0


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "zoo": recorded_core("6.12-zoo").snapshot,
        "hostile": hostile(),
        "large": node(1000),
        "small": node(5),
    }
    paths = {}
    for name, snapshot in made.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(picture_of(snapshot, "html"), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    lab.need_programs(["chromium"])
    with browser(tmp_path_factory.mktemp("browser")) as tab:
        tab.size(1440, 900)
        yield tab


@pytest.fixture(params=["zoo"])
def tab(
    chromium: Tab, pages: dict[str, Path], request: pytest.FixtureRequest
) -> Iterator[Tab]:
    """A page. It complains of nothing, and asks for nothing but itself."""
    chromium.look()
    path = pages[request.param]
    chromium.open(path)
    yield chromium
    assert chromium.complaints() == []
    assert chromium.requests() == [path.as_uri()]


def number_of(tab: Tab, name: str, netns: str = "host") -> int:
    """Return the number of a device on the page."""
    number = tab.js(
        "JSON.parse(document.getElementById('data').textContent).devices.findIndex("
        f"(one) => one.facts.includes('{name}') && one.facts.includes('{netns}'))"
    )
    return int(number)


def row(tab: Tab, name: str) -> str:
    return f'.open [data-d="{number_of(tab, name)}"]'


def is_shown(tab: Tab, selector: str) -> bool:
    found = tab.js(f"!!document.querySelector({selector!r})?.getClientRects().length")
    return bool(found)


def test_click_a_device(tab: Tab) -> None:
    assert not is_shown(tab, "#about")
    tab.click(row(tab, "veth_xxx0"))
    said = tab.text("#about")
    assert said.startswith("Close\nveth_xxx0\nhost, veth\n")
    assert "peer: veth_yyy0 (host)" in said
    assert "RPS skips packets from TX queues 15-47 (33 of 48) of peer veth_yyy0" in said
    assert "ethtool -L veth_yyy0 tx 14" in said
    assert "driver: EEXIST: File exists" in said
    assert "rx_allocated\n14\n" in said
    assert "zoo_gen" in said
    assert tab.count(".selected") == 2  # open and folded
    tab.click("#about .go")
    assert tab.text("#about h2") == "veth_yyy0"
    tab.click("#about .close")
    assert not is_shown(tab, "#about")


def test_edge_of_what_is_pointed_at(tab: Tab) -> None:
    def path() -> Any:
        return tab.js("document.querySelector('.above').getAttribute('d') || ''")

    assert path() == ""
    tab.mouse("mouseMoved", *tab.center(row(tab, "to_pod3")))
    assert path().startswith("M")
    assert tab.count(".open .far") == 1


def test_fold_and_unfold(tab: Tab) -> None:
    before = geometry(tab)
    tab.click(".ns:first-child .open .fold")
    assert not is_shown(tab, row(tab, "veth_xxx0"))
    assert is_shown(tab, f'.folded [data-d="{number_of(tab, "veth_xxx0")}"]')
    assert geometry(tab) != before
    tab.click(".ns:first-child .folded .fold")
    assert is_shown(tab, row(tab, "veth_xxx0"))
    assert geometry(tab) == before


def geometry(tab: Tab) -> Any:
    """Where boxes and edges are, without the digits that Python does not print."""
    found = tab.js(
        "[...document.querySelectorAll('.ns, .grounds rect, .edges path')].map((one) =>"
        " ['transform', 'x', 'y', 'width', 'height', 'd'].map("
        "(name) => one.getAttribute(name)).join(' '))"
    )
    return [
        re.sub(r"-?\d+(\.\d+)?", lambda n: f"{float(n.group()):.0f}", one)
        for one in found
    ]


@pytest.mark.parametrize("tab", ["zoo", "small", "large"], indirect=True)
def test_script_places_boxes_as_python_does(tab: Tab) -> None:
    folded = tab.count(".is-folded") > 0
    before = geometry(tab)
    tab.click("#unfold" if folded else "#fold")
    assert geometry(tab) != before
    tab.click("#fold" if folded else "#unfold")
    after = geometry(tab)
    different = [pair for pair in zip(before, after) if not near(*pair)]
    assert not different[:3] and len(before) == len(after)


def near(a: str, b: str) -> bool:
    """Whether two texts are the same but for numbers that are rounded."""
    words, others = (re.split(r"([A-Z ()])", text) for text in (a, b))
    return len(words) == len(others) and all(
        one == other
        or one.lstrip("-").isdigit()
        and other.lstrip("-").isdigit()
        and abs(int(one) - int(other)) <= 1
        for one, other in zip(words, others)
    )


def test_keyboard_alone(tab: Tab) -> None:
    tab.key("/")
    tab.type("Q24")
    assert tab.text("#hits") == "2 found"
    assert tab.count(".open .found") == 2
    tab.key("Enter")
    assert tab.text("#hits") == "1 of 2"
    assert tab.text("#about h2") == "q24b"
    tab.key("Enter")
    assert tab.text("#about h2") == "q24a"
    tab.key("Escape")
    assert not is_shown(tab, "#about")
    tab.key("Escape")
    assert tab.count(".found") == 0
    # By Tab from the picture to its first device.
    tab.js("document.getElementById('view').focus()")
    tab.key("Tab")
    assert tab.js("document.activeElement.getAttribute('aria-label')") == "fold host"
    for _ in range(2):
        tab.key("Tab")
    assert tab.js("document.activeElement.dataset.d") == str(number_of(tab, "lo"))
    tab.key("ArrowDown")
    assert tab.js("document.activeElement.dataset.d") == str(number_of(tab, "eth0"))
    tab.key("Enter")
    assert tab.text("#about h2") == "eth0"
    tab.key("Escape")
    assert tab.js("document.activeElement.dataset.d") == str(number_of(tab, "eth0"))


def test_search_finds_what_a_namespace_runs(tab: Tab) -> None:
    tab.key("/")
    tab.type("python3")  # a task in the host's namespace, and no device
    assert tab.text("#hits") == "93 found"


def test_search_hides_rows_of_tables(tab: Tab) -> None:
    tab.key("/")
    tab.type("veth_xxx0")
    shown = tab.js(
        "[...document.querySelectorAll('#pairs tbody tr')].filter("
        "(one) => one.getClientRects().length).length"
    )
    assert shown == 1


def test_zoom(tab: Tab) -> None:
    def width() -> float:
        return float(tab.js("document.querySelector('#view svg').clientWidth"))

    before = width()
    tab.click("#larger")
    assert width() == pytest.approx(before * 1.25, rel=0.01)
    tab.key("-")
    assert width() == pytest.approx(before, rel=0.01)
    tab.key("+")
    tab.key("0")
    assert width() <= tab.js("document.getElementById('view').clientWidth")
    x, y = tab.center("#view")
    tab.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200, modifiers=2)
    assert width() > before
    scrolled = "document.getElementById('view').scrollLeft"
    left = tab.js(scrolled)
    # Beside all devices.
    x = tab.js(
        f"[...Array(1400).keys()].find((x) => x > 100 && !document.elementFromPoint("
        f"x, {y}).closest('[role=button]'))"
    )
    tab.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    tab.mouse("mouseMoved", x - 20, y, button="left", buttons=1)
    tab.mouse("mouseReleased", x - 20, y, button="left")
    assert tab.js(scrolled) == left + 20


def test_names_of_controls(tab: Tab) -> None:
    """What a screen reader says of each control and each device."""
    unnamed = tab.js(
        "[...document.querySelectorAll('button, input, [role=button], [role=region]')]"
        ".filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim()"
        ")).length"
    )
    assert unnamed == 0
    said = tab.js(
        f"document.querySelector({row(tab, 'veth_xxx0')!r} + ' title').textContent"
    )
    assert said == (
        "veth_xxx0 (host), UP, warning, XDP generic, RPS 0-3, peer veth_yyy0 (host)"
    )


def test_address_of_a_device(tab: Tab) -> None:
    tab.js("location.hash = '#to_pod3'")
    tab.painted()
    assert tab.text("#about h2") == "to_pod3"
    tab.key("Escape")
    tab.js("location.hash = '#findings'")
    tab.js("location.hash = '#no such device'")
    tab.js("location.hash = '#%'")
    tab.painted()
    assert not is_shown(tab, "#about")


def test_long_tables_are_markup_once_they_are_opened(tab: Tab) -> None:
    assert tab.count("#devices tr") == 0
    tab.click("#devices summary")
    tab.painted()
    assert tab.count("#devices tbody tr") == 112
    tab.click("#devices tbody tr:nth-child(7) .go")
    assert tab.text("#about h2") == "veth_xxx0"


def test_paper_has_everything(tab: Tab) -> None:
    tab.js("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.count("details:not([open])") == 0
    assert tab.count("noscript") == 0
    tab.look("dark", "print")
    assert tab.js("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert not is_shown(tab, "#tools")


@pytest.mark.parametrize("scheme, ground", [("light", 255), ("dark", 15)])
def test_light_and_dark(tab: Tab, scheme: str, ground: int) -> None:
    tab.look(scheme)
    color = tab.js("getComputedStyle(document.body).backgroundColor")
    assert color.startswith(f"rgb({ground}, ")


@pytest.mark.parametrize("tab", ["hostile"], indirect=True)
def test_names_that_attack(tab: Tab) -> None:
    tab.js("window.alert = () => { throw new Error('a name ran'); }")
    for section in ("findings", "pairs", "attach", "namespaces", "devices"):
        tab.js(f"document.getElementById('{section}').open = true")
    for i, _ in enumerate(ATTACKS):
        tab.click(f'.open [data-d="{i + 1}"]')
        tab.key("Escape")
        tab.click(f".ns:nth-child({i + 3}) .open .about")
        tab.key("Escape")
    tab.key("/")
    tab.type("<script>")
    tab.key("Enter")
    assert "<script>" in tab.text("#about h2")
    assert tab.count("img, b > *, i, svg script, table script") == 0
    assert tab.count("script") == 2


@pytest.mark.parametrize("tab", ["large"], indirect=True)
def test_thousand_pairs(tab: Tab) -> None:
    assert tab.count(".is-folded") == 1001
    assert tab.count(".quiet .edge") == 2 * 1000
    visible = "[...document.querySelectorAll('.edge')].filter("
    visible += "(one) => getComputedStyle(one).visibility === 'visible').length"
    assert tab.js(visible) == 1  # in the legend
    tab.click(".ns:first-child .folded .fold")
    assert tab.count(".ns:first-child .open .dev") == 1003
    tab.key("/")
    tab.type("veth777")
    tab.key("Enter")
    assert tab.text("#about h2") == "veth777"
    assert tab.js("document.querySelector('.above').getAttribute('d')")


def test_thousand_pairs_open_soon(chromium: Tab, pages: dict[str, Path]) -> None:
    chromium.open(pages["small"])
    before = chromium.cpu()
    chromium.open(pages["large"])
    chromium.painted()
    assert chromium.cpu() - before < MOST


@pytest.mark.parametrize("name", EVERY_CORE)
def test_graphviz_takes_the_graph(name: str) -> None:
    lab.need_programs(["dot"])
    graph = picture_of(recorded_core(name).snapshot, "dot")
    done = subprocess.run(
        ["dot", "-Tcanon"], input=graph, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_graphviz_shows_names_as_they_are() -> None:
    lab.need_programs(["dot"])
    graph = picture_of(hostile(), "dot")
    done = subprocess.run(
        ["dot", "-Tplain"], input=graph, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "evil" not in [line.split()[1] for line in done.stdout.splitlines()[1:-1]]
    nodes = [line for line in done.stdout.splitlines() if line.startswith("node ")]
    assert len(nodes) >= len(ATTACKS) + 2
