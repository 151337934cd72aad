# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What attached XDP programs reach
--------------------------------

The maps of each program, of those that replace its functions or that it jumps into, and
of those that run at entries of these maps; and whether one of them may call
bpf_redirect().
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import (
    XDP_MODES,
    Device,
    DeviceRef,
    Extension,
    Map,
    MapEntry,
    Snapshot,
    XdpProgram,
)
from ..readers.bpf_extension import bpf_prog_attach_func_name, for_each_bpf_extension
from ..readers.bpf_insn import bpf_prog_may_call
from ..readers.bpf_map import (
    bpf_map_id,
    bpf_map_name,
    bpf_map_type,
    for_each_inner_map,
    for_each_prog_in_array,
    for_each_used_map,
)
from ..readers.bpf_prog import bpf_prog_id, bpf_prog_name
from ..readers.cpumap import (
    cpumap_entry_prog,
    cpumap_entry_qsize,
    for_each_cpumap_entry,
)
from ..readers.devmap import devmap_entry_dev, devmap_entry_prog, for_each_devmap_entry
from ..readers.xskmap import for_each_xskmap_entry
from .af_xdp import XdpSockets

__all__ = ("MOST_ENTRIES", "add_maps")

#: How many entries of a map are recorded; all are counted.
MOST_ENTRIES = 1024
_MOST_MAPS = 1 << 12  # that one program reaches
_MAPS_OF_MAPS = ("array_of_maps", "hash_of_maps")
_PROGRAMS = "prog_array"


_Walk = Callable[[Object], Iterator[tuple[int, Object]]]
_Make = Callable[[int, Object], tuple[MapEntry, Maybe[Object]]]


class _Read(NamedTuple):
    record: Map
    programs: tuple[int, ...]  # of its entries: struct bpf_prog *


class _Reached(NamedTuple):
    maps: Maybe[tuple[int, ...]]
    extensions: Maybe[tuple[Extension, ...]]
    redirects: Maybe[bool]  # of the others that run because of it


def _id_of(prog: Object) -> Optional[int]:
    return bpf_prog_id(prog) if prog else None


