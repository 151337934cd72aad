# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables on narrow screens, and how wide a text is."""

from drgn_veth.render.drops import drops
from drgn_veth.render.grid import Column, grid
from drgn_veth.render.style import PLAIN, Style
from drgn_veth.render.width import cut, flow, width, wrap
import pytest

from tests.support.rules.lost import counted
from tests.support.screens import assert_fits
from tests.support.snapshots import pair

HAN = "\N{HANGUL SYLLABLE HAN}"


def test_a_table_is_as_wide_as_its_cells() -> None:
    columns = (Column("A"), Column("LONG"), Column("C"))
    rows = [("a", "b", "c"), ("1e5", "", "last one")]
    lines = ["A    LONG  C", "a    b     c", "1e5        last one"]
    assert grid(columns, rows) == lines
    # To the last column, and not beyond.
    assert grid(columns, rows, Style(19)) == lines
    assert grid(columns, rows, room=19) == lines
    assert grid(columns, rows, Style(18)) == [
        *lines[:2],
        "1e5        last",
        " " * 11 + "one",
    ]


def test_what_stands_below_a_row() -> None:
    rows = [("a b", "1"), ("c", "2")]
    below: tuple[list[str], ...] = (["  more of a", "  and more"], [])
    assert grid((Column("X"), Column("Y")), rows, below=below) == [
        *("X    Y", "a b  1", "  more of a", "  and more", "c    2")
    ]
    # Also of a row of several lines.
    narrow = grid((Column("X", least=1), Column("Y")), rows, Style(4), below=below)
    assert narrow == ["X  Y", "a  1", "b", "  more of a", "  and more", "c  2"]


def test_a_column_that_is_cut() -> None:
    """One that is not is broken: nothing of it is lost."""
    rows = [("containerd:9f86d081884c", "containerd:9f86d081884c")]
    columns = (Column("NETNS", is_cut=True), Column("NAME", least=23))
    assert grid(columns, rows, Style(37))[1] == "containerd:…  containerd:9f86d081884c"
    columns = (Column("NETNS", least=23), Column("NAME"))
    said = grid(columns, rows, Style(37))
    assert said[1:] == [
        "containerd:9f86d081884c  containerd:9",
        f"{' ' * 25}f86d081884c",
    ]


def test_a_column_keeps_what_it_needs() -> None:
    """At least that, unless its cells are narrower; the others give more."""
    rows = [("x" * 40, "y" * 40)]
    for least, other in ((4, 9), (10, 9), (20, 4)):
        columns = (Column("A", least=least), Column("B", least=other))
        words = grid(columns, rows, Style(least + 2 + other))[1].split()
        assert [len(word) for word in words] == [least, other]
    lines = grid((Column("A", least=30), Column("B")), [("short", "y" * 20)], Style(19))
    assert lines[1] == f"short  {'y' * 11}"


def test_lines_that_go_on_are_indented() -> None:
    columns = (Column("WHY", indent="  "), Column("N"))
    lines = grid(columns, [("one two three", "1")], Style(11))
    assert lines == ["WHY      N", "one two  1", "  three"]


@pytest.mark.parametrize("columns", [40, 60])
def test_counters_of_lost_packets_are_readable_on_a_narrow_screen(columns: int) -> None:
    """Neither the name of a counter nor a number is broken."""
    lost = pair(
        {**counted(12, tx_dropped=12345678), "name": "a-device-of-15c"}, counted()
    )
    lines = drops(lost.devices, lost, PLAIN._replace(width=columns))
    row = next(line for line in lines if "tx_dropped" in line)
    assert row.split()[-1] == "12345678"
    assert_fits("\n".join(lines), columns)


def test_how_wide_a_text_is() -> None:
    assert width("") == 0 and width("abc") == 3
    assert width(HAN) == 2 and width(f"a{HAN}b") == 4
    # What cannot be printed counts, too.
    assert width(f"\x07{HAN}") == 3


def test_text_that_is_cut() -> None:
    assert cut("abcdef", 6) == "abcdef" and cut("abcdef", 5) == "abcd~"
    assert cut(HAN * 3, 6) == HAN * 3
    assert cut(HAN * 3, 5) == f"{HAN * 2}~"
    assert cut(HAN * 3, 4) == f"{HAN}~"
    assert cut(HAN * 50, 80) == f"{HAN * 39}~"


def test_lines_of_a_text() -> None:
    assert wrap("ab cd", 5) == ["ab cd"]
    assert wrap("ab cd", 4) == ["ab", "cd"]
    assert wrap("ab cd", 5, "> ") == ["> ab", "cd"]
    assert wrap("ab cd ef", 5, "", "  ") == ["ab cd", "  ef"]
    # A word that no line has room for is broken where the line ends.
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrap("abcdefgh", 4, "> ", "  ") == ["> ab", "  cd", "  ef", "  gh"]
    assert wrap(HAN * 4, 5) == [HAN * 2, HAN * 2]
    assert wrap(f"a {HAN * 2}", 6) == [f"a {HAN * 2}"]
    assert wrap(f"a {HAN * 2}", 5) == ["a", HAN * 2]


def test_parts_that_stay_together() -> None:
    parts = ["ab cd", "", "ef gh"]
    assert flow(parts, 12) == ["ab cd  ef gh"]
    assert flow(parts, 11) == ["ab cd", "  ef gh"]
    assert flow(parts, 11, gap=1) == ["ab cd ef gh"]
    assert flow(parts, 5) == ["ab cd", "  ef", "  gh"]
    assert flow([], 5) == flow(["", ""], 5) == []
    assert flow([HAN * 2, HAN], 8) == [f"{HAN * 2}  {HAN}"]
    assert flow([HAN * 2, HAN], 7) == [HAN * 2, f"  {HAN}"]
