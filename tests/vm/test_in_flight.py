# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that lay in queues when the kernel panicked, against what was sent."""

from collections.abc import Iterator
import functools
import json
from pathlib import Path
from typing import Any, NamedTuple, Optional

from drgn import FaultError, Program
from drgn_veth.btf import use_btf
from drgn_veth.core.unreadable import NOT_IN_SLICE, Unreadable
from drgn_veth.faces.slice import check_slice, slice_target
from drgn_veth.model import (
    DeviceRef,
    PacketInFlight,
    QueueInFlight,
    Snapshot,
    unreadable_in,
)
from drgn_veth.readers.ptr_ring import for_each_ptr_ring_entry, ptr_ring_used
from drgn_veth.readers.qdisc import for_each_netdev_qdisc, pfifo_fast_bands
from drgn_veth.readers.skb import skb_queue_walk
from drgn_veth.readers.softnet import softnet_data
from drgn_veth.readers.tun import for_each_tun_file
from drgn_veth.readers.veth import veth_rqs
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.booted import Dump
from tests.support.kernel import devices_of, program_of

pytestmark = pytest.mark.vm

MOST = 16
_NO_FQ_CODEL = "sch_fq_codel is a module here"


class Sent(NamedTuple):
    """What the scene says is in a queue."""

    where: str
    qdisc: Optional[str]
    part: Optional[str]
    devices: tuple[str, ...]
    packets: tuple[str, ...]


def _said(dump: Dump, what: str) -> Iterator[list[str]]:
    for line in (dump.made.folder / "scene.log").read_text().splitlines():
        start, found, rest = line.partition(f"scene: {what}: ")
        if found and not start:
            yield rest.split(" ")


def sent(dump: Dump) -> list[Sent]:
    found = []
    for place, devices, *packets in _said(dump, "flight"):
        where, *more = place.split("/")
        qdisc, part = (*more, None, None)[:2]
        names = tuple(devices.split(","))
        found.append(Sent(where, qdisc, part, names, tuple(packets)))
    return found


@functools.cache
def program(dump: Dump) -> Program:
    return program_of(dump, "dwarf")


@functools.cache
def snapshot_of(dump: Dump) -> Snapshot:
    return take_snapshot(program(dump))


def queues_of(snapshot: Snapshot) -> list[QueueInFlight]:
    assert isinstance(snapshot.in_flight, tuple)
    return list(snapshot.in_flight)


def _name(queue: QueueInFlight) -> object:
    return None if queue.device is None else queue.device.name


def words(packet: PacketInFlight) -> str:
    """Return a packet as the scene says it."""
    if packet.kind == "xdp_frame":
        assert packet.protocol is None
        return str(packet.len)
    return f"{packet.len}:{packet.protocol}"


def _is_of(queue: QueueInFlight, one: Sent) -> bool:
    if one.where == "cpumap":
        return (queue.where, str(queue.cpu)) == (one.where, one.qdisc)
    place = (queue.where, queue.qdisc, queue.part, _name(queue))
    return place == (one.where, one.qdisc, one.part, one.devices[0])


def _expected(queue: QueueInFlight, one: Sent) -> list[str]:
    # The one that is marked may be there.
    first, *packets = one.packets
    if not first.startswith("?"):
        return [first, *packets]
    assert isinstance(queue.oldest, tuple)
    return [first[1:], *packets] if words(queue.oldest[0]) == first[1:] else packets


def _loops(one: Sent) -> bool:
    return one.where == "backlog"


def test_each_queue_has_what_was_sent(flight: Dump) -> None:
    queues = queues_of(snapshot_of(flight))
    compared = 0
    for one in sent(flight):
        if _loops(one):
            continue
        (queue,) = (q for q in queues if _is_of(q, one))
        if one.qdisc == "netem":
            assert (queue.length, queue.oldest) == (int(one.packets[0]), None)
            continue
        packets = _expected(queue, one)
        assert queue.length == len(packets), one
        frames = sum(":" not in packet for packet in packets)
        assert (queue.skbs, queue.xdp_frames) == (len(packets) - frames, frames)
        if flight.is_old and one.qdisc == "fq_codel" and one.part is None:
            # There it is a module, and the lab has no symbols of it.
            assert isinstance(queue.oldest, Unreadable)
            assert _NO_FQ_CODEL in queue.oldest.reason
            continue
        assert isinstance(queue.oldest, tuple)
        assert [words(p) for p in queue.oldest] == packets[:MOST]
        for packet in queue.oldest:
            if packet.kind == "skb" or one.where == "cpumap":
                assert isinstance(packet.device, DeviceRef)
                assert packet.device.name == one.devices[0]
            else:
                assert packet.device is None
        compared += len(queue.oldest)
    # The old kernel has no threaded NAPI, whose rings the scene can fill.
    assert compared >= (20 if flight.is_old else 45)