class _Maps:
    def __init__(
        self,
        prog: Program,
        refs: Mapping[int, DeviceRef],
        sockets: Optional[XdpSockets],
    ) -> None:
        self._prog = prog
        self._refs = refs
        self._sockets = sockets
        #: By address of the struct bpf_map.
        self.read: dict[int, _Read] = {}
        self._entry_of: Mapping[str, tuple[_Walk, _Make]] = {
            "devmap": (for_each_devmap_entry, self._device),
            "devmap_hash": (for_each_devmap_entry, self._device),
            "cpumap": (for_each_cpumap_entry, self._cpu),
            "xskmap": (for_each_xskmap_entry, self._socket),
        }
        self._pointer = prog.type("struct bpf_prog *")
        self._of: dict[int, _Reached] = {}
        self._extensions: Optional[Maybe[dict[int, list[Object]]]] = None

    def _ref(self, address: Maybe[int]) -> Maybe[Optional[DeviceRef]]:
        if isinstance(address, Unreadable):
            return address
        if not address:
            return None
        ref = self._refs.get(address)
        return Unreadable(f"no device at {address:#x}") if ref is None else ref

    def _device(self, key: int, entry: Object) -> tuple[MapEntry, Maybe[Object]]:
        dev: Maybe[Object] = attempt(devmap_entry_dev, entry)
        program: Maybe[Object] = attempt(devmap_entry_prog, entry)
        at: Maybe[int] = attempt(lambda dev: dev.value_(), dev)
        ref = self._ref(at)
        return (
            MapEntry(
                key,
                ref,
                ref.ifindex if isinstance(ref, DeviceRef) else ref,
                attempt(_id_of, program),
            ),
            program,
        )

    def _cpu(self, key: int, entry: Object) -> tuple[MapEntry, Maybe[Object]]:
        program: Maybe[Object] = attempt(cpumap_entry_prog, entry)
        return (
            MapEntry(
                key,
                prog_id=attempt(_id_of, program),
                cpu=attempt(lambda: entry.cpu.value_()),
                qsize=attempt(cpumap_entry_qsize, entry),
            ),
            program,
        )

    def _socket(self, key: int, entry: Object) -> tuple[MapEntry, Maybe[Object]]:
        none = Object(self._prog, self._pointer, 0)
        if self._sockets is None:
            return MapEntry(key, socket=Unreadable("sockets were not read")), none
        at = entry.value_()
        ref = self._ref(self._sockets.device(at))
        return (
            MapEntry(
                key,
                ref,
                ref.ifindex if isinstance(ref, DeviceRef) else ref,
                socket=self._sockets.record(at),
            ),
            none,
        )

    def _entries(
        self, map: Object, type: str
    ) -> tuple[Maybe[int], Maybe[tuple[MapEntry, ...]], tuple[int, ...]]:
        walk, record = self._entry_of[type]
        salvage = Salvage()
        entries: list[MapEntry] = []
        programs: list[int] = []
        count = 0
        for key, entry in salvage.walk(walk(map)):
            count += 1
            if count > MOST_ENTRIES and type != "cpumap":
                continue
            made, program = record(key, entry)
            if count <= MOST_ENTRIES:
                entries.append(made)
            if not isinstance(program, Unreadable) and program:
                programs.append(program.value_())
        entries.sort(key=_key)
        if salvage.lost is not None:
            lost = Unreadable(salvage.lost)
            return lost, tuple(entries) if entries else lost, tuple(programs)
        return count, tuple(entries), tuple(programs)

    def map(self, map: Object, type: str) -> _Read:
        """Return what was read of a map, each once."""
        address = map.value_()
        if address not in self.read:
            count, entries, programs = self._entries(map, type)
            record = Map(
                attempt(bpf_map_id, map),
                type,
                attempt(lambda: decode(bpf_map_name(map))),
                attempt(lambda: map.max_entries.value_()),
                count,
                entries,
            )
            self.read[address] = _Read(record, programs)
        return self.read[address]

    def _leading(
        self, maps: Iterator[Object], salvage: Salvage, inside: bool = False
    ) -> Iterator[tuple[Object, str]]:
        # The maps of devices, CPUs, sockets and programs among some, and in them. In a
        # map of maps there is none: bpf_map_meta_alloc().
        for map in salvage.walk(maps):
            type = salvage.read(bpf_map_type, map)
            if type in _MAPS_OF_MAPS and not inside:
                yield from self._leading(for_each_inner_map(map), salvage, True)
            elif type == _PROGRAMS or type in self._entry_of:
                assert type is not None
                yield map, type

    def _by_target(self) -> Maybe[dict[int, list[Object]]]:
        if self._extensions is None:
            self._extensions = attempt(self._find_extensions)
        return self._extensions

    def _find_extensions(self) -> dict[int, list[Object]]:
        found: dict[int, list[Object]] = {}
        for target, extension in for_each_bpf_extension(self._prog):
            found.setdefault(target.value_(), []).append(extension)
        return found

    def _extension(self, prog: Object) -> Extension:
        function = attempt(lambda: decode(bpf_prog_attach_func_name(prog)) or None)
        return Extension(
            attempt(bpf_prog_id, prog),
            attempt(lambda: decode(bpf_prog_name(prog))),
            function,
        )

    def _may_redirect(self, programs: Iterable[int]) -> Maybe[bool]:
        lost: Optional[Unreadable] = None
        for at in programs:
            prog = Object(self._prog, self._pointer, at)
            may = attempt(bpf_prog_may_call, prog, "bpf_xdp_redirect")
            if may is True:
                return True
            if isinstance(may, Unreadable):
                lost = may
        return lost or False

    def reached(self, address: int) -> _Reached:
        """
        Return what a program reaches.

        :param address: Of a ``struct bpf_prog``
        """
        if address in self._of:
            return self._of[address]
        salvage = Salvage()
        ids: set[int] = set()
        by_target = self._by_target()
        seen = {address}
        queue = [address]
        while queue and len(ids) <= _MOST_MAPS:
            prog = Object(self._prog, self._pointer, queue.pop(0))
            others: list[int] = []
            if not isinstance(by_target, Unreadable):
                others += [one.value_() for one in by_target.get(prog.value_(), ())]
            for one, type in self._leading(for_each_used_map(prog), salvage):
                if type == _PROGRAMS:  # of bpf_tail_call()
                    called = salvage.walk(for_each_prog_in_array(one))
                    others += [other.value_() for other in called]
                    continue
                read = self.map(one, type)
                if isinstance(read.record.id, Unreadable):
                    salvage.lose(read.record.id.reason)
                else:
                    ids.add(read.record.id)
                # dev_map_bpf_prog_run() drops what a program of a DEVMAP redirects.
                if type == "cpumap":
                    others += read.programs
                    if _lacks_programs(read.record):
                        salvage.lose("programs of a cpumap could not be read")
            queue += [at for at in dict.fromkeys(others) if at not in seen]
            seen.update(others)
        if queue:
            salvage.lose(f"more than {_MOST_MAPS} maps")
        lost = None if salvage.lost is None else Unreadable(salvage.lost)
        redirects = self._may_redirect(seen - {address}) or lost or False
        extensions: Maybe[tuple[Extension, ...]]
        if isinstance(by_target, Unreadable):
            extensions = by_target
            redirects = redirects or by_target
        else:
            own = map(self._extension, by_target.get(address, ()))
            extensions = tuple(sorted(own, key=_slot))
        reached = _Reached(lost or tuple(sorted(ids)), extensions, redirects)
        self._of[address] = reached
        return reached


