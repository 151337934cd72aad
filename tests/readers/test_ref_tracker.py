# SPDX-License-Identifier: LGPL-2.1-or-later
"""References to a device that a kernel with CONFIG_NET_DEV_REFCNT_TRACKER knows."""

from drgn import Object, TypeMember, offsetof
from drgn_veth.core.errors import WalkError
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import RefTracker
from drgn_veth.readers.ref_tracker import (
    for_each_netdev_tracker,
    has_netdev_trackers,
    ref_tracker_stack,
)
from drgn_veth.snapshot.ref_trackers import ref_trackers
import pytest

from tests.support.toy import NOWHERE, Toy

#: The name of the pool's index, that of the pools, and the number of the first pool.
LAYOUTS = [
    ("slabindex", "stack_slabs", 0),  # v5.17
    ("pool_index", "stack_pools", 0),  # v6.3
    ("pool_index_plus_1", "stack_pools", 1),  # v6.9
]
POOL, OFFSET = 2, 3
STACK = (0xFFFF0010, 0xFFFF0020, 0xFFFF0030)


class Tracked:
    """A device with three references, one of which was put back."""

    def __init__(self, toy: Toy, layout: tuple[str, str, int] = LAYOUTS[-1]) -> None:
        self.toy = toy
        index, pools, first = layout
        prog = toy.prog
        bits = {index: (17, 0), "offset": (10, 17), "extra": (5, 27)}
        fields = [
            TypeMember(Object(prog, "unsigned int", bit_field_size=size), name, at)
            for name, (size, at) in bits.items()
        ]
        anonymous = prog.struct_type(None, 4, fields)
        members = [
            TypeMember(prog.type("unsigned int"), "handle", 0),
            TypeMember(anonymous, None, 0),
        ]
        toy.declare(prog.union_type("handle_parts", 4, members))
        toy.struct(
            "stack_record",
            next="void *",
            hash="unsigned int",
            size="unsigned int",
            handle=prog.type("union handle_parts"),
            entries=prog.array_type(prog.type("unsigned long"), 0),
        )
        toy.struct(
            "ref_tracker",
            head="struct list_head",
            dead="unsigned char",
            alloc_stack_handle="unsigned int",
        )
        dir = toy.struct("ref_tracker_dir", list="struct list_head")
        toy.struct("net_device", name="unsigned long", refcnt_tracker=dir)
        place = toy.array(pools, "void *", 4)
        pool = toy.place("struct net_device", 32)
        toy.put(place + POOL * 8, "Q", pool)
        self.handle = (POOL + first) | OFFSET << 17
        self.record = pool + (OFFSET << 4)
        toy.set("struct stack_record", self.record, size=len(STACK))
        at = self.record + offsetof(prog.type("struct stack_record"), "handle")
        toy.put(at, "I", self.handle)
        entries = offsetof(prog.type("struct stack_record"), "entries")
        toy.put(self.record + entries, "3Q", *STACK)
        self.device = toy.place("struct net_device")
        self.trackers = [toy.place("struct ref_tracker") for _ in range(3)]
        head = self.device + offsetof(prog.type("struct net_device"), "refcnt_tracker")
        ring = [head, *self.trackers]
        for i, one in enumerate(ring):
            where = {"next": ring[(i + 1) % 4], "prev": ring[i - 1]}
            toy.set("struct list_head", one, **where)
        for tracker, handle in zip(self.trackers, (self.handle, self.handle, 0)):
            self.change(tracker, alloc_stack_handle=handle)
        self.change(self.trackers[1], dead=1)

    def change(self, tracker: int, **values: int) -> None:
        self.toy.set("struct ref_tracker", tracker, **values)

    def found(self) -> list[Object]:
        dev = Object(self.toy.prog, "struct net_device *", self.device)
        return list(for_each_netdev_tracker(dev))


@pytest.fixture
def tracked(toy: Toy) -> Tracked:
    return Tracked(toy)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stack(toy: Toy, layout: tuple[str, str, int]) -> None:
    tracked = Tracked(toy, layout)
    assert has_netdev_trackers(toy.prog)
    first, last = tracked.found()
    assert [first.value_(), last.value_()] == tracked.trackers[::2]
    assert ref_tracker_stack(first) == STACK
    assert ref_tracker_stack(last) == ()


def test_list_that_leads_nowhere(tracked: Tracked) -> None:
    tracked.toy.set("struct list_head", tracked.trackers[1], next=NOWHERE)
    with pytest.raises(WalkError, match="could not|point back"):
        tracked.found()


def test_handle_that_leads_nowhere(tracked: Tracked) -> None:
    (first, _) = tracked.found()
    for handle, error in (
        (tracked.handle + 1, "there is no stack"),
        (tracked.handle + (1 << 17), "is not stack"),
    ):
        tracked.change(tracked.trackers[0], alloc_stack_handle=handle)
        with pytest.raises(WalkError, match=error):
            ref_tracker_stack(first)


def test_stack_that_does_not_end(tracked: Tracked) -> None:
    (first, _) = tracked.found()
    tracked.toy.set("struct stack_record", tracked.record, size=1 << 31)
    with pytest.raises(WalkError, match="a stack of 2147483648 frames"):
        ref_tracker_stack(first)


def test_record(tracked: Tracked) -> None:
    """Those of one place are counted together; this kernel has no symbols."""
    again = tracked.trackers[1]
    tracked.change(again, dead=0)
    functions = tuple(map(hex, STACK))
    prog, device = tracked.toy.prog, tracked.device
    found = ref_trackers(prog, device)
    assert found == (RefTracker(2, functions), RefTracker(1, ()))
    tracked.change(again, alloc_stack_handle=tracked.handle + 1)
    found = ref_trackers(prog, device)
    assert isinstance(found, tuple)
    assert found[:1] == (RefTracker(1, functions),)
    bad = found[1].functions
    assert isinstance(bad, Unreadable) and "there is no stack" in bad.reason
    tracked.toy.set("struct list_head", again, next=NOWHERE)
    assert isinstance(ref_trackers(prog, device), Unreadable)


def test_kernel_that_tracks_others(tracked: Tracked) -> None:
    """CONFIG_REF_TRACKER alone: the list is there, and empty."""
    for tracker in tracked.trackers:
        tracked.change(tracker, dead=1)
    assert ref_trackers(tracked.toy.prog, tracked.device) is None


def test_kernel_without(toy: Toy) -> None:
    """Without CONFIG_REF_TRACKER the struct is empty; before v5.17 there is none."""
    empty = toy.struct("ref_tracker_dir")
    toy.struct("net_device", name="unsigned long", refcnt_tracker=empty)
    assert not has_netdev_trackers(toy.prog)
    assert ref_trackers(toy.prog, toy.place("struct net_device")) is None
    toy.struct("net_device", name="unsigned long")
    assert not has_netdev_trackers(toy.prog)
