# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which namespace of another report is the same one, if only numbers tell."""

from typing import Any

import pytest

from tests.support.reports import Document, compared, device_of, other_boot

NUMBER = "net:4026532281"


def _renamed(document: Document, old: str, new: str) -> None:
    for one in document["namespaces"]:
        if one["label"] == old:
            one.update(label=new, names=[], mounts=[])
    for one in document["devices"]:
        if one["netns_label"] == old:
            one["netns_label"] = new
    document["findings"] = []


def _changes(found: Any) -> list[tuple[str, str]]:
    return sorted((one.change, one.netns) for one in found.namespaces)


@pytest.mark.parametrize(
    ("label", "name", "same_boot", "same"),
    [
        # After a reboot another namespace may have the number: its devices tell.
        (NUMBER, "eth0", False, True),
        (NUMBER, "other0", False, False),
        (NUMBER, "other0", True, True),
        # A name is no number.
        ("web", "other0", False, True),
    ],
)
def test_numbers_as_labels(
    a: Document, b: Document, label: str, name: str, same_boot: bool, same: bool
) -> None:
    for document in (a, b):
        document["pairs"] = []
        _renamed(document, "pod1", label)
    device_of(b, "eth0").update(name=name, mac="02:00:00:00:00:99")
    # What two reports of one boot have in common: where their first device is.
    for document in (a, b):
        device_of(document, "veth0").update(ifindex=1)
    if not same_boot:
        b = other_boot(b)
    found = compared(a, b)
    assert found.same_boot is same_boot
    assert (_changes(found) == []) == same
    if not same:
        assert _changes(found) == [("came", label), ("went", label)]


def test_the_first_namespace_without_devices_that_tell(
    a: Document, b: Document
) -> None:
    """It is the first one on both sides, and its label says no more than that."""
    for document in (a, b):
        document["pairs"] = []
        for one in document["devices"]:
            one.update(mac=None)
    _renamed(a, "host", "host")
    _renamed(b, "host", "root")
    found = compared(a, b)
    assert {one.change for one in found.namespaces} <= {"changed"}
    assert {one.change for one in found.devices} <= {"changed"}
    # Without one on a side, there is nothing that it could be.
    b["namespaces"] = [one for one in b["namespaces"] if one["label"] != "root"]
    b["devices"] = [one for one in b["devices"] if one["netns_label"] != "root"]
    found = compared(a, b)
    assert [one for one in _changes(found) if one[0] == "went"] == [("went", "host")]


def test_a_label_with_a_pid(a: Document, b: Document) -> None:
    """A reboot changes it, and its devices are where they were."""
    for document, label in ((a, "pid:5(sleep)"), (b, "pid:9(sleep)")):
        document["pairs"] = []
        _renamed(document, "pod1", label)
    found = compared(a, b)
    assert not found.differ
    # A device of it that is not in the list is in the same namespace, too.
    for document in (a, b):
        device_of(document, "veth0")["peer"].update(ifindex=77, name="gone0")
    assert not compared(a, b).differ
    device_of(b, "veth0")["peer"].update(name="other0")
    (changed,) = compared(a, b).devices
    assert [one.key for one in changed.changes] == ["peer"]
