# SPDX-License-Identifier: LGPL-2.1-or-later
"""What came, went and changed: each kind of change, and what is none."""

import copy
from typing import Any

from drgn_veth.analysis.compare.records import Comparison
from drgn_veth.analysis.netns_names import FilterError
import pytest

from tests.support.recorded import CORES, EVERY_CORE
from tests.support.reports import (
    Document,
    compared,
    device_of,
    other_boot,
    recorded_report,
    signs,
)
from tests.support.slow import slow_but

BAD = {"unreadable": "Excluded page"}


def names(found: Comparison) -> list[tuple[str, str, object]]:
    return [(one.change, one.netns, one.name) for one in found.devices]


# Recorded kernels


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
def test_a_report_against_itself(name: str) -> None:
    report = recorded_report(name)
    found = compared(report, report)
    assert not found.differ
    assert found.same_boot is True
    assert not [one for one in found.unknown if one.side != "both"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
def test_what_a_reboot_changes(name: str) -> None:
    """Addresses, inode numbers, ifindexes, PIDs and identifiers are never a change."""
    report = recorded_report(name)
    found = compared(report, other_boot(report))
    assert found.same_boot is False
    assert (found.target, found.devices, found.pairs, found.findings) == ((),) * 4
    assert found.namespaces == ()


@pytest.mark.slow
def test_two_kernels() -> None:
    """The scene of 6.12 has netkit, and each namespace its own default of RPS."""
    found = compared(recorded_report("6.1-zoo"), recorded_report("6.12-zoo"))
    assert [change.key for change in found.target] == ["release"]
    assert (found.namespaces, found.findings, found.unknown) == ((), (), ())
    assert names(found) == [
        ("came", "host", "nkl2a"),
        ("came", "host", "nkl3a"),
        ("came", "host", "nkl3b"),
        ("came", "pod1", "nkl2b"),
        ("changed", "rpsns", "rdefa"),
        ("changed", "rpsns", "rdefb"),
    ]
    (change,) = found.devices[-1].changes
    assert (change.key, change.old.values, change.new.values) == (
        *("rps.cpus", ((),)),
        ((1, 2),),
    )
    ends = [{one.a.name, one.b.name} for one in found.pairs]
    assert ends == [{"nkl2a", "nkl2b"}, {"nkl3a", "nkl3b"}]


def test_tags_of_kernels_that_compute_them_otherwise() -> None:
    found = compared(recorded_report("6.12-zoo"), recorded_report("7.3-zoo"))
    assert found.devices == ()
    # One of both is there with the same tag: they compute them alike.
    a, b = recorded_report("6.12-zoo"), recorded_report("7.3-zoo")
    device_of(b, "q11a")["xdp"]["driver"]["tag"] = device_of(a, "q11a")["xdp"][
        "driver"
    ]["tag"]
    assert len(compared(a, b).devices) > 5


@pytest.mark.parametrize(
    "first, second",
    slow_but(
        [("5.10-zoo", "7.3-zoo")], [(a, b) for a in CORES for b in CORES if a < b]
    ),
)
def test_mirrored(first: str, second: str) -> None:
    a, b = recorded_report(first), recorded_report(second)
    assert signs(compared(a, b)) == signs(compared(b, a), mirrored=True)


# Who is who


def test_renamed(a: Document, b: Document) -> None:
    """A device is known by its MAC address and that of its peer."""
    b["devices"][0]["name"] = "new"
    b["devices"][1]["peer"]["name"] = "new"
    found = compared(a, b)
    (device,) = found.devices
    (change,) = device.changes
    assert (device.name, change) == ("new", ("name", "veth0", "new"))
    assert found.pairs == ()
    b["devices"][1]["mac"] = "02:00:00:00:00:77"
    assert names(compared(a, b)) == [
        *(("came", "host", "new"), ("went", "host", "veth0")),
        ("changed", "pod1", "eth0"),
    ]


def test_moved(a: Document, b: Document) -> None:
    b["devices"][0].update(netns=b["devices"][1]["netns"], netns_label="pod1")
    b["devices"][1]["peer"]["netns"] = b["devices"][1]["netns"]
    b["devices"][0]["ifindex"] = b["devices"][1]["peer"]["ifindex"] = 77
    found = compared(a, b)
    (device,) = found.devices
    (change,) = device.changes
    assert (change.key, change.old.text, change.new.text) == (
        *("netns_label", "host"),
        "pod1",
    )
    assert found.pairs == ()


def test_two_with_one_address_are_not_taken_for_another(
    a: Document, b: Document
) -> None:
    for document, name in ((a, "old"), (b, "new")):
        for i in (0, 1):
            one = {**copy.deepcopy(document["devices"][0]), "peer": None}
            one.update(name=f"{name}{i}", ifindex=50 + i)
            document["devices"].append(one)
    assert [one.change for one in compared(a, b).devices] == [
        *("came", "came", "went", "went")
    ]


@pytest.mark.parametrize(
    "labels",
    [("pid:221(sleep)", "pid:183(sleep)"), ("web@4026532281", "web@4026533000")],
)
def test_numbers_in_labels(a: Document, b: Document, labels: tuple[str, str]) -> None:
    for document, label in zip((a, b), labels):
        document["namespaces"][1]["label"] = label
        document["devices"][1]["netns_label"] = label
    assert not compared(a, other_boot(b)).differ


def test_a_pair_that_came(a: Document, b: Document) -> None:
    a["devices"], a["pairs"], a["findings"] = [], [], []
    b["findings"] = []
    found = compared(a, b)
    assert names(found) == [("came", "host", "veth0"), ("came", "pod1", "eth0")]
    (one,) = found.pairs
    assert (one.change, one.kind, one.a.name, one.b.name) == (
        *("came", "veth", "veth0"),
        "eth0",
    )
    assert found.devices[0].values["mtu"] == 1500
    assert compared(b, a).pairs[0].change == "went"


def test_another_peer(a: Document, b: Document) -> None:
    """The ends are there, and the pair is another one."""
    for document in (a, b):
        other = {**copy.deepcopy(document["devices"][1]), "peer": None}
        document["devices"].append({**other, "name": "eth1", "ifindex": 9})
    _, eth0, eth1 = b["devices"]
    eth1["peer"], eth0["peer"] = eth0["peer"], None
    b["devices"][0]["peer"] = {"netns": eth1["netns"], "ifindex": 9, "name": "eth1"}
    found = compared(a, b)
    assert [(c.key) for d in found.devices for c in d.changes] == ["peer"] * 3
    assert {one.change for one in found.pairs} == {"came", "went"}


def test_ports_of_a_bridge_are_not_told_twice(a: Document, b: Document) -> None:
    for document in (a, b):
        bridge = {**copy.deepcopy(document["devices"][0]), "peer": None}
        bridge.update(name="br0", ifindex=9, kind="bridge")
        document["devices"].append(bridge)
    reference = {"netns": b["devices"][0]["netns"], "ifindex": 9, "name": "br0"}
    port = {**reference, "ifindex": 3, "name": "veth0"}
    b["devices"][0].update(master=reference, uppers=[reference])
    b["devices"][2]["lowers"] = [port]
    a["findings"] = b["findings"] = []
    (device,) = compared(a, b).devices
    assert (device.name, [c.key for c in device.changes]) == ("veth0", ["master"])
    # Nor is a bridge that was renamed.
    a = copy.deepcopy(b)
    b["devices"][2].update(name="br1", mac="02:00:00:00:00:88")
    a["devices"][2]["mac"] = "02:00:00:00:00:88"
    (device,) = compared(a, b).devices
    assert (device.name, [c.key for c in device.changes]) == ("br1", ["name"])


def test_more_queues_with_the_same_masks(a: Document, b: Document) -> None:
    one = {"cpus": [0, 1], "flow_entries": 0}
    a["devices"][0]["rps"] = [{"queue": 0, **one}]
    b["devices"][0]["rps"] = [{"queue": i, **one} for i in range(4)]
    assert not compared(a, b).devices
    b["devices"][0]["rps"][3]["cpus"] = []
    assert [c.key for d in compared(a, b).devices for c in d.changes] == ["rps.cpus"]


# Filters


def test_filters(a: Document, b: Document) -> None:
    for device in b["devices"]:
        device["mtu"] = 9000
    b["findings"] = a["findings"]

    def of(**wanted: Any) -> list[object]:
        return [one.name for one in compared(a, b, **wanted).devices]

    assert of() == ["veth0", "eth0"]
    assert of(names=["veth*"]) == ["veth0"]
    assert of(netns=["pod1"]) == of(netns=["/run/netns/pod1"]) == ["eth0"]
    assert of(netns=["p?d1"], names=["veth*"]) == []
    assert of(kinds=["v*"]) == ["veth0", "eth0"]
    b["devices"][0]["altnames"] = ["other"]
    assert of(names=["other"]) == ["veth0"]


@pytest.mark.parametrize(
    "wanted, said",
    [
        ({"names": ["veht0"]}, "no device in A or B matches 'veht0'; nearest: veth0"),
        ({"netns": ["pod"]}, "namespace in A or B is called 'pod'; nearest: pod1"),
        ({"kinds": ["veht"]}, "no device in A or B is of kind 'veht'; nearest: veth"),
    ],
)
def test_filters_that_match_nothing(
    a: Document, b: Document, wanted: Any, said: str
) -> None:
    with pytest.raises(FilterError, match=said):
        compared(a, b, **wanted)


@pytest.mark.parametrize("label", ["net:4026532309", "fd:812/3", "web@4026532309"])
def test_numbers_of_another_boot(a: Document, b: Document, label: str) -> None:
    """They may be those of another namespace: its devices decide."""
    for document in (a, b):
        document["namespaces"][1]["label"] = label
        document["devices"][1]["netns_label"] = label
        lo = {**copy.deepcopy(document["devices"][0]), "peer": None, "ifindex": 1}
        document["devices"].append({**lo, "name": "lo", "mac": None, "kind": None})
    for device in b["devices"][:2]:
        device["name"] = f"{device['name']}x"
        device["mac"] = f"02:99:{device['mac'][6:]}"
    found = compared(a, other_boot(b))
    assert found.same_boot is False
    came = [one.netns for one in found.namespaces if one.change == "came"]
    # Only a name says something.
    assert came == ([] if label.startswith("web") else [label])
