# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets in rings, lists and qdiscs of a toy kernel."""

from types import SimpleNamespace
from typing import Any, Optional

from drgn import Object, sizeof
from drgn_veth.core.packets import leave_packets_out
from drgn_veth.core.unreadable import NOT_IN_SLICE, Unreadable
from drgn_veth.model import PacketInFlight, QueueInFlight, Xdp
from drgn_veth.readers.veth import is_xdp_frame
from drgn_veth.snapshot.in_flight import add_in_flight
from drgn_veth.snapshot.packets import Packets, Ring, queued
from drgn_veth.snapshot.qdisc_packets import QdiscPackets, is_holding
import pytest

from tests.support import toy_packets
from tests.support.snapshots import BAD, HOST, device, pair, rqs, snapshot
from tests.support.toy_packets import found_of

#: Devices that the packets are of, and one that nobody knows.
ONE = device(HOST, 3, "one")
TWO = device(HOST, 4, "two")
NOBODY = 0x77
LOST = Unreadable(f"there is no device at {NOBODY:#x}")
LEFT_OUT = Unreadable(NOT_IN_SLICE)
IPV4 = "0x0800"
_IN_FLIGHT = "drgn_veth.snapshot.in_flight"


@pytest.fixture
def toy() -> toy_packets.Packets:
    return toy_packets.Packets()


def _packets(toy: toy_packets.Packets) -> Packets:
    return Packets(toy.prog, found_of(ONE, TWO))


def _skb(len: int, device: Any) -> PacketInFlight:
    return PacketInFlight("skb", device, len, IPV4)


# Rings


def _ring(
    toy: toy_packets.Packets, entries: "list[int]", where: str = "veth-ring"
) -> Optional[QueueInFlight]:
    ring = toy.toy.place("struct ptr_ring")
    toy.fill(ring, entries, 32)
    raw = Object(toy.prog, "struct ptr_ring *", ring)
    numbers = Ring(
        *(
            getattr(raw, name).value_()
            for name in ("producer", "consumer_head", "size", "queue")
        )
    )
    found = list(_packets(toy).ring(where, numbers, is_xdp_frame, queue=2))
    assert len(found) <= 1
    return found[0] if found else None


def _four(toy: toy_packets.Packets) -> "list[int]":
    """Three socket buffers, and a frame that has a mark."""
    one, two = ONE.net_device, TWO.net_device
    return [
        *(toy.skb(60, one), toy.frame(90, two) | 1),
        *(toy.skb(61, NOBODY), toy.skb(62)),
    ]


@pytest.mark.parametrize(
    ("where", "device"), [("veth-ring", None), ("cpumap", TWO.ref)]
)
def test_ring(toy: toy_packets.Packets, where: str, device: Any) -> None:
    """Only a CPUMAP sets xdp_frame.dev_rx."""
    oldest = (
        _skb(60, ONE.ref),
        PacketInFlight("xdp_frame", device, 90),
        _skb(61, LOST),
        _skb(62, None),
    )
    expected = QueueInFlight(where, 4, 3, 1, oldest, queue=2, size=32)
    assert _ring(toy, _four(toy), where) == expected


def test_ring_that_is_empty(toy: toy_packets.Packets) -> None:
    assert _ring(toy, []) is None


def test_so_many_are_told_of_a_ring(toy: toy_packets.Packets) -> None:
    for length in (16, 17):
        found = _ring(toy, [toy.skb(i + 1) for i in range(length)])
        assert found is not None and isinstance(found.oldest, tuple)
        assert (found.length, found.skbs, found.xdp_frames) == (length, length, 0)
        assert [one.len for one in found.oldest] == list(range(1, 17))


def test_ring_of_which_packets_are_left_out(toy: toy_packets.Packets) -> None:
    """Not even what kinds they are: the marks are in the pointers."""
    entries = _four(toy)
    leave_packets_out(toy.prog)
    assert _ring(toy, entries) == QueueInFlight(
        "veth-ring", 4, LEFT_OUT, LEFT_OUT, LEFT_OUT, queue=2, size=32
    )


