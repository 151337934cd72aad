# SPDX-License-Identifier: LGPL-2.1-or-later
"""Comparisons on the screen: what is listed, what is counted, and how much of it."""

import copy
from typing import Any

from drgn_veth.analysis.compare.records import Unknown
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.render.compare_table import Source, table
from drgn_veth.render.style import Style
import pytest

from tests.support.reports import (
    Document,
    compared,
    device_of,
    document_of,
    put,
    small,
)
from tests.support.screens import assert_fits
from tests.support.snapshots import DOWN, HOST, device, generic, pair

SOURCES = Source("before.json"), Source("after.json")
WIDE = Style(200)


def _text(a: Document, b: Document, style: Style = WIDE, **options: Any) -> str:
    return table(compared(a, b), SOURCES, style, **options)


def _with(count: int, **changes: Any) -> Document:
    # A pair, and so many devices in no pair.
    others = [device(HOST, 20 + i, f"d{i:03}", kind="dummy") for i in range(count)]
    return document_of(pair(None, None, *(one._replace(**changes) for one in others)))


def _silent(document: Document) -> Document:
    document["findings"] = []
    return document


def test_nothing_differs() -> None:
    a = _silent(small())
    assert _text(a, copy.deepcopy(a)) == (
        "A  before.json  Linux 6.1.0 x86_64\n"
        "B  after.json  Linux 6.1.0 x86_64\n"
        "\n"
        "no difference; findings: none\n"
    )


def test_whether_both_are_from_the_same_boot() -> None:
    """Nothing is said where that is not known."""
    found = compared(_silent(small()), _silent(small()))
    same = "\n   both seem to be from the same boot\n\n"
    other = "\n   different boots: MAC and link-local addresses are not compared\n\n"
    for known, said in ((True, [same]), (False, [other]), (None, [])):
        text = table(found._replace(same_boot=known), SOURCES, WIDE)
        assert [one for one in (same, other) if one in text] == said
        assert text.count("boot") == len(said)


def test_a_device_that_changed() -> None:
    a, b = _silent(small()), _silent(small())
    device_of(b, "eth0")["mtu"] = 1400
    device_of(b, "eth0")["flags"] = []
    text = _text(a, b)
    assert (
        "\n\npod1\n"
        "  ~ eth0\n"
        "      state  UP -> DOWN\n"
        "      flags  -BROADCAST -MULTICAST\n"
        "      MTU    1500 -> 1400\n"
    ) in text
    assert text.endswith("\n\ndevices: 1 changed; findings: none\n")


def test_names_of_devices_that_changed_alike() -> None:
    """Five are named; a sixth is counted, unless all are to be listed."""
    a = _with(6)
    for changed, names in (
        (5, "d000, d001, d002, d003, d004\n"),
        (6, "d000, d001, d002, d003, d004 and 1 more\n"),
    ):
        b = copy.deepcopy(a)
        for one in b["devices"][1 : 1 + changed]:
            one["mtu"] = 1400
        text = _text(a, b)
        assert f"\n  ~ {names}      MTU  1500 -> 1400\n" in text
        assert f"devices: {changed} changed;" in text
    text = _text(a, b, everything=True)
    assert "  ~ d000, d001, d002, d003, d004, d005\n" in text


def _each_otherwise(count: int) -> tuple[Document, Document]:
    a = _with(count)
    b = copy.deepcopy(a)
    for i, one in enumerate(b["devices"][1 : 1 + count]):
        one["mtu"] = 1000 + i
    return a, b


def test_entries_of_a_namespace() -> None:
    """Forty are listed; what changed comes before what came or went."""
    a, b = _each_otherwise(40)
    text = _text(a, b)
    assert text.count("  ~ d") == 40 and " more" not in text
    new = {"name": "aa", "mac": None, "ifindex": 900, "net_device": "0x1234"}
    for changed, more in ((39, ""), (40, "1 device"), (42, "3 devices")):
        a, b = _each_otherwise(changed)
        b["devices"].insert(1, {**b["devices"][1], **new})
        text = _text(a, b)
        assert text.count("\n  ~ d") == min(changed, 40)
        assert ("\n  + aa  " in text) == (not more)
        said = f"\n  and {more} more: --all, or name some\n" if more else " 1 came, "
        assert said in text
        text = _text(a, b, everything=True)
        assert text.count("\n  ~ d") == changed
        assert "\n  + aa  " in text and " more" not in text


def test_namespaces() -> None:
    """The host's comes first, and a hundred are listed."""
    for count, more in ((100, False), (101, True)):
        labels = [f"pod{i:03}" for i in range(count - 1)]
        a = _silent(small())
        plain = device_of(a, "veth0")
        inside = a["namespaces"][1]
        for i, label in enumerate(labels):
            named = {"netns_label": label, "netns": 1000 + i}
            a["namespaces"].append({**inside, "label": label, "inum": 1000 + i})
            address = {"net_device": hex(0x9000 + i), "peer": None}
            a["devices"].append({**plain, **named, **address})
        b = copy.deepcopy(a)
        for one in b["devices"]:
            if one["name"] == "veth0":
                one["mtu"] = 1400
        text = _text(a, b)
        assert text.index("\nhost\n") < text.index("\npod000\n")
        assert ("and 1 namespace more: --all, or --netns NETNS\n" in text) == more
        assert (f"\n{labels[-1]}\n" in text) != more
        text = _text(a, b, everything=True)
        assert f"\n{labels[-1]}\n" in text and "namespace more" not in text


