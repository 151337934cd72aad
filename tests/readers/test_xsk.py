# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rings of AF_XDP sockets: a process writes to them."""

from typing import Optional

from drgn import Object
from drgn_veth.readers.xsk import XskCounts, xsk_queue_counts, xsk_state_name
import pytest

from tests.support.toy import Toy

MOST = (1 << 32) - 1


@pytest.mark.parametrize(
    ("size", "producer", "consumer", "used"),
    [
        *((8, 0, 0, 0), (8, 8, 0, 8), (8, 9, 0, None), (8, 3, 4, None)),
        *((8, 2, MOST, 3), (1 << 31, 1 << 31, 0, 1 << 31)),
        ((1 << 31) + 1, 1, 0, None),
    ],
)
def test_how_full(size: int, producer: int, consumer: int, used: Optional[int]) -> None:
    toy = Toy()
    u32 = toy.prog.int_type("unsigned int", 4, False)
    toy.struct("xdp_ring", producer=u32, consumer=u32, flags=u32)
    toy.struct("xsk_queue", nentries=u32, ring="struct xdp_ring *")
    ring, queue = toy.place("struct xdp_ring"), toy.place("struct xsk_queue")
    toy.set("struct xdp_ring", ring, producer=producer, consumer=consumer, flags=1)
    toy.set("struct xsk_queue", queue, nentries=size, ring=ring)
    there = Object(toy.prog, "struct xsk_queue *", queue)
    if used is not None:
        assert xsk_queue_counts(there) == XskCounts(size, used, 1)
        return
    with pytest.raises(ValueError, match=f"the ring has {size} entries"):
        xsk_queue_counts(there)


def test_states() -> None:
    assert [xsk_state_name(i) for i in range(3)] == ["ready", "bound", "unbound"]
    for state in (-1, 3):
        with pytest.raises(ValueError, match=f"state is {state}"):
            xsk_state_name(state)
