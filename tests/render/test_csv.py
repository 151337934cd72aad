# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSV files: nothing in them runs, and nothing is lost."""

import csv as csv_module
import io

from drgn_veth.model import Snapshot
from drgn_veth.render import csv, netns
from drgn_veth.render.columns import HEADER, columns_with
import pytest

from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.slow import slow_but
from tests.support.snapshots import HOST, POD, device, snapshot

#: As OWASP's page on CSV injection lists them, and the wide ones.
RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def files(taken: Snapshot) -> list[str]:
    """All that is written as CSV."""
    return [
        csv.devices(taken),
        csv.pairs(taken, taken.devices),
        netns.csv(taken),
    ]


def cells(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv_module.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def runs(cell: str) -> bool:
    return cell.startswith(RUN) and not (cell[0] == "-" and cell[1:].isdecimal())


@pytest.mark.parametrize("name", slow_but([EVERY_CORE[0], EVERY_CORE[-1]], EVERY_CORE))
def test_recorded_cores(name: str) -> None:
    taken = recorded_core(name).snapshot
    for text in files(taken):
        rows = cells(text)
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if runs(cell)]
        # Nor if the spreadsheet separates cells otherwise.
        for delimiter in ";\t":
            parts = [cell for row in cells(text, delimiter) for cell in row]
            assert not [cell for cell in parts if runs(cell.lstrip())]
    columns = columns_with(taken.devices)
    header, *rows = cells(csv.devices(taken))
    assert tuple(header) == tuple(HEADER)
    for row, one in zip(rows, taken.devices):
        for cell, column in zip(row, columns):
            told = column.text(one)
            assert cell in (told, f"'{told}") or ";" in told
            assert cell.replace("'", "") == told.replace("'", "")


def test_every_recorded_zoo_has_such_a_name() -> None:
    (row,) = [
        row
        for row in cells(csv.devices(recorded_core("6.12-zoo").snapshot))
        if "=1+1|`w`" in row[HEADER.index("name")]
    ]
    assert row[HEADER.index("name")] == "'=1+1|`w`"


@pytest.mark.parametrize(
    "name",
    [
        *(f"{start}cmd|' /C calc'!A0" for start in RUN),
        *("a;=1+1", "a\t=1", 'a",=1+1', '";=1', "a\n=1", "=1;@x", '"'),
    ],
)
def test_any_name(name: str) -> None:
    whole = snapshot(
        device(HOST, 5, name, alias=name, altnames=(name,)), device(POD, 2, "b")
    )
    for text in (csv.devices(whole), csv.pairs(whole, whole.devices)):
        for delimiter in ",;\t":
            for row in cells(text, delimiter):
                assert not [cell for cell in row if runs(cell)]


def test_raw_cells() -> None:
    """What is written comes back, but for quotes before what would run."""
    given = ["a", "", 'q"', "a;b", "a,b", "a b=c", "-5", "-5x", "=1", " =1", "x; @y"]
    (row,) = cells(csv.rows([given]))
    assert row == [*given[:7], "'-5x", "'=1", "' =1", "x;' @y"]
    (row,) = cells(csv.rows([["a\tb", "a\r\nb", "\ta", "a\t=1", "a\n-1"]]))
    assert row == ["a\tb", "a\r\nb", "'\ta", "a\t'=1", "a\n'-1"]


def test_negative_numbers_stay_numbers() -> None:
    whole = snapshot(device(HOST, -5, "a", mtu=-1500), device(POD, 2, "b"))
    _, row, _ = cells(csv.devices(whole))
    assert row[HEADER.index("ifindex")] == "-5"
    assert row[HEADER.index("mtu")] == "-1500"


def test_both_ends_have_labels() -> None:
    taken = recorded_core("6.12-zoo").snapshot
    header, *rows = cells(csv.pairs(taken, taken.devices))
    places = [header.index(f"{end}_netns_label") for end in "ab"]
    assert len(rows) == len(taken.pairs)
    assert all(row[place] for row in rows for place in places)
    assert {row[place] for row in rows for place in places} >= {"host", "pod1"}