def test_what_is_no_packet(toy: toy_packets.Packets) -> None:
    """It stays in its place, and the others are told."""
    entries = [toy.skb(60), toy.skb(61, data_len=62), toy.frame(90, behind=-1) | 1]
    found = _ring(toy, entries)
    assert found is not None and isinstance(found.oldest, tuple)
    assert (found.length, found.skbs, found.xdp_frames) == (3, 2, 1)
    whole, skb, frame = found.oldest
    assert whole == _skb(60, None)
    for one in (skb.device, skb.len, skb.protocol):
        assert isinstance(one, Unreadable) and "no socket buffer" in one.reason
    for one in (frame.device, frame.len):
        assert isinstance(one, Unreadable) and "no XDP frame" in one.reason
    assert frame.protocol is None


def test_ring_whose_numbers_do_not_fit(toy: toy_packets.Packets) -> None:
    for size, said in ((8, 8), (-1, None), (BAD, None)):
        (found,) = _packets(toy).ring("tun-ring", Ring(9, 0, size, 0x10000))
        values = (found.length, found.skbs, found.xdp_frames, found.oldest)
        assert isinstance(found.length, Unreadable) and len(set(values)) == 1
        assert found.size == said


# Lists


def _listed(toy: toy_packets.Packets, length: Any, count: int) -> "list[QueueInFlight]":
    head = toy.toy.place("struct sk_buff_head")
    skbs = [toy.skb(i + 1) for i in range(count)]
    toy.queue(head, skbs)
    walk = queued(head, skbs[0] if skbs else head)
    return list(_packets(toy).listed("backlog", length, walk, cpu=1))


def test_list(toy: toy_packets.Packets) -> None:
    for length in (2, 16, 17):
        (found,) = _listed(toy, length, length)
        oldest = tuple(_skb(i + 1, None) for i in range(min(16, length)))
        assert found == QueueInFlight("backlog", length, length, 0, oldest, cpu=1)


def test_list_that_is_empty_or_has_no_length(toy: toy_packets.Packets) -> None:
    assert _listed(toy, 0, 0) == []
    lost = QueueInFlight("backlog", BAD, BAD, 0, BAD, cpu=1)
    assert _listed(toy, BAD, 1) == [lost]


def test_list_that_is_shorter_than_it_says(toy: toy_packets.Packets) -> None:
    for length, count in ((3, 2), (99, 15)):
        (found,) = _listed(toy, length, count)
        said = Unreadable(f"its length is {length}, but the list has {count}")
        assert (found.length, found.oldest) == (length, said)


def test_list_that_has_no_order(toy: toy_packets.Packets) -> None:
    (found,) = _packets(toy).listed("qdisc", 7, None, qdisc="htb")
    assert found == QueueInFlight("qdisc", 7, 7, 0, None, qdisc="htb")


def test_list_of_which_packets_are_left_out(toy: toy_packets.Packets) -> None:
    leave_packets_out(toy.prog)
    out = QueueInFlight("backlog", 2, LEFT_OUT, LEFT_OUT, LEFT_OUT, cpu=1)
    assert _listed(toy, 2, 2) == [out]


# Queues of devices


