# SPDX-License-Identifier: LGPL-2.1-or-later
"""What could not be read on one side is not known, and no change."""

from typing import Any

import pytest

from tests.support.reports import Document, compared, put

BAD = {"unreadable": "Excluded page"}


@pytest.mark.parametrize(
    "path", ["mtu", "flags", "peer", "rps", "xdp.generic", "queues"]
)
def test_unreadable_is_no_change(a: Document, b: Document, path: str) -> None:
    a["findings"] = b["findings"] = []
    put(path, BAD)(b["devices"][0])
    found = compared(a, b)
    assert not found.differ
    assert {(u.name, u.side, u.why) for u in found.unknown} == {
        ("veth0", "b", "Excluded page")
    }
    found = compared(b, b)
    assert not found.differ and {u.side for u in found.unknown} == {"both"}


def test_a_queue_that_is_unreadable(a: Document, b: Document) -> None:
    """The other queues are compared."""
    for document, cpus in ((a, [[0], [1]]), (b, [BAD, [1]])):
        document["devices"][0]["rps"] = [
            {"queue": i, "cpus": one, "flow_entries": 0} for i, one in enumerate(cpus)
        ]
    found = compared(a, b)
    assert not found.devices and [u.key for u in found.unknown] == ["rps.cpus"]
    b["devices"][0]["rps"][1]["cpus"] = [2]
    found = compared(a, b)
    assert [c.key for d in found.devices for c in d.changes] == ["rps.cpus"]


@pytest.mark.parametrize(
    "old, new, change, unknown",
    [
        # A queue without a mask has as much as no queue.
        ([], [[], [], [], []], False, False),
        ([], [[], [], [1], []], True, False),
        ([], [[], BAD], False, True),
        ([], [BAD, [1]], True, False),
        # As much as the queues that there were; these differ.
        ([[1]], [[1], BAD], False, True),
        ([BAD], [[1], [1]], False, True),
        ([[0], [1]], [[0], [1], [1]], True, False),
    ],
)
def test_queues_that_only_one_report_has(
    a: Document, b: Document, old: Any, new: Any, change: bool, unknown: bool
) -> None:
    for left, right in ((old, new), (new, old)):
        for document, masks in ((a, left), (b, right)):
            document["devices"][0]["rps"] = [
                {"queue": i, "cpus": one, "flow_entries": 0}
                for i, one in enumerate(masks)
            ]
        found = compared(a, b)
        said = [c.key for d in found.devices for c in d.changes]
        assert said == ["rps.cpus"] * change
        assert [u.key for u in found.unknown] == ["rps.cpus"] * unknown


def test_a_member_of_a_list_that_is_unreadable(a: Document, b: Document) -> None:
    """What is compared of the list is not known, then."""
    programs = [{"where": "tcx/ingress", "id": 3, "name": one} for one in ("a", BAD)]
    for record, key, values in (
        ("devices", "tc", programs),
        ("namespaces", "containers", [{"id": "9f86"}, {"id": BAD}]),
        ("namespaces", "holders", [{"kind": "socket"}, {"kind": BAD}]),
    ):
        before = b[record][1].get(key)
        b[record][1][key] = values
        found = compared(a, b)
        assert not found.differ
        assert [(u.key, u.side) for u in found.unknown] == [(key, "b")]
        b[record][1][key] = values[:1]
        assert compared(a, b).differ
        b[record][1][key] = before or []


def test_processes_that_were_not_read(a: Document, b: Document) -> None:
    """Then nothing is known of containers; and of no holders, nothing is said."""
    del b["namespaces"][1]["containers"]
    b["namespaces"][1].pop("holders", None)
    found = compared(a, b)
    assert not found.differ
    assert [(u.key, u.why) for u in found.unknown] == [
        ("containers", "processes were not read")
    ]


def test_a_name_that_is_unreadable(a: Document, b: Document) -> None:
    """Nobody knows whether the device of the other side is that one."""
    a["findings"] = b["findings"] = []
    b["devices"][1]["name"] = BAD
    found = compared(a, b)
    assert not found.devices and not found.pairs
    assert {(u.key, u.side) for u in found.unknown} == {
        ("device", "b"),
        ("device", "a"),
    }


@pytest.mark.parametrize("what", ["namespaces", "devices of namespace 4026531840"])
def test_a_list_that_is_incomplete(a: Document, b: Document, what: str) -> None:
    b["unreadable"] = [{"what": what, "why": "the list loops"}]
    b["devices"], b["pairs"], b["findings"] = [], [], []
    del b["namespaces"][1]
    a["findings"] = []
    found = compared(a, b)
    assert not found.differ
    assert {(u.key, u.side) for u in found.unknown} == {
        *(("device", "b"), ("namespace", "b"))
    }
    b["unreadable"] = [{"what": "tasks", "why": "the list loops"}]
    assert len(compared(a, b).devices) == 2


def test_an_older_report(a: Document, b: Document) -> None:
    """What it does not have yet is not known."""
    for device in a["devices"]:
        del device["addresses"]
    b["devices"][0]["addresses"] = ["10.0.0.1/24"]
    found = compared(a, b)
    assert not found.differ
    assert {(u.key, u.side) for u in found.unknown} == {("addresses", "a")}
