# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Packets in flight
-----------------

What lies in rings, backlogs and qdiscs. Of a queue that is empty, nothing is read but
that.
"""

from collections.abc import Iterator, Mapping
import functools
from typing import Any, Optional

from drgn import Object, Program, offsetof, sizeof
from drgn.helpers.linux.cpumask import cpu_possible_mask

from ..core.errors import attempt
from ..core.struct_layout import Layout
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, QueueInFlight, Snapshot
from ..readers.bounded import bounded_nodes
from ..readers.bpf_map import bpf_map_id, bpf_map_type, for_each_used_map
from ..readers.bpf_prog import for_each_xdp_prog
from ..readers.cpumap import for_each_cpumap_entry
from ..readers.cpumask import cpumask_cpus
from ..readers.gro import GRO_HASH_BUCKETS, napi_gro_lists
from ..readers.ptr_ring import PtrRing
from ..readers.skb import SkBuff, walk_skb_queue
from ..readers.softnet import BACKLOGS, SoftnetBacklog, softnet_data
from ..readers.tun import TUN_KIND, for_each_tun_file, is_tun_xdp_frame
from ..readers.veth import VethRqPackets, is_xdp_frame
from ..readers.xdp_frame import is_cpumap_skb
from .found import Found
from .layouts import Layouts, layout_of, needed
from .packets import Packets, Ring, queued
from .qdisc_packets import QdiscPackets, is_holding

__all__ = ("add_in_flight",)

_TUN = TUN_KIND.decode()


def _not_cpumap_skb(entry: int) -> bool:
    return not is_cpumap_skb(entry)


class _InFlight:
    def __init__(self, layouts: Layouts, found: Mapping[int, Found]) -> None:
        self._layouts = layouts
        self._prog = layouts.prog
        self._found = found
        self._packets = Packets(self._prog, found)
        self._qdiscs = QdiscPackets(layouts, self._packets)

    @functools.cached_property
    def _ring_layout(self) -> Layout[PtrRing]:
        return needed(layout_of(self._prog, "struct ptr_ring", PtrRing))

    @functools.cached_property
    def _rq_layout(self) -> Maybe[Layout[VethRqPackets]]:
        return layout_of(self._prog, "struct veth_rq", VethRqPackets, "veth")

    def of_device(
        self, device: Device
    ) -> Iterator[tuple[str, Iterator[QueueInFlight]]]:
        """Yield the queues of a device, by kind."""
        found = self._found.get(device.net_device)
        if found is None:
            return
        queues = device.xdp.queues
        if queues and not isinstance(queues, Unreadable):
            for queue in queues:
                # A queue without NAPI has no ring.
                if queue.napi is True:
                    yield "veth-ring", self._veth(device, found, queue.queue)
        if device.kind == _TUN:
            yield "tun-ring", self._tun(device)
        if is_holding(device.qdisc):
            yield "qdisc", self._qdiscs.of_device(device, found)

    def _veth(
        self, device: Device, found: Found, queue: int
    ) -> Iterator[QueueInFlight]:
        layout, rqs = self._rq_layout, found.veth_rqs
        if isinstance(layout, Unreadable) or isinstance(rqs, Unreadable):
            return
        at = rqs + queue * layout.size
        rq = layout.read_span(at)
        place = {"device": device.ref, "queue": queue}
        ring = Ring(rq.producer, rq.consumer_head, rq.ring_size, rq.ring)
        yield from self._packets.ring("veth-ring", ring, is_xdp_frame, **place)
        # Both are numbers in the same memory.
        if rq.gro_bitmask or rq.gro_rx_count:
            napi = at + offsetof(self._prog.type("struct veth_rq"), "xdp_napi")
            yield from self._gro(napi, **place)

    def _gro(self, napi: int, **place: object) -> Iterator[QueueInFlight]:
        prog = self._prog
        type = prog.type("struct napi_struct")
        hash, rx_list, rx_count = napi_gro_lists(prog)
        bucket = prog.type("struct gro_list")
        count = offsetof(bucket, "count")
        lists: list[tuple[int, bool]] = []
        # Since "net: gro: do not keep too many GRO packets in napi->rx_list" (in v5.12,
        # and in stable kernels), rx_count has segments.
        total: Maybe[int] = attempt(prog.read_u32, napi + offsetof(type, rx_count))
        if total and not isinstance(total, Unreadable):
            head = napi + offsetof(type, rx_list)
            lists.append((head, False))
            total = attempt(lambda: sum(1 for _ in bounded_nodes(prog, head, int)))
        for i in range(GRO_HASH_BUCKETS):
            at = napi + offsetof(type, hash) + i * sizeof(bucket)
            held = attempt(prog.read_u32, at + count)
            if isinstance(total, Unreadable) or isinstance(held, Unreadable):
                total = held if isinstance(held, Unreadable) else total
            elif held:
                total += held
                lists.append((at, True))  # The newest is in front.

        def walk(layout: Layout[SkBuff]) -> Iterator[tuple[int, SkBuff]]:
            word = sizeof(prog.type("void *"))
            for head, back in lists:
                first = prog.read_word(head + (word if back else 0))
                yield from walk_skb_queue(layout, head, first, back)

        yield from self._packets.listed("gro", total, walk, **place)

    def _tun(self, device: Device) -> Iterator[QueueInFlight]:
        for queue, file in for_each_tun_file(self._layouts.dev(device.net_device)):
            at = file.value_() + offsetof(file.type_.type, "tx_ring")
            ring = Ring.of(self._ring_layout.read_span(at))
            yield from self._packets.ring(
                "tun-ring", ring, is_tun_xdp_frame, device=device.ref, queue=queue
            )

    def of_cpus(self) -> Iterator[QueueInFlight]:
        """Yield the backlogs."""
        prog = self._prog
        layout = needed(layout_of(prog, "struct softnet_data", SoftnetBacklog))
        type = prog.type("struct softnet_data")
        heads = [offsetof(type, name) for name in BACKLOGS]
        for cpu in cpumask_cpus(cpu_possible_mask(prog)):
            address = softnet_data(prog, cpu).address_
            assert address is not None
            raw = layout.read_span(address)
            for name, head in zip(BACKLOGS, heads):
                length = getattr(raw, f"{name}_qlen")
                first = getattr(raw, f"{name}_next")
                walk = queued(address + head, first)
                yield from self._packets.listed(
                    "backlog", length, walk, cpu=cpu, part=name
                )

    def of_cpumaps(self, programs: object) -> Iterator[QueueInFlight]:
        """
        Yield the rings of the CPUMAPs that XDP programs use.

        :param programs: The programs that the Snapshot found
        """
        if programs == ():
            return
        seen: set[int] = set()
        for program in for_each_xdp_prog(self._prog):
            for map in for_each_used_map(program):
                if map.value_() not in seen:
                    seen.add(map.value_())
                    if bpf_map_type(map) == "cpumap":
                        map_id = attempt(bpf_map_id, map)
                        rings: list[QueueInFlight] = []
                        error = attempt(rings.extend, self._cpumap(map, map_id))
                        yield from rings
                        if isinstance(error, Unreadable):
                            unknown = (error, error, error, error)
                            yield QueueInFlight("cpumap", *unknown, map_id=map_id)

    def _cpumap(
        self, map: Object, map_id: Maybe[Optional[int]]
    ) -> Iterator[QueueInFlight]:
        for key, entry in for_each_cpumap_entry(map):
            cpu = entry.cpu.value_()
            if cpu != key:
                raise ValueError(f"entry {key} of a CPUMAP is that of CPU {cpu}")
            ring = Ring.of(self._ring_layout.read_span(entry.queue.value_()))
            place: dict[str, Any] = {"queue": key, "cpu": cpu, "map_id": map_id}
            yield from self._packets.ring("cpumap", ring, _not_cpumap_skb, **place)


def add_in_flight(
    prog: Program, layouts: Layouts, snapshot: Snapshot, found: Mapping[int, Found]
) -> Snapshot:
    """
    Return a Snapshot with the packets that lay in queues.

    :param found: All devices, by address
    """
    reader = _InFlight(layouts, found)
    queues: list[QueueInFlight] = []

    def collect(
        where: str, records: Iterator[QueueInFlight], device: Optional[DeviceRef] = None
    ) -> None:
        error = attempt(queues.extend, records)
        if isinstance(error, Unreadable):
            unknown = (error, error, error, error)
            queues.append(QueueInFlight(where, *unknown, device=device))

    for device in snapshot.devices:
        for where, records in reader.of_device(device):
            collect(where, records, device.ref)
    collect("backlog", reader.of_cpus())
    collect("cpumap", reader.of_cpumaps(snapshot.programs))
    return snapshot._replace(in_flight=tuple(queues))