class _Kernel(toy_packets.Packets):
    """With a veth, of which each RX queue has a ring, and GRO."""

    def __init__(self, queues: int) -> None:
        super().__init__()
        toy, prog = self.toy, self.prog
        toy.struct("gro_list", list="struct list_head", count="int")
        toy.struct(
            "napi_struct",
            gro_bitmask="unsigned long",
            rx_count="int",
            rx_list="struct list_head",
            gro_hash=prog.array_type(prog.type("struct gro_list"), 8),
        )
        toy.struct("veth_rq", xdp_napi="struct napi_struct", xdp_ring="struct ptr_ring")
        self.rqs = toy.place("struct veth_rq", queues)

    def rq(self, queue: int, member: str = "xdp_napi") -> int:
        size = self.prog.type("struct veth_rq").size
        assert size is not None
        return self.rqs + queue * size + self.offset("struct veth_rq", member)

    def gro(self, queue: int, *skbs: int, count: Optional[int] = None) -> None:
        """Put packets into the list of those to pass on."""
        napi = self.rq(queue)
        self.queue(napi + self.offset("struct napi_struct", "rx_list"), skbs)
        number = len(skbs) if count is None else count
        self.toy.set("struct napi_struct", napi, rx_count=number)

    def bucket(self, queue: int, number: int, *skbs: int) -> None:
        """Put packets into a bucket of GRO; the newest comes first there."""
        napi = self.rq(queue)
        at = napi + self.offset("struct napi_struct", f"gro_hash[{number}]")
        self.queue(at, skbs[::-1])
        self.toy.put(at + 16, "I", len(skbs))
        self.toy.set("struct napi_struct", napi, gro_bitmask=1)

    def in_flight(
        self, napi: "tuple[Any, ...]", rqs_at: Any = None, **changes: Any
    ) -> "list[QueueInFlight]":
        """The packets of a veth with these queues; the toy has nothing else."""
        a, _ = pair({"xdp": Xdp(None, None, None, rqs(*napi)), **changes}).devices
        layouts: Any = SimpleNamespace(prog=self.prog)
        whole = snapshot(a)._replace(programs=())
        found = found_of(a, veth_rqs=rqs_at or self.rqs)
        told = add_in_flight(self.prog, layouts, whole, found).in_flight
        assert isinstance(told, tuple)
        *queues, backlog = told
        assert backlog.where == "backlog" and isinstance(backlog.length, Unreadable)
        assert all(one.device == a.ref for one in queues)
        return queues


def test_rings_of_a_veth() -> None:
    """Of a queue without NAPI, the memory may be another's."""
    kernel = _Kernel(4)
    for i in range(4):
        kernel.fill(kernel.rq(i, "xdp_ring"), [kernel.skb(60 + i)], 8)
    found = kernel.in_flight((True, False, BAD, True))
    assert [(one.where, one.queue, one.length) for one in found] == [
        ("veth-ring", 0, 1),
        ("veth-ring", 3, 1),
    ]
    for one, length in zip(found, (60, 63)):
        assert one.oldest == (_skb(length, None),)
    assert kernel.in_flight(()) == []
    lost = Xdp(None, None, None, BAD)
    assert kernel.in_flight((), xdp=lost) == []
    assert kernel.in_flight((True,), rqs_at=BAD) == []


def test_gro_of_a_veth() -> None:
    """First those to pass on, then those of the buckets, the oldest of each first."""
    kernel = _Kernel(2)
    kernel.gro(1, kernel.skb(1), kernel.skb(2), count=9)
    kernel.bucket(1, 0, kernel.skb(3))
    kernel.bucket(1, 7, kernel.skb(4), kernel.skb(5))
    (found,) = kernel.in_flight((True, True))
    oldest = tuple(_skb(i, None) for i in range(1, 6))
    assert (found.where, found.queue) == ("gro", 1)
    # rx_count is one of segments.
    assert (found.length, found.skbs, found.oldest) == (5, 5, oldest)


@pytest.mark.parametrize("kind", ["gro", "bucket"])
def test_gro_in_one_place_alone(kind: str) -> None:
    kernel = _Kernel(1)
    skb = kernel.skb(60)
    if kind == "gro":
        kernel.gro(0, skb)
    else:
        kernel.bucket(0, 3, skb)
    (found,) = kernel.in_flight((True,))
    assert (found.length, found.oldest) == (1, (_skb(60, None),))
    # Neither of the two says that there are any.
    kernel.toy.set("struct napi_struct", kernel.rq(0), gro_bitmask=0, rx_count=0)
    assert kernel.in_flight((True,)) == []


def test_gro_whose_list_is_broken() -> None:
    kernel = _Kernel(1)
    kernel.gro(0, kernel.skb(60), count=1)
    head = kernel.rq(0) + kernel.offset("struct napi_struct", "rx_list")
    kernel.toy.put(head, "2Q", 8, 8)
    kernel.bucket(0, 0, kernel.skb(61))
    (found,) = kernel.in_flight((True,))
    assert (found.where, found.queue) == ("gro", 0)
    assert isinstance(found.length, Unreadable) and found.oldest == found.length


