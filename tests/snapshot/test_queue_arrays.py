# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrays of which some queues are on pages that are not in the dump."""

from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.model import QueueCount
from drgn_veth.readers.queues import TxQueue
from drgn_veth.snapshot.layouts import layout_of
from drgn_veth.snapshot.queue_arrays import confirmed_count, confirmed_queues, owned

from tests.support.toy import BASE, NOWHERE, Toy

DEV, OTHER = 0xFFFF888000000000, 0xFFFF888000001000
LOST = Unreadable("could not find memory segment")


def _queues(*devs: Maybe[int]) -> list[TxQueue]:
    queues = [TxQueue() for _ in devs]
    for queue, dev in zip(queues, devs):
        queue.dev = dev
    return queues


def test_a_few_may_be_lost() -> None:
    few = _queues(*[LOST] * 256, DEV)
    assert owned(few, len(few), DEV) == few
    more = [*few, *_queues(LOST)]
    assert owned(more, len(more), DEV) == LOST


def test_of_another_device() -> None:
    queues = _queues(DEV, LOST, OTHER)
    found = owned(queues, len(queues), DEV)
    assert isinstance(found, Unreadable)
    assert found.reason == (
        "there are 3 queues, but number 2 belongs to another device"
    )


# How many there are ------------------------------------------------------------------

MANY = 256  # more are believed only if the last can be read


class Array:
    """TX queues of a device at the end of the memory, of which the last may be lost."""

    def __init__(self, toy: Toy, lost: int = 0) -> None:
        self.toy = toy
        toy.struct("netdev_queue", dev="void *", state="unsigned long")
        layout = layout_of(toy.prog, "struct netdev_queue", TxQueue)
        assert not isinstance(layout, Unreadable)
        self.layout = layout
        self.lost = lost

    def first(self, *devs: int) -> int:
        """Return where an array begins whose last queues are not in the dump."""
        at = NOWHERE - 16 * (len(devs) - self.lost)
        for i, dev in enumerate(devs[: len(devs) - self.lost]):
            self.toy.put(at + 16 * i, "Q", dev)
        return at

    def count(self, first: Maybe[int], real: Maybe[int], all: Maybe[int]) -> QueueCount:
        return confirmed_count(self.layout, first, QueueCount(real, all), DEV)

    def both(
        self, first: Maybe[int], real: Maybe[int], all: Maybe[int]
    ) -> "tuple[QueueCount, object]":
        """Return the counts, and of how many queues in use the device is known."""
        count = QueueCount(real, all)
        count, queues = confirmed_queues(self.layout, first, count, DEV)
        if isinstance(queues, Unreadable):
            return count, queues
        return count, sum(queue.dev == DEV for queue in queues)


def _another(count: int, which: str) -> Unreadable:
    return Unreadable(
        f"there are {count} queues, but {which} belongs to another device"
    )


def test_counts_that_the_last_queue_confirms(toy: Toy) -> None:
    array = Array(toy)
    first = array.first(DEV, DEV, DEV, OTHER)
    assert array.both(first, 3, 3) == (QueueCount(3, 3), 3)
    assert array.both(first, 2, 3) == (QueueCount(2, 3), 2)
    assert array.both(first, 0, 0) == (QueueCount(0, 0), 0)
    why = _another(4, "the last one")
    assert array.count(first, 3, 4) == QueueCount(3, why)
    assert array.both(first, 3, 4) == (QueueCount(3, why), 3)
    assert array.both(first, 4, 4) == (QueueCount(why, why), why)
    first = array.first(DEV, DEV, OTHER, OTHER)
    assert array.count(first, 3, 4) == QueueCount(_another(3, "the last one"), why)


def test_counts_that_nothing_denies(toy: Toy) -> None:
    array = Array(toy)
    first = array.first(OTHER, OTHER)
    assert array.count(LOST, 1, 2) == QueueCount(1, 2)
    assert array.count(first, 1, LOST) == QueueCount(1, LOST)
    assert array.both(LOST, 1, 2) == (QueueCount(1, 2), LOST)
    assert array.both(first, LOST, 0) == (QueueCount(LOST, 0), LOST)
    bad = array.count(first, LOST, 2)
    assert bad == QueueCount(*[_another(2, "the last one")] * 2)


def test_last_queue_that_is_not_in_the_dump(toy: Toy) -> None:
    """An ordinary count is believed."""
    array = Array(toy, lost=1)
    first = array.first(*[DEV] * MANY)
    assert array.both(first, MANY, MANY) == (QueueCount(MANY, MANY), MANY - 1)
    first = array.first(*[DEV] * (MANY + 1))
    counts, why = array.both(first, MANY + 1, MANY + 1)
    assert counts == (why, why) and isinstance(why, Unreadable)
    assert array.count(first, 2, MANY + 1) == QueueCount(2, why)


def test_first_queues_that_are_not_in_the_dump(toy: Toy) -> None:
    array = Array(toy)
    toy.put(BASE, "2Q", DEV, 0)
    assert array.both(BASE - 32, 3, 3) == (QueueCount(3, 3), 1)