def _lacks_programs(cpumap: Map) -> bool:
    entries = cpumap.entries
    return isinstance(entries, Unreadable) or any(
        isinstance(entry.prog_id, Unreadable) for entry in entries
    )


def _key(entry: MapEntry) -> int:
    return -1 if isinstance(entry.key, Unreadable) else entry.key


def _slot(extension: Extension) -> tuple[int, str]:
    # prog10 behind prog9.
    function = extension.function
    name = function if isinstance(function, str) else ""
    return len(name), name


def _reached(
    maps: _Maps, program: XdpProgram, by_id: Maybe[Mapping[Maybe[int], int]]
) -> Maybe[_Reached]:
    if isinstance(by_id, Unreadable):
        return by_id
    if isinstance(program.id, Unreadable):
        return program.id
    address = by_id.get(program.id)
    if address is None:
        return Unreadable(f"no program is known by the ID {program.id}")
    return attempt(maps.reached, address)


def _with_reached(program: XdpProgram, reached: Maybe[_Reached]) -> XdpProgram:
    if isinstance(reached, Unreadable):
        reached = _Reached(reached, reached, reached)
    own = program.redirects
    return program._replace(
        maps=reached.maps,
        extensions=reached.extensions,
        redirects=own is True or reached.redirects or own,
    )


def _order(map: Map) -> int:
    return -1 if isinstance(map.id, Unreadable) else map.id


def add_maps(
    prog: Program, snapshot: Snapshot, sockets: Optional[XdpSockets] = None
) -> Snapshot:
    """
    Return a Snapshot with the maps that its XDP programs reach.

    :param sockets: The sockets that maps may lead to
    """
    refs = {device.net_device: device.ref for device in snapshot.devices}
    maps = _Maps(prog, refs, sockets)
    programs = snapshot.programs
    by_id: Maybe[Mapping[Maybe[int], int]]
    if isinstance(programs, Unreadable):
        by_id = programs
    else:
        by_id = {one.id: one.prog for one in programs}

    def complete(device: Device) -> Device:
        xdp = device.xdp
        changes: dict[str, Any] = {
            mode: _with_reached(program, _reached(maps, program, by_id))
            for mode in XDP_MODES
            for program in (getattr(xdp, mode),)
            if isinstance(program, XdpProgram)
        }
        return device._replace(xdp=xdp._replace(**changes)) if changes else device

    devices = tuple([complete(device) for device in snapshot.devices])
    found = sorted((read.record for read in maps.read.values()), key=_order)
    return snapshot._replace(devices=devices, maps=tuple(found))