def test_device_that_is_not_known_has_no_queues() -> None:
    kernel = _Kernel(1)
    whole = pair({"xdp": Xdp(None, None, None, rqs(True))})
    layouts: Any = SimpleNamespace(prog=kernel.prog)
    told = add_in_flight(kernel.prog, layouts, whole._replace(programs=()), {})
    assert isinstance(told.in_flight, tuple)
    assert [one.where for one in told.in_flight] == ["backlog"]


def test_rings_of_a_tun(toy: toy_packets.Packets) -> None:
    """One for each queue that a process has open."""
    tun, prog = toy.toy, toy.prog
    # As long as its alignment: the private data follow.
    long = prog.array_type(prog.type("long"), 4)
    tun.struct("net_device", own=long, priv=prog.array_type(prog.type("char"), 0))
    file = tun.struct("tun_file", tx_ring="struct ptr_ring")
    files = prog.array_type(prog.pointer_type(file), 4)
    tun.struct("tun_struct", numqueues="int", tfiles=files)
    dev = tun.place("struct net_device")
    private = tun.place("struct tun_struct")
    assert private == dev + 32
    tun.set("struct tun_struct", private, numqueues=3)
    for i in (0, 2, 3):
        at = tun.place("struct tun_file")
        toy.fill(at, [toy.skb(60 + i), toy.frame(90) | 1], 8)
        tun.put(private + 8 + 8 * i, "Q", at)
    one = device(HOST, 3, "tap0", kind="tun", net_device=dev)
    layouts: Any = SimpleNamespace(
        prog=prog, dev=lambda at: Object(prog, "struct net_device *", at)
    )
    told = add_in_flight(prog, layouts, snapshot(one), found_of(one)).in_flight
    assert isinstance(told, tuple)
    frame = PacketInFlight("xdp_frame", None, 90)
    assert list(told[:-1]) == [
        QueueInFlight(
            "tun-ring", 2, 1, 1, (_skb(60 + i, None), frame), one.ref, i, size=8
        )
        for i in (0, 2)
    ]