def test_backlog_has_all_but_the_one_in_hand(flight: Dump) -> None:
    (one,) = (one for one in sent(flight) if _loops(one))
    found = [q for q in queues_of(snapshot_of(flight)) if q.where == "backlog"]
    assert {queue.cpu for queue in found} == {3}
    packets = [p for q in found if isinstance(q.oldest, tuple) for p in q.oldest]
    assert sum(q.length for q in found if isinstance(q.length, int)) == len(packets)
    assert len(one.packets) - 1 <= len(packets) <= len(one.packets)
    assert len({words(p) for p in packets}) == len(packets)
    assert {words(p) for p in packets} <= set(one.packets)
    for packet in packets:
        assert packet.device is not None and not isinstance(packet.device, Unreadable)
        assert packet.device.name in one.devices


def test_qdiscs_have_what_tc_says(flight: Dump) -> None:
    queues = [q for q in queues_of(snapshot_of(flight)) if q.where == "qdisc"]
    compared = 0
    for name, *said in _said(flight, "flight-tc"):
        qdiscs: list[dict[str, Any]] = json.loads(" ".join(said))
        (root,) = (qdisc for qdisc in qdiscs if qdisc.get("root"))
        lengths = [q.length for q in queues if _name(q) == name]
        assert sum(n for n in lengths if isinstance(n, int)) == root["qlen"], name
        compared += root["qlen"] > 0
    assert compared >= 4


def test_all_can_be_read(flight: Dump) -> None:
    snapshot = snapshot_of(flight)
    missing = [why for what, why in unreadable_in(snapshot) if "in_flight" in what]
    if flight.is_old:
        missing = [why for why in missing if _NO_FQ_CODEL not in why]
    assert missing == []


def test_helpers_give_the_same(flight: Dump) -> None:
    prog = program(flight)
    by_name = {dev.name.string_().decode(): dev for _, dev in devices_of(prog)}
    queues = queues_of(snapshot_of(flight))
    for queue in queues:
        if queue.where == "cpumap":
            continue
        if queue.where == "backlog":
            assert queue.cpu is not None and queue.part is not None
            head = softnet_data(prog, queue.cpu).member_(queue.part).address_of_()
            assert len(list(skb_queue_walk(head))) == queue.length
            continue
        dev = by_name[str(_name(queue))]
        if queue.where == "veth-ring":
            assert queue.queue is not None
            ring = (veth_rqs(dev) + queue.queue).xdp_ring.address_of_()
        elif queue.where == "tun-ring":
            ((_, file),) = for_each_tun_file(dev)
            ring = file.tx_ring.address_of_()
        elif queue.part and queue.part.startswith("q["):
            found = list(for_each_netdev_qdisc(dev))
            (qdisc,) = (q for q in found if q.ops.id.string_() == b"pfifo_fast")
            ring = list(pfifo_fast_bands(qdisc))[int(queue.part[2])]
        else:
            continue
        assert ptr_ring_used(ring) == queue.length
        assert len(list(for_each_ptr_ring_entry(ring))) == queue.length


def _packets(prog: Program) -> Iterator[int]:
    # Where the packets in rings and backlogs are.
    for cpu in range(4):
        queue = softnet_data(prog, cpu)
        for head in (queue.process_queue, queue.input_pkt_queue):
            yield from (skb.value_() for skb in skb_queue_walk(head.address_of_()))
    for _, dev in devices_of(prog):
        if dev.name.string_() in (b"flra", b"flfa"):
            rq = veth_rqs(dev)
            if rq.xdp_prog and rq.xdp_ring.queue:
                entries = for_each_ptr_ring_entry(rq.xdp_ring.address_of_())
                yield from (entry.value_() & ~1 for entry in entries)
        elif dev.name.string_() == b"fltap":
            ((_, file),) = for_each_tun_file(dev)
            entries = for_each_ptr_ring_entry(file.tx_ring.address_of_())
            yield from (entry.value_() for entry in entries)


def test_slice_has_lengths_alone(flight: Dump, tmp_path: Path) -> None:
    prog = program(flight)
    slice = slice_target(prog)
    path = tmp_path / "slice.core"
    with open(path, "wb") as f:
        slice.write(f)
    check_slice(str(path), slice)
    cut = Program()
    cut.set_core_dump(str(path))
    use_btf(cut)
    found = take_snapshot(cut)
    whole = queues_of(snapshot_of(flight))
    missing = Unreadable(NOT_IN_SLICE)
    assert queues_of(found) == [
        queue._replace(skbs=missing, xdp_frames=missing, oldest=missing)
        for queue in whole
    ]
    assert not any("in_flight" in what for what, _ in unreadable_in(found))
    addresses = list(_packets(prog))
    assert len(addresses) > 10
    for address in addresses:
        assert prog.read(address, 8)
        with pytest.raises(FaultError):
            cut.read(address, 1)
