# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables, CSV and JSON of records made by hand."""

import csv as csv_module
import io
import json

from drgn_veth.core.english import number_list
from drgn_veth.model import (
    DeviceRef,
    QueueCount,
    Queues,
    RpsQueue,
    Xdp,
    XdpProgram,
    unreadable_in,
)
from drgn_veth.render import csv, table, words
from drgn_veth.render import json as render_json
from drgn_veth.render.escape import for_terminal
import pytest

from tests.support.snapshots import BAD, HOST, POD, device, snapshot


@pytest.mark.parametrize(
    "text, shown",
    [
        ("veth0", "veth0"),
        ("höker☃", "höker☃"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egnp", "evil\\u202egnp"),
        ("\U000e0041", "\\U000e0041"),
        ("a\xa0b", "a\\xa0b"),
    ],
)
def test_terminal(text: str, shown: str) -> None:
    assert for_terminal(text) == shown
    assert shown.isprintable()


def test_number_list() -> None:
    assert number_list(()) == ""
    assert number_list((0, 1, 2, 5, 7, 8)) == "0-2,5,7-8"


def test_rps_words() -> None:
    same = device(HOST, 3, "a", rps=(RpsQueue(0, (0, 1), 0), RpsQueue(1, (0, 1), 0)))
    assert words.rps(same) == "0-1"
    some = device(
        HOST,
        3,
        "a",
        rps=(RpsQueue(0, (2,), 512), RpsQueue(1, (), 0), RpsQueue(2, BAD, 0)),
    )
    assert words.rps(some) == "rx0:2 rx2:?"
    assert words.rfs(some) == "rx0:512"
    assert words.rps(device(HOST, 3, "a")) == ""
    assert words.rps(device(HOST, 3, "a", rps=BAD)) == "?"


PROGRAM = XdpProgram(
    10, "xdp_pass", "3b185187f1855c4c", "link", 7, True, True, 2023271173, 0
)


def test_table_shows_both_ends() -> None:
    whole = snapshot(
        device(
            HOST,
            5,
            "veth_xxx0",
            queues=Queues(QueueCount(14, 14), QueueCount(14, 14)),
            xdp=Xdp(PROGRAM, None, None, ()),
        ),
        device(
            POD,
            2,
            "veth_yyy0",
            queues=Queues(QueueCount(48, 48), QueueCount(48, 64)),
            off_list="netns is dying",
        ),
    )
    screen = table.pairs(whole, whole.devices)
    for part in ("5: veth_xxx0", "rx 14/14", "tx 48/64", "frags", "(netns is dying)"):
        assert part in screen
    assert table.totals(whole) == (
        "1 pair (1 veth), 2 devices in 2 namespaces; XDP: 1 generic, 0 driver, "
        "0 offload; RPS on 0 devices"
    )


def test_table_fits_whatever_is_in_it() -> None:
    wild = device(
        HOST,
        2**31 - 1,
        "\x1b" * 15,
        mtu=2**32 - 1,
        queues=Queues(QueueCount(BAD, 65536), QueueCount(65536, 65536)),
        xdp=Xdp(PROGRAM._replace(name="\x07" * 15), BAD, PROGRAM, BAD),
        rps=tuple(RpsQueue(i, (i * 3,), 1 << i) for i in range(30)),
        peer=DeviceRef(BAD, BAD, "\xff" * 15, 1, "on no list"),
        master=BAD,
    )
    whole = snapshot(wild, wild._replace(ifindex=5))
    for screen in (table.pairs(whole, whole.devices), table.devices(whole)):
        for line in screen.splitlines():
            assert len(line) <= 120
            assert line.isprintable()


def test_totals_count_what_is_there() -> None:
    """What could not be read is neither attached nor off."""
    lost = device(HOST, 3, "a", xdp=Xdp(BAD, BAD, BAD, BAD), rps=BAD)
    some = device(HOST, 4, "b", rps=(RpsQueue(0, BAD, 0), RpsQueue(1, (0,), 0)))
    line = table.totals(snapshot(lost, some))
    assert "XDP: 0 generic, 0 driver, 0 offload; RPS on 1 device;" in line
    assert line.endswith("6 values unreadable")


def test_many_ways_to_steer_are_cut_short() -> None:
    queues = tuple(RpsQueue(i, (i,), 0) for i in range(100))
    assert words.rps(device(HOST, 3, "a", rps=queues)).endswith(" ...")


def test_json_keeps_the_contract() -> None:
    whole = snapshot(
        device(HOST, 5, "a\x1b", xdp=Xdp(PROGRAM, None, None, BAD), master=BAD),
        device(POD, 2, "b", kind="netkit", xdp=Xdp(None, None, None, None)),
        incomplete=(("devices of namespace 7", "the list loops"),),
    )
    text = render_json.render(whole)
    report = json.loads(text)
    assert report == json.loads(json.dumps(render_json.document(whole)))
    assert text.isascii()
    assert list(report)[0] == "schema"
    first, second = report["devices"]
    assert first["name"] == "a\x1b"
    assert first["xdp"]["queues"] == {"unreadable": BAD.reason}
    assert "queues" not in second["xdp"]
    assert report["unreadable"] == [
        {"what": "devices of namespace 7", "why": "the list loops"},
        {"what": f"devices[({HOST}, 5)].master", "why": BAD.reason},
        {"what": f"devices[({HOST}, 5)].xdp.queues", "why": BAD.reason},
    ]
    assert len(list(unreadable_in(whole))) == 3


def test_csv() -> None:
    whole = snapshot(
        device(HOST, 5, 'q"uo,te', alias="one\ntwo", mtu=BAD), device(POD, 2, "b")
    )
    rows = list(csv_module.DictReader(io.StringIO(csv.devices(whole))))
    assert [row["name"] for row in rows] == ['q"uo,te', "b"]
    assert rows[0]["alias"] == "one\\x0atwo"
    assert rows[0]["mtu"] == "?"
    (pair,) = csv_module.DictReader(io.StringIO(csv.pairs(whole, whole.devices)))
    assert (pair["a_name"], pair["b_name"], pair["kind"]) == ('q"uo,te', "b", "veth")


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_csv_that_a_spreadsheet_would_run(start: str) -> None:
    name = f"{start}cmd|' /C calc'!A0"
    whole = snapshot(
        device(HOST, 5, name, alias=name, altnames=(name, "b")),
        device(POD, 2, f"a{start}"),
    )
    for text in (csv.devices(whole), csv.pairs(whole, whole.devices)):
        cells = [cell for row in csv_module.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
        assert {f"'{name}", f"'{name} b", f"a{start}"} <= set(cells)


def test_csv_of_control_characters() -> None:
    """A tab or a carriage return at the begin of a cell is an escape already."""
    whole = snapshot(device(HOST, 5, "a", alias="\t=1"), device(POD, 2, "\r=1"))
    rows = list(csv_module.DictReader(io.StringIO(csv.devices(whole))))
    assert (rows[0]["alias"], rows[1]["name"]) == ("\\x09=1", "\\x0d=1")
