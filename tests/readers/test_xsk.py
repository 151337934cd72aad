# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rings of AF_XDP sockets: a process writes to them."""

from typing import Optional

from drgn import Object
from drgn_veth.readers.xsk import (
    XskCounts,
    xsk_get_pool_from_qid,
    xsk_queue_counts,
    xsk_state_name,
)
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


@pytest.mark.parametrize(("rx", "tx"), [(2, 3), (3, 2), (1, 1), (0, 0)])
def test_pool_of_a_queue(toy: Toy, rx: int, tx: int) -> None:
    """Of its RX queue, or of its TX queue where there is one of the number."""
    toy.struct("xsk_buff_pool", id="int")
    pool = "struct xsk_buff_pool *"
    toy.struct("netdev_rx_queue", dev="void *", pool=pool)
    toy.struct("netdev_queue", state="long", dev="void *", pool=pool)
    toy.struct(
        "net_device",
        _rx="struct netdev_rx_queue *",
        _tx="struct netdev_queue *",
        **dict.fromkeys(("num_rx_queues", "num_tx_queues"), "unsigned int"),
        **dict.fromkeys(("real_num_rx_queues", "real_num_tx_queues"), "unsigned int"),
    )
    at = toy.place("struct net_device")
    all_rx, all_tx = (
        toy.place(f"struct netdev_{name}", 4) for name in ("rx_queue", "queue")
    )
    toy.set("struct net_device", at, num_rx_queues=4, num_tx_queues=4)
    toy.set("struct net_device", at, real_num_rx_queues=rx, real_num_tx_queues=tx)
    toy.set("struct net_device", at, _rx=all_rx, _tx=all_tx)
    dev = Object(toy.prog, "struct net_device *", at)

    def pools() -> "list[int]":
        return [xsk_get_pool_from_qid(dev, queue).value_() for queue in range(4)]

    assert pools() == [0] * 4
    for i in range(4):
        toy.put(all_tx + 24 * i + 16, "Q", 0x200 + i)
    assert pools() == [0x200 + i if i < tx else 0 for i in range(4)]
    for i in range(4):
        toy.put(all_rx + 16 * i + 8, "Q", 0x100 + i)
    found = [0x100 + i if i < rx else 0x200 + i if i < tx else 0 for i in range(4)]
    assert pools() == found


def test_no_pools(toy: Toy) -> None:
    """CONFIG_XDP_SOCKETS=n"""
    toy.struct("xsk_buff_pool", id="int")
    toy.struct("netdev_rx_queue", dev="void *")
    toy.struct("netdev_queue", dev="void *")
    toy.struct(
        "net_device",
        _rx="struct netdev_rx_queue *",
        _tx="struct netdev_queue *",
        **dict.fromkeys(("num_rx_queues", "num_tx_queues"), "unsigned int"),
        **dict.fromkeys(("real_num_rx_queues", "real_num_tx_queues"), "unsigned int"),
    )
    at = toy.place("struct net_device")
    toy.set("struct net_device", at, num_rx_queues=1, num_tx_queues=1)
    toy.set("struct net_device", at, real_num_rx_queues=1, real_num_tx_queues=1)
    assert not xsk_get_pool_from_qid(Object(toy.prog, "struct net_device *", at), 0)
