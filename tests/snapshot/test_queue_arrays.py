# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrays of which some queues are on pages that are not in the dump."""

from drgn_veth.core.unreadable import Maybe, Unreadable
from drgn_veth.readers.queues import TxQueue
from drgn_veth.snapshot.queue_arrays import owned

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
