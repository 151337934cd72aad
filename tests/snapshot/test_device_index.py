# SPDX-License-Identifier: LGPL-2.1-or-later
"""Devices with one ifindex, and devices that the index of their namespace denies."""

from types import SimpleNamespace
from typing import Any

from drgn import offsetof
from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.snapshot.device_index import DeviceIndex, tell_apart
from drgn_veth.snapshot.found import Found
import pytest

from tests.support.snapshots import BAD, HOST, device
from tests.support.toy import NOWHERE, Toy
from tests.support.toy_packets import found_of

DEVICE = "struct net_device"
REGISTERED, UNREGISTERING = 1, 2
ENTRIES = 256  # NETDEV_HASHENTRIES
MOST_DENIED = 64


class Index:
    """The hash table of a namespace, and devices that have an ifindex."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        toy.struct("hlist_node", next="void *", pprev="void *")
        toy.struct("net_device", mtu="long", index_hlist="struct hlist_node")
        toy.struct("net", hash_mix="long", dev_index_head="void *")
        self.init = toy.variable("init_net", "struct net")
        self.net = toy.place("struct net")
        self.table = toy.place("void *", ENTRIES)
        toy.set("struct net", self.net, dev_index_head=self.table)
        self.offset = offsetof(toy.prog.type(DEVICE), "index_hlist")
        self.found: dict[int, Found] = {}

    def add(
        self, ifindex: int, state: int = REGISTERED, off_list: Any = None, **raw: Any
    ) -> int:
        at = self.toy.place(DEVICE)
        one = device(HOST, ifindex, f"d{len(self.found)}", net_device=at)
        (found,) = found_of(one).values()
        known = SimpleNamespace(**{"net": self.net, "reg_state": state, **raw})
        ref = found.ref._replace(off_list=off_list)
        self.found[at] = found._replace(raw=known, ref=ref)  # type: ignore[arg-type]
        return at

    def hash(self, bucket: int, *devices: int) -> None:
        """Put devices into a bucket."""
        before = self.table + 8 * bucket
        for at in devices:
            self.toy.put(before, "Q", at + self.offset)
            self.toy.put(at + self.offset + 8, "Q", before)
            before = at + self.offset

    def right(self, *devices: int, offset: Any = None) -> "list[int]":
        """Return those of some devices that keep their ifindex."""
        found = dict(self.found)
        tell_apart(self.toy.prog, offset or self.offset, found)
        lost = [
            at for at, one in found.items() if isinstance(one.ref.ifindex, Unreadable)
        ]
        assert set(lost) <= set(devices)
        return [at for at in devices if at not in lost]


@pytest.fixture
def index(toy: Toy) -> Index:
    return Index(toy)


@pytest.mark.parametrize("ifindex", [1, 7, ENTRIES + 7])
def test_the_table_has_one_of_two(index: Index, ifindex: int) -> None:
    first, other, second = index.add(ifindex), index.add(9), index.add(ifindex)
    index.hash(ifindex % ENTRIES, second)
    index.hash(9, other)
    assert index.right(first, second) == [second]
    (why,) = (one for one in _ifindexes(index) if isinstance(one, Unreadable))
    assert why.reason == f"invalid ifindex {ifindex}: {second:#x} has it, too"


def _ifindexes(index: Index) -> "list[Maybe[int]]":
    found = dict(index.found)
    tell_apart(index.toy.prog, index.offset, found)
    return [one.ref.ifindex for one in found.values()]


def test_behind_others_in_its_bucket(index: Index) -> None:
    first, second = index.add(7), index.add(7)
    others = [index.add(7 + ENTRIES), index.add(7 + 2 * ENTRIES)]
    index.hash(7, *others, first)
    assert index.right(first, second) == [first]
    # An entry that nothing leads to.
    index.toy.put(others[1] + index.offset, "Q", others[1])
    assert index.right(first, second) == []


def test_in_another_bucket(index: Index) -> None:
    first, second = index.add(7), index.add(7)
    index.hash(8, first)
    assert index.right(first, second) == []
    # Each names the other one.
    whys = [one.reason for one in _ifindexes(index) if isinstance(one, Unreadable)]
    assert whys == [
        f"invalid ifindex 7: {other:#x} has it, too" for other in (second, first)
    ]


def test_table_that_has_both(index: Index) -> None:
    first, second = index.add(7), index.add(7)
    index.hash(7, first, second)
    assert index.right(first, second) == []


def test_table_that_loops(index: Index) -> None:
    """The search ends."""
    first, second = index.add(7), index.add(7)
    for one, other in ((first, second), (second, first)):
        index.toy.put(one + index.offset, "2Q", *[other + index.offset] * 2)
    assert index.right(first, second) == []


def test_table_that_cannot_be_read(index: Index) -> None:
    first, second = index.add(7), index.add(7)
    index.hash(7, second)
    assert index.right(first, second, offset=BAD) == []
    index.toy.put(second + index.offset + 8, "Q", NOWHERE)
    assert index.right(first, second) == []
    index.toy.put(second + index.offset + 8, "Q", index.table + 8 * 7)
    assert index.right(first, second) == [second]
    # Where it leads is not in the dump, but that is the bucket.
    index.toy.set("struct net", index.net, dev_index_head=NOWHERE)
    index.toy.put(second + index.offset + 8, "Q", NOWHERE + 8 * 7)
    assert index.right(first, second) == [second]


def test_without_namespaces(index: Index) -> None:
    """CONFIG_NET_NS=n: all are in init_net."""
    first, second = (index.add(7, net=None) for _ in range(2))
    index.hash(7, first)
    assert index.right(first, second) == []
    index.toy.set("struct net", index.init, dev_index_head=index.table)
    assert index.right(first, second) == [first]


def test_one_ifindex_is_enough_for_two_namespaces(index: Index) -> None:
    devices = [index.add(7), index.add(7, net=NOWHERE), index.add(7, net=BAD)]
    devices.append(index.add(7, net=BAD))
    assert index.right(*devices) == devices


def test_namespace_that_cannot_be_read(index: Index) -> None:
    devices = [index.add(7, net=NOWHERE), index.add(7, net=NOWHERE)]
    assert index.right(*devices) == []


def test_one_that_goes_may_have_lost_its_ifindex(index: Index) -> None:
    first = index.add(7)
    index.add(7, state=UNREGISTERING, off_list="unregistering")
    assert index.right(first) == [first]
    # During a move, it still has it.
    moved = index.add(7, off_list="on no list, as during a move")
    assert index.right(first, moved) == []


# Lists with devices that are in no index ---------------------------------------------


def test_devices_that_no_index_has(index: Index) -> None:
    layouts = SimpleNamespace(prog=index.toy.prog, index_hlist=BAD)
    blind = DeviceIndex(layouts)  # type: ignore[arg-type]
    raw = SimpleNamespace(index_pprev=index.table)
    for at in range(MOST_DENIED + 1):
        assert blind.too_many_without(at, raw) is None  # type: ignore[arg-type]
    layouts.index_hlist = index.offset
    seen = DeviceIndex(layouts)  # type: ignore[arg-type]

    def why(at: int, pprev: Any) -> Any:
        raw = SimpleNamespace(index_pprev=pprev)
        return seen.too_many_without(at, raw)  # type: ignore[arg-type]

    known = index.add(7)
    index.hash(7, known)
    assert why(known, index.table + 8 * 7) is None
    # What leads to it is not in the dump, or not known at all.
    assert why(index.add(8), NOWHERE) is None
    assert why(index.add(8), None) is None and why(index.add(8), BAD) is None
    assert seen.lacks is None
    denied = []
    for number in range(MOST_DENIED):
        denied.append(index.add(9))
        # What leads to another one does not lead to this one, nor does NULL.
        pprev = (NOWHERE, 0, index.table + 8 * 7)[number % 3]
        assert why(denied[-1], pprev) is None
    first = ", ".join(f"{at:#x}" for at in denied[:3])
    assert seen.lacks == f"64 on lists are in no index, such as {first}"
    assert why(denied[0], 0) is None
    assert why(index.add(9), 0) == Unreadable(
        "more than 64 devices are in no index: gave up"
    )
