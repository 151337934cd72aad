# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rings of pointers: where they begin, end, and contradict themselves."""

from drgn import Object
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.ptr_ring import (
    MAX_RING_SIZE,
    for_each_ptr_ring_entry,
    ptr_ring_used,
)
import pytest

from tests.support.toy import NOWHERE, Toy

SIZE = 8


def ring_of(toy: Toy, entries: "list[int]", **numbers: int) -> Object:
    """Return a ring whose memory has these entries."""
    members = ("producer", "consumer_head", "size")
    toy.struct("ptr_ring", **dict.fromkeys(members, "int"), queue="void **")
    queue = toy.place("void *", SIZE)
    toy.put(queue, f"{SIZE}Q", *entries)
    ring = toy.place("struct ptr_ring")
    toy.set("struct ptr_ring", ring, **{"size": SIZE, "queue": queue, **numbers})
    return Object(toy.prog, "struct ptr_ring *", ring)


@pytest.mark.parametrize(
    ("head", "producer", "used"),
    [(0, 0, []), (3, 3, []), (1, 4, [1, 2, 3]), (6, 2, [6, 7, 0, 1]), (7, 0, [7])],
)
def test_entries(head: int, producer: int, used: "list[int]") -> None:
    entries = [0x100 + i if i in used else 0 for i in range(SIZE)]
    ring = ring_of(Toy(), entries, consumer_head=head, producer=producer)
    assert ptr_ring_used(ring) == len(used)
    found = [entry.value_() for entry in for_each_ptr_ring_entry(ring)]
    assert found == [0x100 + i for i in used]


def test_full() -> None:
    entries = list(range(0x101, 0x101 + SIZE))
    ring = ring_of(Toy(), entries, consumer_head=5, producer=5)
    found = [entry.value_() for entry in for_each_ptr_ring_entry(ring)]
    assert found == entries[5:] + entries[:5]


def test_used_up_entries_do_not_count() -> None:
    """The consumer clears entries later, in batches."""
    ring = ring_of(Toy(), [1, 1, 7, 0, 0, 0, 0, 0], consumer_head=2, producer=3)
    assert [e.value_() for e in for_each_ptr_ring_entry(ring)] == [7]


def test_no_room() -> None:
    ring = ring_of(Toy(), [0] * SIZE, size=0, queue=NOWHERE)
    assert (ptr_ring_used(ring), list(for_each_ptr_ring_entry(ring))) == (0, [])


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"size": MAX_RING_SIZE + 1}, "a ring with"),
        ({"size": -1}, "a ring with -1 entries"),
        ({"producer": SIZE}, "producer is 8"),
        ({"producer": -2}, "producer is -2"),
        ({"consumer_head": SIZE + 1}, "consumer_head is 9"),
    ],
)
def test_numbers_that_cannot_be(numbers: "dict[str, int]", why: str) -> None:
    toy = Toy()
    ring = ring_of(toy, [1] * SIZE)
    for name, value in numbers.items():
        at = ring.member_(name).address_of_().value_()
        toy.put(at, "i", value)
    with pytest.raises(ValueError, match=why):
        ptr_ring_used(ring)


def test_hole() -> None:
    entries = [1, 2, 0, 4, 0, 0, 0, 0]
    ring = ring_of(Toy(), entries, consumer_head=0, producer=4)
    with pytest.raises(WalkError, match="entry 2 of the ring is NULL"):
        list(for_each_ptr_ring_entry(ring))
