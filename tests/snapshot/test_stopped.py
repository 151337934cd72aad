# SPDX-License-Identifier: LGPL-2.1-or-later
"""TX queues of a veth that wait for its peer, of a toy kernel."""

from types import SimpleNamespace
from typing import Any, Callable

from drgn_veth.core.moving import let_it_move
from drgn_veth.core.struct_layout import Layout
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, StoppedTxQueue, Veth
from drgn_veth.readers.queues import TxQueue
from drgn_veth.readers.veth import VethRq
from drgn_veth.snapshot.stopped import add_stopped
import pytest

from tests.support.snapshots import BAD, NO_XDP, pair, queues, rqs
from tests.support.toy import NOWHERE, Toy
from tests.support.toy_packets import found_of

DRV_XOFF = 1
_SCHED = 1  # NAPIF_STATE_SCHED
_RQ = "struct veth_rq"


class _Pair:
    """A veth whose TX queues are stopped, and its peer with the same RX queues."""

    def __init__(self, count: int) -> None:
        self.toy = toy = Toy()
        toy.struct("netdev_queue", dev="void *", state="unsigned long")
        numbers = dict.fromkeys(("producer", "consumer_head", "size"), "int")
        toy.struct(
            "veth_rq",
            dev="void *",
            xdp_prog="void *",
            napi="void *",
            xdp_napi=toy.struct("", state="unsigned long"),
            xdp_ring=toy.struct("", **numbers, queue="void *"),
        )
        self.tx = toy.place("struct netdev_queue", count)
        self.rqs = toy.place(_RQ, count)
        for i in range(count):
            self.state(i, DRV_XOFF)
            self.rq(i, xdp_ring__size=1, xdp_ring__queue=toy.place("void *"))
        a, b = pair(
            {**queues(count, count), "veth": Veth(0, 0)},
            {"xdp": NO_XDP._replace(queues=rqs(*[True] * count))},
        ).devices
        self.ends = [a, b]
        self.read: Callable[[int], VethRq] = self._layout(VethRq, _RQ).read

    def _layout(self, declared: Any, type: str) -> Any:
        return Layout(self.toy.prog, self.toy.prog.type(type), declared)

    def state(self, queue: int, state: int) -> None:
        self.toy.put(self.tx + queue * 16 + 8, "Q", state)

    def rq(self, queue: int, **values: int) -> None:
        size = self.toy.prog.type(_RQ).size
        assert size is not None
        self.toy.set(_RQ, self.rqs + queue * size, **values)

    def entry(self, queue: int, entry: int) -> None:
        """Put something into the ring of an RX queue."""
        ring = self.read(self.rqs + queue * (self.toy.prog.type(_RQ).size or 0)).ring
        assert isinstance(ring, int)
        self.toy.put(ring, "Q", entry)

    def look(self, **found: Any) -> Any:
        """What is told of the stopped queues of the first end."""
        rows: list[Device] = [*self.ends]
        layouts: Any = SimpleNamespace(
            prog=self.toy.prog,
            tx_queue=self._layout(TxQueue, "struct netdev_queue"),
            veth_rq=SimpleNamespace(size=self.toy.prog.type(_RQ).size, read=self.read),
            drv_xoff=DRV_XOFF,
        )
        known = {"veth_rqs": self.rqs, "tx": self.tx, **found}
        raw = SimpleNamespace(tx=known["tx"])
        discovery: Any = SimpleNamespace(
            found=found_of(*rows, raw=raw, veth_rqs=known["veth_rqs"])
        )
        add_stopped(layouts, discovery, rows, [self.ends[1].net_device])
        told, other = rows
        assert other == self.ends[1]
        assert told._replace(veth=self.ends[0].veth) == self.ends[0]
        return None if told.veth is None else told.veth.stopped


STUCK = StoppedTxQueue(0, True, False)


@pytest.fixture
def two() -> _Pair:
    return _Pair(2)


def test_each_that_its_driver_has_stopped(two: _Pair) -> None:
    assert two.look() == (STUCK, STUCK._replace(queue=1))
    # Another bit, __QUEUE_STATE_STACK_XOFF, is that of the qdisc.
    two.state(0, 2)
    two.state(1, 3)
    assert two.look() == (STUCK._replace(queue=1),)


def test_ring_and_napi_of_the_peer(two: _Pair) -> None:
    two.entry(0, 0x1000)
    two.rq(1, xdp_napi__state=_SCHED)
    assert two.look() == (
        StoppedTxQueue(0, False, False),
        StoppedTxQueue(1, True, True),
    )
    two.rq(0, xdp_ring__queue=NOWHERE)
    first, _ = two.look()
    assert isinstance(first.peer_ring_empty, Unreadable)
    assert first.peer_napi_scheduled is False


def test_only_a_queue_with_napi_has_a_ring(two: _Pair) -> None:
    one, peer = two.ends
    for napi in (False, BAD):
        xdp = NO_XDP._replace(queues=rqs(napi, True))
        two.ends = [one, peer._replace(xdp=xdp)]
        assert two.look() == (STUCK._replace(queue=1),)
    two.ends = [one, peer._replace(xdp=NO_XDP._replace(queues=rqs(False, False)))]
    assert two.look(veth_rqs=BAD) == ()
    for unknown in (None, BAD):
        two.ends = [one, peer._replace(xdp=NO_XDP._replace(queues=unknown))]
        assert two.look() == ()


def test_only_real_tx_queues_are_stopped(two: _Pair) -> None:
    one, peer = two.ends
    two.ends = [one._replace(**queues(1, 1, 2, 2)), peer]
    assert two.look() == (STUCK,)
    for real in (BAD, 1 << 20):
        two.ends = [one._replace(**queues(1, real, 1, 1)), peer]
        assert two.look() == ()


def test_what_could_not_be_read(two: _Pair) -> None:
    assert two.look(veth_rqs=BAD) == BAD
    assert isinstance(two.look(tx=NOWHERE), Unreadable)


def test_whose_queues_they_are(two: _Pair) -> None:
    """The veth that the one with NAPI is the peer of, if that is known."""
    one, peer = two.ends
    for ref in (None, BAD, one.ref._replace(net_device=1)):
        two.ends = [one, peer._replace(peer=ref)]
        assert two.look() == ()
    two.ends = [one._replace(veth=None), peer]
    assert two.look() is None


def test_live_queue_is_looked_at_twice(two: _Pair) -> None:
    """State and ring are of two moments: only what is so both times is told."""
    seen: list[int] = []
    read = two.read

    def later(at: int) -> VethRq:
        # When all were seen once, the ring of the first has a packet.
        if len(seen) == 2:
            two.toy.put(ring, "Q", 0x1000)
        seen.append(at)
        return read(at)

    ring: Any = read(two.rqs).ring
    two.read = later
    assert two.look() == (STUCK, STUCK._replace(queue=1)) and len(seen) == 2
    seen.clear()
    let_it_move(two.toy.prog)
    assert two.look() == (STUCK._replace(queue=1),)
    # It is so still, and so it stays.
    seen.clear()
    assert two.look() == (
        STUCK._replace(peer_ring_empty=False),
        STUCK._replace(queue=1),
    )


def test_live_queue_that_is_lost_the_second_time(two: _Pair) -> None:
    seen: list[int] = []
    read = two.read

    def once(at: int) -> VethRq:
        seen.append(at)
        if len(seen) == 2:
            two.state(0, 0)
            two.state(1, 0)
        return read(at)

    two.read = once
    let_it_move(two.toy.prog)
    assert two.look() == ()
    assert two.look(veth_rqs=BAD) == BAD