def test_a_namespace_that_came() -> None:
    """Its devices are in its line; one with a program has its own, too."""
    b = _silent(small())
    a = copy.deepcopy(b)
    a["devices"], a["pairs"] = a["devices"][:1], []
    a["namespaces"] = a["namespaces"][:1]
    assert "\n\n+ namespace pod1 with 1 device: eth0\n\n" in _text(a, b)
    assert "\n\n- namespace pod1 with 1 device: eth0\n\n" in _text(b, a)
    text = _text(a, b)
    assert "namespaces: 1 came; devices: 1 came, 1 changed; pairs: 1 came, " in text
    assert "  + eth0" not in text
    program = document_of(pair(None, generic()))["devices"][1]["xdp"]
    device_of(b, "eth0")["xdp"] = program
    text = _text(a, b)
    assert "\n+ namespace pod1 with 1 device: eth0\n  + eth0  " in text


def test_a_namespace_that_changed() -> None:
    a, b = _silent(small()), _silent(small())
    b["namespaces"][1]["task_count"] = 3
    text = _text(a, b)
    assert "\n\npod1\n  ~ this namespace\n      " in text
    assert "namespaces: 1 changed; findings: none\n" in text


def test_findings() -> None:
    """Notes are counted, and listed only on demand."""
    a = document_of(pair())
    b = document_of(pair({"flags": DOWN}))
    text = _text(a, b)
    assert "\n  ~ veth0\n" in text
    assert "\n      + warning[peer-down] " in text or "\n  ~ eth0\n" in text
    noted = {**b["findings"][0], "rule": "mtu-frozen", "severity": "info"}
    a["findings"], b["findings"] = [], [noted]
    text = _text(a, b)
    assert "mtu-frozen" not in text
    assert "findings: none; notes: 1 more, which --notes shows\n" in text
    text = _text(a, b, notes=True)
    assert "      + note[mtu-frozen] " in text and "--notes shows" not in text
    # Of a device that did not change otherwise, and of the kernel.
    b = document_of(pair())
    b["findings"] = [noted]
    text = _text(a, b, notes=True)
    assert "\n  ~ " in text and "\n      + note[mtu-frozen] " in text
    noted["device"] = None
    text = _text(a, b, notes=True)
    assert "\n\nkernel\n  + note[mtu-frozen] " in text


def test_a_finding_that_changed() -> None:
    a, b = document_of(pair({"mtu": 9000})), document_of(pair({"mtu": 9000}))
    a["findings"] = [one for one in a["findings"] if one["rule"] == "mtu-mismatch"]
    b["findings"] = copy.deepcopy(a["findings"])
    assert len(a["findings"]) == 1
    a["findings"][0]["severity"] = "info"
    b["findings"][0]["severity"] = "warning"
    text = _text(a, b)
    assert "~ [mtu-mismatch] note -> warning: " in text
    assert "(undecided: " not in text
    assert "findings: 1 changed\n" in text
    # One that is in both is only counted; a note is not.
    assert "findings: 1 in both\n" in _text(b, copy.deepcopy(b))
    assert "findings: none\n" in _text(a, copy.deepcopy(a))
    found = compared(a, b)
    (one,) = found.findings
    doubt = found._replace(findings=(one._replace(undecided="it keeps changing"),))
    assert "(undecided: it keeps changing)\n" in table(doubt, SOURCES, WIDE)


def test_the_kernel() -> None:
    a, b = _silent(small()), _silent(small())
    b["target"]["release"] = "6.12.1"
    text = _text(a, b)
    assert "\n\nkernel\n  ~ release  6.1.0 -> 6.12.1\n\n" in text
    assert text.endswith("\n\nkernel: 1 changed; findings: none\n")


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ("b", "1 in B"),
        ("a", "1 in A"),
        ("ab", "1 in A and B"),
    ],
)
def test_what_is_not_known(sides: str, said: str) -> None:
    lost = {"unreadable": "Excluded page"}
    documents = {"a": _silent(small()), "b": _silent(small())}
    for side in sides:
        put("mtu", lost)(documents[side]["devices"][0])
    text = " ".join(_text(documents["a"], documents["b"]).split())
    assert text.endswith(
        f"no difference; findings: none not known, so not compared: {said}; the first "
        "is MTU of veth0 (host): Excluded page; --format json lists all"
    )


def test_what_is_not_known_is_somewhere() -> None:
    found = compared(_silent(small()), _silent(small()))
    for netns, name, said in (
        (None, None, "of the kernel: gone;"),
        ("pod1", None, "of namespace pod1: gone;"),
        ("pod1", "eth0", "of eth0 (pod1): gone;"),
        ("pod1", Unreadable("gone"), "of ? (pod1): gone;"),
    ):
        one = Unknown(netns, name, "mtu", "a", "gone")
        text = table(found._replace(unknown=(one,)), SOURCES, WIDE)
        assert said in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_lines_fit(width: int) -> None:
    a, b = _each_otherwise(45)
    b["target"]["release"] = "6.12.1-" + "x" * 60
    b["devices"][1]["alias"] = "y" * 200
    assert_fits(_text(a, b, Style(width), notes=True), width)
