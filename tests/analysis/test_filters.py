# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filters, and what namespaces are called."""

from drgn_veth.analysis.filters import (
    FilterError,
    find_all_netns,
    find_netns,
    keep,
    named,
)
from drgn_veth.model import (
    Namespace,
    Snapshot,
)
import pytest

from tests.support.snapshots import BAD, HOST, POD, device, snapshot


def test_filters() -> None:
    whole = snapshot(
        device(HOST, 3, "veth0", altnames=("uplink",)),
        device(POD, 3, "eth0"),
        device(POD, 4, "br0", kind="bridge"),
    )
    part = keep(whole, netns={POD})
    assert [d.name for d in part.devices] == ["eth0", "br0"]
    assert len(part.pairs) == 1
    assert [n.inum for n in part.namespaces] == [POD]
    assert [d.name for d in keep(whole, names=["up*"]).devices] == ["veth0"]
    assert [d.name for d in keep(whole, kinds=["bridge"]).devices] == ["br0"]
    assert keep(whole, kinds=["bridge"]).pairs == ()
    assert keep(whole) is whole
    for wrong in (
        {"netns": {POD, 7}},
        {"names": ["eth0", "no*"]},
        {"kinds": ["netkit"]},
    ):
        with pytest.raises(FilterError):
            keep(whole, **wrong)


def named_namespaces(*more: Namespace) -> Snapshot:
    """The first one, one of `ip netns`, one with a mount elsewhere, and more."""
    whole = snapshot(device(HOST, 3, "a"), device(POD, 3, "a"), device(POD + 1, 4, "b"))
    namespaces = (
        Namespace(HOST, True, 1),
        Namespace(POD, False, 1, names=("pod1",), mounts=("/run/netns/pod1",)),
        Namespace(POD + 1, False, 1, mounts=("/var/lib/x/ns",)),
    )
    return whole._replace(namespaces=namespaces + more)


@pytest.mark.parametrize(
    "given, inum",
    [
        ("host", HOST),
        (str(POD), POD),
        (f"{POD:#x}", POD),
        (f"net:[{POD}]", POD),
        ("pod1", POD),
        (f"pod1@{POD}", POD),
        (f"host@{HOST}", HOST),
        ("/run/netns/pod1", POD),
        ("/var/run/netns/pod1", POD),
        ("/run//netns/./pod1", POD),
        ("/var/lib/x/ns", POD + 1),
    ],
)
def test_namespace_by_what_it_is_called(given: str, inum: int) -> None:
    whole = named_namespaces()
    assert find_netns(whole, given) == inum
    assert find_all_netns(whole, [given]) == frozenset({inum})
    assert {d.netns for d in named(whole, [], [given])} == {inum}


@pytest.mark.parametrize(
    "given", ["", "/", "no", "pod", "net:[pod1]", "net:[7]", "run/netns/pod1", "@"]
)
def test_namespace_that_is_not_there(given: str) -> None:
    more = [Namespace(i, False, 0, names=(f"n{i}",)) for i in range(100, 130)]
    with pytest.raises(FilterError) as error:
        find_netns(named_namespaces(*more), given)
    said = str(error.value)
    assert said.startswith(
        f"no network namespace has the name, path or inode number {given}"
    )
    assert said.count("(") == 12 and said.endswith(" and 21 more")


def test_namespaces_that_are_called_the_same() -> None:
    """`host` is the first one; `ip netns` may have another, and so with a number."""
    other = Namespace(POD + 9, False, 0, names=("host", str(POD)))
    whole = named_namespaces(other)
    for given, exact in (
        ("host", {f"host@{HOST}": HOST, f"host@{POD + 9}": POD + 9}),
        (str(POD), {f"net:[{POD}]": POD, f"{POD}@{POD + 9}": POD + 9}),
    ):
        with pytest.raises(FilterError) as error:
            find_netns(whole, given)
        said = str(error.value)
        assert said.startswith(f"2 network namespaces are called {given}; choose one")
        for text, inum in exact.items():
            assert text in said
            assert find_netns(whole, text) == inum


def test_namespaces_at_one_path() -> None:
    """A mount hides another."""
    whole = named_namespaces(Namespace(7, False, 0, mounts=("/run/netns/pod1",)))
    with pytest.raises(FilterError, match=rf"net:\[{POD}\], net:\[7\]"):
        find_netns(whole, "/run/netns/pod1")


def test_namespace_whose_name_is_no_text() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=("n\\xff",)))
    assert find_netns(whole, "n\udcff") == 7


def test_names_of_namespaces_that_could_not_be_read() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=BAD, mounts=BAD))
    with pytest.raises(FilterError, match=f"names could not be read: {BAD.reason}"):
        find_netns(whole, "pod2")


def test_several_namespaces() -> None:
    whole = named_namespaces()
    assert find_all_netns(whole, []) is None
    both = find_all_netns(whole, ["host", "pod1", "/run/netns/pod1"])
    assert both == frozenset({HOST, POD})
    part = keep(whole, netns=both)
    assert [d.netns for d in part.devices] == [HOST, POD]
    assert [n.inum for n in part.namespaces] == [HOST, POD]
    assert [d.netns for d in named(whole, ["a"], ["pod1", "host"])] == [HOST, POD]
    nowhere = "no device named 'b' in the network namespace pod1 or host$"
    with pytest.raises(FilterError, match=nowhere):
        named(whole, ["b"], ["pod1", "host"])
    with pytest.raises(FilterError, match="2 devices are named 'a'"):
        named(whole, ["a"])
