# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether two values differ, and which device of another report is the same one."""

import copy
from typing import Any

from drgn_veth.analysis.compare.values import (
    Label,
    PerQueue,
    Reference,
    Verdict,
    verdict,
)
import pytest

from tests.support.reports import Document, compared, device_of, document_of
from tests.support.snapshots import BAD, pair

SAME, UNKNOWN, DIFFERENT = Verdict.SAME, Verdict.UNKNOWN, Verdict.DIFFERENT


def _refer(token: Any, now: str = "pod1", name: Any = "eth0") -> Reference:
    return Reference(token, "net:1", name, now)


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (1, 1, SAME),
        (1, 2, DIFFERENT),
        (1, True, DIFFERENT),
        (0, False, DIFFERENT),
        (None, None, SAME),
        (BAD, 1, UNKNOWN),
        (1, BAD, UNKNOWN),
        (BAD, BAD, UNKNOWN),
        ((1, 2), (1, 2), SAME),
        ((1, 2), (1, 2, 3), DIFFERENT),
        ((), (1,), DIFFERENT),
        ((1, BAD), (1, 2), UNKNOWN),
        ((1, BAD), (2, 2), DIFFERENT),
        ((), (), SAME),
        # The token identifies a namespace; its label does not.
        (Label("a", "pod1"), Label("a", "pod2"), SAME),
        (Label("a", "pod1"), Label("b", "pod1"), DIFFERENT),
        (_refer(("both", 1)), _refer(("both", 1), "pod2", "eth1"), SAME),
        (_refer(("both", 1)), _refer(("both", 2)), DIFFERENT),
        # Of a device that is not in the list, its name.
        (_refer(None), _refer(None), SAME),
        (_refer(None), _refer(("both", 1)), SAME),
        (_refer(("both", 1)), _refer(None), SAME),
        (_refer(None), _refer(None, "pod2"), DIFFERENT),
        (_refer(None), _refer(None, "pod1", "eth1"), DIFFERENT),
        (_refer(None), None, DIFFERENT),
        (PerQueue((1, 1)), PerQueue((1, 1, 1)), SAME),
        (PerQueue((1, 1)), PerQueue((1, 1, 2)), DIFFERENT),
        (PerQueue((1, 2)), PerQueue((1, 2, 2)), DIFFERENT),
        (PerQueue((1, 2)), PerQueue((1, 2)), SAME),
        (PerQueue(()), PerQueue(()), SAME),
        (PerQueue(()), PerQueue((None, None)), SAME),
        (PerQueue(()), PerQueue((None, BAD)), UNKNOWN),
        (PerQueue(()), PerQueue((7, BAD)), DIFFERENT),
        (PerQueue((BAD,)), PerQueue((1,)), UNKNOWN),
    ],
)
def test_verdict(x: Any, y: Any, found: Verdict) -> None:
    assert verdict(x, y) is found
    assert verdict(y, x) is found


def test_the_worst_verdict_is_that_of_the_whole() -> None:
    assert SAME < UNKNOWN < DIFFERENT


def _keys(a: Document, b: Document) -> dict[str, list[tuple[str, Any, Any]]]:
    a["findings"] = b["findings"] = []
    return {str(one.name): list(one.changes) for one in compared(a, b).devices}


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        (["UP", "RUNNING"], "UP"),
        (["UP"], "NO-CARRIER"),
        (["RUNNING"], "DOWN"),
        ([], "DOWN"),
    ],
)
def test_states(a: Document, b: Document, flags: list[str], state: str) -> None:
    """Other flags are no part of them, and the operational state follows."""
    rest = ["BROADCAST", "MULTICAST"]
    one = device_of(b, "eth0")
    one.update(flags=[*rest, *flags], operstate="DOWN")
    (*_, found) = _keys(a, b)["eth0"]
    expected = ("operstate", "UP", "DOWN") if state == "UP" else ("state", "UP", state)
    assert found == expected and len(_keys(a, b)["eth0"]) == 1


def test_mounts_and_tasks_of_a_namespace(a: Document, b: Document) -> None:
    """A mount of a name says what the name says; how many tasks there are is noise."""
    for changes, keys in (
        ({"task_count": 3}, ["task_count"]),
        ({"task_count": 0}, []),
        ({"mounts": ["/run/netns/pod1", "/proc/7/ns/net"]}, ["mounts"]),
        ({"mounts": []}, []),
        ({"mounts": ["/run/netns/pod1", "/run/netns/other"]}, ["mounts"]),
        ({"mounts": {"unreadable": "x"}}, []),
    ):
        later = copy.deepcopy(b)
        a["findings"] = later["findings"] = []
        later["namespaces"][1].update(changes)
        found = compared(a, later).namespaces
        assert [c.key for one in found for c in one.changes] == keys, changes
    more = copy.deepcopy(b)
    b["namespaces"][1]["task_count"] = 2
    more["namespaces"][1]["task_count"] = 5
    b["findings"] = more["findings"] = []
    assert not compared(b, more).differ


def test_the_first_namespace_is_always_the_same(a: Document, b: Document) -> None:
    """Whatever it is called."""
    for one in b["namespaces"]:
        if one["init"]:
            one["label"] = "root"
    for one in b["devices"]:
        if one["netns_label"] == "host":
            one["netns_label"] = "root"
    a["findings"] = b["findings"] = []
    found = compared(a, b)
    assert {one.change for one in found.namespaces} <= {"changed"}
    assert not [one for one in found.devices if one.change != "changed"]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"mac": "00:00:00:00:00:00"}, False),
        ({"mac": None}, False),
        ({"kind": {"unreadable": "x"}}, False),
        ({"peer": {"unreadable": "x"}}, False),
        ({"peer": None}, True),
    ],
)
def test_a_device_that_was_renamed(
    a: Document, b: Document, changes: dict[str, Any], same: bool
) -> None:
    """Its address, kind and peer tell, if all of them are known."""
    for document in (a, b):
        device_of(document, "eth0").update(changes)
    device_of(b, "eth0")["name"] = "new0"
    a["findings"] = b["findings"] = a["pairs"] = b["pairs"] = []
    found = {(str(one.name), one.change) for one in compared(a, b).devices}
    apart = {("new0", "came"), ("eth0", "went")}
    assert apart.isdisjoint(found) == same
    assert (("new0", "changed") in found) == same


def test_one_of_a_name_that_is_on_no_list_comes_last(a: Document, b: Document) -> None:
    """The one that the kernel finds by name is the same as before."""
    old = device_of(a, "veth0")
    gone = {
        **copy.deepcopy(old),
        **{"off_list": "unregistering", "mac": None, "mtu": 1400, "peer": None},
        **{"ifindex": 90, "net_device": "0x9000"},
    }
    b["devices"].insert(0, gone)
    a["findings"] = b["findings"] = []
    found = [one for one in compared(a, b).devices if one.name == "veth0"]
    assert [one.change for one in found] == ["came"]


def test_two_findings_of_a_rule_about_one_device() -> None:
    a = document_of(pair({"mtu": 9000}))
    one = next(f for f in a["findings"] if f["rule"] == "xdp-peer-mtu")
    a["findings"] = [one]
    b = copy.deepcopy(a)
    b["findings"] = [one, one]
    found = compared(a, b)
    assert [f.change for f in found.findings] == ["came"]
    assert found.unchanged[one["severity"]] == 1
