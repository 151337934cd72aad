# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Maps, AF_XDP sockets and programs of tc
---------------------------------------

Their lines on the screens of devices.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from ..core.unreadable import Maybe, Unreadable
from ..model import (
    AfXdpSocket,
    DeviceRef,
    Extension,
    LoadedProgram,
    Map,
    MapEntry,
    Snapshot,
    TcProgram,
    XdpProgram,
    XskRing,
)
from . import words

__all__ = ("Reached", "extension", "socket", "tc_program")

_RINGS = ("rx", "tx", "fill", "completion")


def _holder(socket: AfXdpSocket) -> str:
    if socket.pid is None:
        return "no process has it open"
    return f"{words.cell(socket.comm)} (pid {words.cell(socket.pid)})"


def _fullness(ring: XskRing) -> str:
    if ring.used == 0:
        return f"empty (0 of {words.cell(ring.size)})"
    said = f"{words.cell(ring.used)} of {words.cell(ring.size)}"
    full = isinstance(ring.used, int) and ring.used == ring.size
    return f"full ({said})" if full else said


def _ring(socket: AfXdpSocket, name: str) -> Optional[str]:
    ring: Maybe[Optional[XskRing]] = getattr(socket, name)
    called = {"rx": "RX ring", "tx": "TX ring"}.get(name, f"{name} ring")
    if isinstance(ring, Unreadable):
        return f"{called} {words.UNKNOWN}"
    if ring is None:
        return "no RX ring" if name == "rx" else None
    return f"{called} {_fullness(ring)}"


def _copies(socket: AfXdpSocket) -> str:
    zero_copy = socket.zero_copy
    if isinstance(zero_copy, Unreadable):
        return f"zero copy {words.UNKNOWN}"
    return "zero copy" if zero_copy else "copies"


def _wakeup(socket: AfXdpSocket) -> Optional[str]:
    wakeup = socket.need_wakeup
    if isinstance(wakeup, Unreadable):
        return f"need_wakeup {words.UNKNOWN}"
    return f"need_wakeup {' and '.join(wakeup)}" if wakeup else None


def _lost(socket: AfXdpSocket) -> Iterator[str]:
    if socket.rx_dropped != 0:
        yield f"rx_dropped {words.cell(socket.rx_dropped)}"
    if socket.rx_ring_full != 0:
        yield f"rx_ring_full {words.cell(socket.rx_ring_full)}"


def socket(socket: AfXdpSocket) -> str:
    """Return an AF_XDP socket in a line."""
    parts = (
        f"queue {words.cell(socket.queue)}: {_holder(socket)}",
        None if socket.state == "bound" else words.cell(socket.state),
        _copies(socket),
        *(_ring(socket, name) for name in _RINGS),
        _wakeup(socket),
        *_lost(socket),
    )
    return ", ".join(filter(None, parts))


def tc_program(program: TcProgram) -> str:
    """Return a program of tc in a line."""
    if program.id is None:
        return f"{program.where} classic BPF"
    return f"{program.where} {words.cell(program.name)}#{words.cell(program.id)}"


def extension(extension: Extension) -> str:
    """Return a program that replaces a function of another one, in a line."""
    function = words.cell(extension.function, "a function")
    name, ident = words.cell(extension.name), words.cell(extension.id)
    return f"{function} is {name}#{ident}"


def _where(device: Maybe[Optional[DeviceRef]], socket: AfXdpSocket) -> str:
    if socket.state == "ready":
        return "AF_XDP socket that was never bound"
    if socket.state == "unbound":
        return "AF_XDP socket whose device is gone"
    return f"AF_XDP {words.reference(device)} queue {words.cell(socket.queue)}"


class Reached:
    """What the programs of a Snapshot reach, in lines."""

    def __init__(self, whole: Snapshot) -> None:
        programs = whole.programs
        known: Iterable[LoadedProgram] = ()
        if not isinstance(programs, Unreadable):
            known = programs
        self._names = {one.id: one.name for one in known}
        self._maps: Mapping[Maybe[int], Map] = {one.id: one for one in whole.maps}

    def _program(self, ident: Maybe[Optional[int]]) -> Optional[str]:
        if ident is None:
            return None
        name = "" if isinstance(ident, Unreadable) else self._names.get(ident, "")
        return f"program {words.cell(name)}#{words.cell(ident)}"

    def _entry(self, entry: MapEntry) -> str:
        parts: list[Optional[str]] = []
        if entry.cpu is not None:
            parts.append(f"CPU {words.cell(entry.cpu)}")
            parts.append(f"qsize {words.cell(entry.qsize)}")
        elif isinstance(entry.socket, AfXdpSocket):
            parts.append(_where(entry.device, entry.socket))
            parts.append(_holder(entry.socket))
        elif entry.socket is not None:
            parts.append(f"AF_XDP {words.UNKNOWN}")
        else:
            parts.append(words.reference(entry.device))
        parts.append(self._program(entry.prog_id))
        return f"[{words.cell(entry.key)}] {', '.join(filter(None, parts))}"

    def _map(self, map: Map, most: int) -> Iterator[str]:
        head = f"{words.cell(map.type)} {words.cell(map.name)}#{words.cell(map.id)}"
        entries = map.entries
        if isinstance(entries, Unreadable):
            yield f"{head}: {words.UNKNOWN}"
            return
        total = map.entry_count
        room = words.cell(map.max_entries)
        yield f"{head}, {words.cell(total)} of {room} entries"
        for entry in entries[:most]:
            yield self._entry(entry)
        rest = total if isinstance(total, int) else len(entries)
        if rest > most:
            yield f"and {rest - most:,} more"

    def maps(self, program: XdpProgram, most: int) -> Sequence[str]:
        """
        Return the maps that a program reaches, each with its entries below it.

        :param most: Entries of each map
        """
        if isinstance(program.maps, Unreadable):
            return [f"maps {words.UNKNOWN}"]
        maps = (self._maps.get(ident) for ident in program.maps)
        return [
            line for map in maps if map is not None for line in self._map(map, most)
        ]

    def extensions(self, program: XdpProgram) -> Sequence[str]:
        """Return the programs that replace functions of one."""
        if isinstance(program.extensions, Unreadable):
            return [f"programs in it {words.UNKNOWN}"]
        return list(map(extension, program.extensions))