def test_backlogs(toy: toy_packets.Packets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each CPU the two queues, that with the older packets first."""
    names = ("process_queue", "input_pkt_queue")
    toy.toy.struct("softnet_data", **dict.fromkeys(names, "struct sk_buff_head"))
    cpus = [toy.toy.place("struct softnet_data") for _ in range(3)]
    for cpu, at in enumerate(cpus):
        for name in names:
            head = at + toy.offset("struct softnet_data", name)
            skbs = [toy.skb(10 * cpu + i, ONE.net_device) for i in range(cpu)]
            if (cpu, name) == (1, "process_queue"):
                skbs = []
            toy.queue(head, skbs)
            toy.toy.set("struct sk_buff_head", head, qlen=len(skbs))
    for name, function in (
        ("cpu_possible_mask", lambda prog: None),
        ("cpumask_cpus", lambda mask: range(3)),
        (
            "softnet_data",
            lambda prog, cpu: Object(prog, "struct softnet_data", address=cpus[cpu]),
        ),
    ):
        monkeypatch.setattr(f"{_IN_FLIGHT}.{name}", function)
    layouts: Any = SimpleNamespace(prog=toy.prog)
    told = add_in_flight(toy.prog, layouts, snapshot(), found_of(ONE)).in_flight

    def queue(cpu: int, part: str, *lengths: int) -> QueueInFlight:
        oldest = tuple(_skb(length, ONE.ref) for length in lengths)
        count = len(lengths)
        return QueueInFlight("backlog", count, count, 0, oldest, cpu=cpu, part=part)

    assert told == (
        queue(1, "input_pkt_queue", 10),
        queue(2, "process_queue", 20, 21),
        queue(2, "input_pkt_queue", 20, 21),
    )


def test_entry_of_a_cpumap_that_is_another_cpu(monkeypatch: Any) -> None:
    """It cannot be: the map is not what it looks like, but what came before is told."""
    kernel = _Kernel(1)
    rings = [kernel.toy.place("struct ptr_ring") for _ in range(3)]
    for i, ring in enumerate(rings):
        # A mark says that it is no frame.
        skbs = [kernel.skb(60 + i) | 1 for _ in range(2)]
        kernel.fill(ring, [*skbs, kernel.frame(90)], 8)
    kernel.toy.struct("bpf_cpu_map_entry", cpu="int", queue="void *")
    entries = []
    for cpu, ring in zip((0, 2, 2), rings):
        at = kernel.toy.place("struct bpf_cpu_map_entry")
        kernel.toy.set("struct bpf_cpu_map_entry", at, cpu=cpu, queue=ring)
        entries.append(Object(kernel.prog, "struct bpf_cpu_map_entry *", at))
    map = Object(kernel.prog, "void *", 8)
    for name, value in (
        ("for_each_xdp_prog", [None, None]),
        ("for_each_used_map", [map]),
        ("bpf_map_type", "cpumap"),
        ("bpf_map_id", 5),
        ("for_each_cpumap_entry", enumerate(entries)),
    ):
        monkeypatch.setattr(f"{_IN_FLIGHT}.{name}", lambda of, value=value: value)
    layouts: Any = SimpleNamespace(prog=kernel.prog)
    whole = snapshot()._replace(programs=BAD)
    told = add_in_flight(kernel.prog, layouts, whole, {}).in_flight
    assert isinstance(told, tuple)
    _, first, broken = told
    assert (first.where, first.queue, first.cpu, first.map_id) == ("cpumap", 0, 0, 5)
    assert (first.length, first.skbs, first.xdp_frames) == (3, 2, 1)
    why = Unreadable("entry 1 of a CPUMAP is that of CPU 2")
    assert broken == QueueInFlight("cpumap", why, why, why, why, map_id=5)
    # Nobody looks for maps where there are no programs.
    told = add_in_flight(kernel.prog, layouts, snapshot(), {}).in_flight
    assert isinstance(told, tuple) and len(told) == 1


# Qdiscs


def test_which_qdiscs_hold_packets() -> None:
    for kind in ("fq_codel", "mq", "pfifo_fast", "htb"):
        assert is_holding(kind)
    for nothing in ("noqueue", "noop", None, BAD):
        assert not is_holding(nothing)


_QDISC = "struct Qdisc"


class _Qdiscs(toy_packets.Packets):
    """Qdiscs of a device that has six TX queues."""

    def __init__(self) -> None:
        super().__init__()
        toy, prog = self.toy, self.prog
        char = prog.array_type(prog.type("char"), 16)
        ops = toy.struct("Qdisc_ops", next="void *", id=char)
        node = toy.struct("hlist_node", next="void *", pprev="void *")
        qdisc = toy.struct(
            "Qdisc",
            ops=prog.pointer_type(ops),
            **dict.fromkeys(("handle", "parent"), "unsigned int"),
            dev_queue="void *",
            **dict.fromkeys(("gso_skb", "skb_bad_txq"), "struct sk_buff_head"),
            q=toy.struct("", head="void *", tail="void *", qlen="unsigned int"),
            hash=node,
            defer_list=toy.struct("", first="void *"),
            privdata="long",
        )
        queue = toy.struct("netdev_queue", qdisc=prog.pointer_type(qdisc))
        heads = prog.array_type(toy.struct("hlist_head", first="void *"), 2)
        toy.struct(
            "net_device",
            qdisc=prog.pointer_type(qdisc),
            _tx=prog.pointer_type(queue),
            num_tx_queues="unsigned int",
            qdisc_hash=heads,
        )
        bands = prog.array_type(toy.struct("", ring="struct ptr_ring"), 3)
        toy.struct("pfifo_fast_priv", q=bands)
        lists = dict.fromkeys(("new_flows", "old_flows"), "struct list_head")
        toy.struct("fq_codel_sched_data", **lists)
        toy.struct("qdisc_skb_cb", pkt_len="long", data="long")
        toy.struct("fq_codel_flow", flowchain="struct list_head", head="void *")
        self.dev = toy.place("struct net_device")
        self.tx = toy.place("struct netdev_queue", 6)
        toy.set("struct net_device", self.dev, _tx=self.tx, num_tx_queues=6)
        self.last = self.dev + self.offset("struct net_device", "qdisc_hash")

    def add(self, kind: bytes, **values: int) -> int:
        """Return the address of a qdisc that belongs to the first TX queue."""
        ops, at = self.toy.place("struct Qdisc_ops"), self.toy.place(_QDISC, 2)
        for i, char in enumerate(kind):
            self.toy.put(ops + 8 + i, "B", char)
        plain = {"ops": ops, "dev_queue": self.tx}
        self.toy.set(_QDISC, at, **{**plain, **values})
        return at

    def hash(self, qdisc: int) -> None:
        """Put a qdisc behind the last one in the hash of the device."""
        node = qdisc + self.offset(_QDISC, "hash")
        self.toy.put(self.last, "Q", node)
        self.toy.put(node, "2Q", 0, self.last)
        self.last = node

    def fill_q(self, qdisc: int, *skbs: int) -> None:
        self.toy.set(_QDISC, qdisc, q__head=self.chain(skbs))

    def of(self, root: int, kind: str) -> "list[dict[str, Any]]":
        """What is told of the qdiscs, without what is the same in all."""
        self.toy.set("struct net_device", self.dev, qdisc=root)
        layouts: Any = SimpleNamespace(
            prog=self.prog,
            dev=lambda at: Object(self.prog, "struct net_device *", at),
            tx_queue=SimpleNamespace(
                size=sizeof(self.prog.type("struct netdev_queue"))
            ),
        )
        raw = SimpleNamespace(qdisc=root, tx=self.tx, num_tx=6)
        one = device(HOST, 3, "one", kind="dummy", qdisc=kind, net_device=self.dev)
        (found,) = found_of(one, raw=raw).values()
        qdiscs = QdiscPackets(layouts, Packets(self.prog, {}))
        told = []
        for queue in qdiscs.of_device(one, found):
            assert (queue.where, queue.device) == ("qdisc", one.ref)
            assert queue.skbs == queue.length and queue.xdp_frames == 0
            lengths: Any = queue.oldest
            if isinstance(queue.oldest, tuple):
                lengths = [packet.len for packet in queue.oldest]
            said = {
                **{
                    "qdisc": queue.qdisc,
                    "handle": queue.handle,
                    "length": queue.length,
                },
                **{"part": queue.part, "queue": queue.queue, "oldest": lengths},
            }
            told.append({key: one for key, one in said.items() if one is not None})
        return told


@pytest.fixture
def qdiscs() -> _Qdiscs:
    return _Qdiscs()


def test_qdisc_with_one_queue(qdiscs: _Qdiscs) -> None:
    """What was taken out of it once is counted by it, too."""
    root = qdiscs.add(b"pfifo", handle=0x80010000, q__qlen=4)
    qdiscs.fill_q(root, *[qdiscs.skb(i) for i in (1, 2)])
    for part, skb in (("gso_skb", 8), ("skb_bad_txq", 9)):
        head = root + qdiscs.offset(_QDISC, part)
        qdiscs.queue(head, [qdiscs.skb(skb)])
        qdiscs.toy.set("struct sk_buff_head", head, qlen=1)
    plain = {"qdisc": "pfifo", "handle": "8001:"}
    assert qdiscs.of(root, "pfifo") == [
        {**plain, "part": "gso_skb", "length": 1, "oldest": [8]},
        {**plain, "part": "skb_bad_txq", "length": 1, "oldest": [9]},
        {**plain, "length": 2, "oldest": [1, 2]},
    ]


def test_qdisc_that_is_empty(qdiscs: _Qdiscs) -> None:
    """Nothing else is read of it."""
    root = qdiscs.add(b"pfifo")
    qdiscs.toy.put(qdiscs.last, "Q", 8)  # To nowhere.
    assert qdiscs.of(root, "pfifo") == []
    assert qdiscs.of(0, "pfifo") == []


def test_packets_of_classes_are_those_of_their_qdiscs(qdiscs: _Qdiscs) -> None:
    root = qdiscs.add(b"htb", handle=0x10000, q__qlen=7)
    below = qdiscs.add(b"bfifo", handle=0x20000, parent=0x1FFFF, q__qlen=3)
    other = qdiscs.add(b"pfifo", handle=0x30000, parent=0x90001, q__qlen=1)
    for one, skbs in ((below, (1, 2, 3)), (other, (4,))):
        qdiscs.hash(one)
        qdiscs.fill_q(one, *map(qdiscs.skb, skbs))
    assert qdiscs.of(root, "htb") == [
        # They have no one order.
        {"qdisc": "htb", "handle": "1:", "length": 4},
        {"qdisc": "bfifo", "handle": "2:", "length": 3, "oldest": [1, 2, 3]},
        {"qdisc": "pfifo", "handle": "3:", "length": 1, "oldest": [4]},
    ]


def test_qdiscs_of_tx_queues(qdiscs: _Qdiscs) -> None:
    """The root has none of its own, and noop none at all."""
    size = sizeof(qdiscs.prog.type("struct netdev_queue"))
    # The pointers of the last three lead before and behind the queues, and between.
    places = (0, 1, 2, -1, 6, 1.5)
    for i, (kind, place) in enumerate(zip((b"noop", *[b"pfifo"] * 5), places)):
        one = qdiscs.add(kind, q__qlen=1, dev_queue=qdiscs.tx + int(place * size))
        qdiscs.fill_q(one, qdiscs.skb(60 + i))
        qdiscs.toy.put(qdiscs.tx + i * size, "Q", one)
    plain = {"qdisc": "pfifo", "handle": "0:", "length": 1}
    root = qdiscs.add(b"mq", handle=0x10000)
    assert qdiscs.of(root, "mq") == [
        {**plain, "queue": 1, "oldest": [61]},
        {**plain, "queue": 2, "oldest": [62]},
        *({**plain, "oldest": [60 + i]} for i in (3, 4, 5)),
    ]


def test_deferred_packets(qdiscs: _Qdiscs) -> None:
    """The newest is first in the list, and no length counts them."""
    root = qdiscs.add(
        b"htb", defer_list__first=qdiscs.chain([*map(qdiscs.skb, (3, 2))])
    )
    plain = {"qdisc": "htb", "handle": "0:"}
    expected = [{**plain, "part": "defer_list", "length": 2, "oldest": [2, 3]}]
    assert qdiscs.of(root, "htb") == expected


def test_bands_of_pfifo_fast(qdiscs: _Qdiscs) -> None:
    root = qdiscs.add(b"pfifo_fast")
    private = root + qdiscs.offset(_QDISC, "privdata")
    size = sizeof(qdiscs.prog.type("struct ptr_ring"))
    for band, count in ((0, 1), (2, 2)):
        skbs = [qdiscs.skb(10 * band + i) for i in range(count)]
        qdiscs.fill(private + band * size, skbs, 8)
    plain = {"qdisc": "pfifo_fast", "handle": "0:"}
    assert qdiscs.of(root, "pfifo_fast") == [
        {**plain, "part": "q[0]", "length": 1, "oldest": [0]},
        {**plain, "part": "q[2]", "length": 2, "oldest": [20, 21]},
    ]


def test_flows_of_fq_codel(qdiscs: _Qdiscs) -> None:
    """In the order in which they came, whatever flow they are of."""
    root = qdiscs.add(b"fq_codel", q__qlen=4)
    private = root + qdiscs.offset(_QDISC, "privdata")
    came = qdiscs.offset("struct sk_buff", "cb") + 8
    flows: list[int] = []
    for times in ((3, 7), (), (1, 4)):
        flow = qdiscs.toy.place("struct fq_codel_flow")
        skbs = []
        for time in times:
            skbs.append(qdiscs.skb(time))
            # 3 and 4 are before the half of what the clock counts, 7 is behind it.
            qdiscs.toy.put(skbs[-1] + came, "I", (1 << 31) - 5 + time)
        qdiscs.toy.set("struct fq_codel_flow", flow, head=qdiscs.chain(skbs))
        flows.append(flow)
    qdiscs.queue(private, flows[:2])
    qdiscs.queue(private + 16, flows[2:])
    assert [one["oldest"] for one in qdiscs.of(root, "fq_codel")] == [[1, 3, 4, 7]]
