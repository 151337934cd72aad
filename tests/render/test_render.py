# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables, CSV and JSON of records made by hand."""

import csv as csv_module
import io
import json
import re
from typing import Any

from drgn_veth.core.english import number_list
from drgn_veth.model import (
    DeviceRef,
    Namespace,
    Pair,
    QueueCount,
    Queues,
    RpsQueue,
    Xdp,
    XdpProgram,
    unreadable_in,
)
from drgn_veth.render import csv, head, words
from drgn_veth.render import json as render_json
from drgn_veth.render.escape import for_terminal
from drgn_veth.render.style import Style
import pytest

from tests.support.screens import (
    WIDTHS,
    assert_fits,
    columns,
    pairs_screen,
    screens,
)
from tests.support.slow import slow_but
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
    screen = pairs_screen(whole, Style(120))
    for part in (
        " veth_xxx0 ",
        " 14/14 ",
        " 48/48 ",
        " link frags ",
        "(netns is dying)",
    ):
        assert part in screen
    assert head.totals(whole) == [
        "1 veth pair and 0 other devices in 2 namespaces    XDP: 1 generic; RPS: none"
    ]
    lines = screen.splitlines()
    first = next(i for i, line in enumerate(lines) if " veth_xxx0 " in line)
    assert "\u2514\u2500veth_yyy0 " in lines[first + 1]
    ascii = pairs_screen(whole, Style(120, encoding="ascii"))
    assert " +-veth_yyy0 " in ascii
    assert ascii.isascii()


@pytest.mark.parametrize("width", slow_but([80], WIDTHS))
@pytest.mark.parametrize("wcwidth", slow_but([True], [True, False]))
def test_screens_fit_whatever_is_in_them(
    width: int, wcwidth: bool, monkeypatch: Any
) -> None:
    if not wcwidth:
        monkeypatch.setattr("drgn_veth.render.width._wcswidth", None)
        monkeypatch.setattr("tabulate.wcwidth", None)
        monkeypatch.setattr("tabulate.WIDE_CHARS_MODE", False)
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
        uppers=BAD,
        lowers=BAD,
        alias="\N{HANGUL SYLLABLE HAN}" * 80,
        addresses=tuple(f"2001:db8:1234:5678:9abc:def0:1234:{i}/128" for i in range(9)),
    )
    wide = device(
        HOST,
        4,
        "\N{HANGUL SYLLABLE GUG}" * 5,
        netns_label="\N{CJK UNIFIED IDEOGRAPH-7F51}" * 40,
        peer=wild.ref,
    )
    whole = snapshot(
        *(wild, wild._replace(ifindex=5, net_device=7), wide),
        namespaces=(
            Namespace(HOST, True, 3, label="\N{CJK UNIFIED IDEOGRAPH-7F51}" * 40),
        ),
    )
    whole = whole._replace(
        pairs=(*whole.pairs, Pair("veth", wide.ref, wild.ref._replace(net_device=9)))
    )
    for encoding in ("utf-8", "latin-1", "ascii"):
        style = Style(width, encoding=encoding)
        plain = screens(whole, style)
        for screen in plain.values():
            assert_fits(screen, width)
            screen.encode(encoding)
        for name, screen in screens(whole, style._replace(color=True)).items():
            assert re.sub("\x1b\\[[0-9;]*m", "", screen) == plain[name]


def test_wide_letters_line_up(monkeypatch: Any) -> None:
    monkeypatch.setattr("drgn_veth.render.width._wcswidth", None)
    monkeypatch.setattr("tabulate.wcwidth", None)
    monkeypatch.setattr("tabulate.WIDE_CHARS_MODE", False)
    names = ("eth0", "\N{HANGUL SYLLABLE GUG}" * 3)
    one, other = (device(HOST, i, name) for i, name in enumerate(names, 1))
    lines = pairs_screen(snapshot(one, other), Style(120)).splitlines()
    ends = {columns(line[: line.index(" UP ")]) for line in lines if " UP " in line}
    assert len(ends) == 1


def test_totals_count_what_is_there() -> None:
    """What could not be read is neither attached nor off."""
    lost = device(HOST, 3, "a", xdp=Xdp(BAD, BAD, BAD, BAD), rps=BAD)
    some = device(HOST, 4, "b", rps=(RpsQueue(0, BAD, 0), RpsQueue(1, (0,), 0)))
    text = " ".join(head.totals(snapshot(lost, some), style=Style(200)))
    assert "XDP: none; RPS: 1 device  " in text
    assert text.endswith("6 values unreadable")


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
