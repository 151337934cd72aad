#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make maps, AF_XDP sockets and programs of tc, and record what they are.

Use: ``maps.py NIC``, in the scene "maps", which has made the devices. The records are
in MAPS_RECORDS::

    {"what": "map", "id": 3, "type": "devmap", "name": "...", "max_entries": 8,
     "netns": INUM of its devices,
     "entries": [[key, {"ifindex": 7, "prog_id": 9}], ...]}
    {"what": "reach", "prog_id": 9, "maps": [3, 4]}
    {"what": "extension", "target": 5, "id": 6, "name": "...", "function": "prog0"}
    {"what": "socket", "netns": INUM, "ifindex": 7 or null, "queue": 0, ...}

The entries of an XSKMAP are ``{"socket": NUMBER}``: of the socket with this "number".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import errno
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from typing import Any

from bpf import (
    BPF_PROG_TYPE_XDP,
    bpf,
    instruction,
    load,
    load_program,
    object_id,
    pin,
)
from bpf_map import (
    ARRAY,
    ARRAY_OF_MAPS,
    BPF_CPUMAP,
    BPF_DEVMAP,
    CPUMAP,
    DEVMAP,
    DEVMAP_HASH,
    HASH_OF_MAPS,
    PROG_ARRAY,
    XSKMAP,
    by_queue,
    create_map,
    inner_redirect,
    jump,
    leave,
    redirect,
    touch,
    update_map,
)
from dispatcher import (
    BPF_PROG_TYPE_EXT,
    BPF_PSEUDO_CALL,
    BPF_RAW_TRACEPOINT_OPEN,
    NAME,
    Types,
    load_typed,
)
from libc import setns
from places import BPFFS, MAPS_RECORDS
from softirqs import drained
from stay import stay_behind
from xdp import record
from xsk import Socket

__all__ = ("main",)

_TYPES = {
    DEVMAP: "devmap",
    DEVMAP_HASH: "devmap_hash",
    CPUMAP: "cpumap",
    XSKMAP: "xskmap",
}
NETNS = "maps"
MANY = 300
# To everyone, of a protocol that nobody speaks.
FRAME = bytes.fromhex("ffffffffffff0200000000018888") + b"DRGN" * 16


def _netns() -> int:
    return os.stat("/proc/self/ns/net").st_ino


def _ifindex(name: str) -> int:
    return socket.if_nametoindex(name)


class Scene:
    """What was made so far."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.sockets: list[Socket] = []
        #: Ids of maps and programs, by descriptor.
        self.ids: dict[int, int] = {}

    def _id(self, fd: int) -> int:
        if fd not in self.ids:
            self.ids[fd] = object_id(fd)
        return self.ids[fd]

    def map(
        self,
        kind: int,
        name: str,
        max_entries: int,
        entries: Mapping[int, tuple[int, ...]],
        with_programs: bool = False,
    ) -> int:
        """Make a map with entries, and return its descriptor.

        :param entries: by key: the value, and the descriptor of a program if it has one
        """
        fd = create_map(kind, name, max_entries, 8 if with_programs else 4)
        shown: list[tuple[int, dict[str, int | None]]] = []
        for key, value in entries.items():
            try:
                update_map(fd, key, *value)
            except OSError as e:
                if kind != XSKMAP or e.errno != errno.ENOBUFS:
                    raise
                # Newer kernels take no socket without an RX ring.
                if "rx" in self.sockets[self._number(value[0])].sizes:
                    raise
                continue
            what = {DEVMAP: "ifindex", DEVMAP_HASH: "ifindex", CPUMAP: "qsize"}
            told: dict[str, int | None] = {what.get(kind, "socket"): value[0]}
            if with_programs:
                told["prog_id"] = self._id(value[1]) if value[1] else None
            if kind == XSKMAP:
                told["socket"] = self._number(value[0])
            shown.append((key, told))
        self.records.append(
            {
                "what": "map",
                "id": self._id(fd),
                "type": _TYPES[kind],
                "name": name,
                "max_entries": max_entries,
                "netns": _netns(),
                "entries": shown,
            }
        )
        return fd

    def _number(self, fd: int) -> int:
        return [one.socket.fileno() for one in self.sockets].index(fd)

    def reaches(self, prog: int, *maps: int) -> None:
        """Say which maps a program reaches."""
        ids = [self._id(fd) for fd in maps]
        record({"what": "prog", "id": self._id(prog), "frags": False})
        self.records.append({"what": "reach", "prog_id": self._id(prog), "maps": ids})

    def program(self, name: str, code: bytes, *maps: int, attach_type: int = 0) -> int:
        """Load an XDP program, pin it, and say which maps it reaches."""
        fd = load(name, code, attach_type=attach_type)
        pin(fd, f"{BPFFS}/{name}")
        self.reaches(fd, *maps)
        return fd

    def dispatcher(self, first: int, second: int) -> None:
        """Make a dispatcher with three slots: two are taken, by programs that redirect
        by these maps.
        """
        slots = ("prog0", "prog1", "prog2")
        types = Types()
        main_type, *slot_types = types.functions(NAME, *slots)
        btf_fd = types.load()
        # r6 = ctx; for each: r1 = r6, call. A function behind that is two instructions.
        begin = 2 + 2 * len(slots)
        code = instruction(0xBF, 6, 1)
        for _ in slots:
            away = begin - 3
            code += instruction(0xBF, 1, 6)
            code += instruction(0x85, src=BPF_PSEUDO_CALL, imm=away)
        code += instruction(0x95) + leave() * len(slots)
        starts = [begin + 2 * i for i in range(len(slots))]
        functions = [(0, main_type), *zip(starts, slot_types)]
        fd = load_typed(BPF_PROG_TYPE_XDP, NAME, code, btf_fd, functions)
        pin(fd, f"{BPFFS}/{NAME}")
        for slot, name, to in ((0, "mx_first", first), (2, "mx_third", second)):
            extension = load_typed(
                BPF_PROG_TYPE_EXT,
                name,
                redirect(to, 0) + leave(),
                btf_fd,
                ((0, slot_types[slot]),),
                (slot_types[slot], fd),
            )
            attr = struct.pack("<QII", 0, extension, 0)
            pin(bpf(BPF_RAW_TRACEPOINT_OPEN, attr), f"{BPFFS}/{name}")
            self.records.append(
                {
                    "what": "extension",
                    "target": self._id(fd),
                    "id": self._id(extension),
                    "name": name,
                    "function": slots[slot],
                }
            )
        self.reaches(fd, first, second)

    def socket(self, device: str | None, queue: int, **options: Any) -> Socket:
        """Make an AF_XDP socket; bind it, if a device is given."""
        fill = options.pop("filled", 0)
        rings = ("rx", "tx", "fill", "completion")
        sizes = {name: options.pop(name) for name in rings if name in options}
        made = Socket(**sizes)
        if fill:
            made.rings["fill"].fill(fill)
        if device is not None:
            made.bind(device, queue, **options)
        self.sockets.append(made)
        return made

    def record_socket(
        self,
        number: int,
        device: str | None,
        queue: int,
        state: str,
        pid: int,
        comm: str,
    ) -> None:
        """Say what an AF_XDP socket is now."""
        made = self.sockets[number]
        # Who shares the umem of another one shares its rings.
        shared = made if "fill" in made.rings else self.sockets[0]
        told: dict[str, Any] = {}
        for name in ("rx", "tx", "fill", "completion"):
            of = shared if name in ("fill", "completion") else made
            ring = of.rings.get(name)
            told[name] = ring and {"size": ring.size, "used": ring.used}
        wakeup = None
        if shared.wakeup and state == "bound":
            both = (("rx", shared.rings["fill"]), ("tx", made.rings.get("tx")))
            wakeup = [name for name, ring in both if ring and ring.needs_wakeup]
        statistics = made.statistics
        self.records.append(
            {
                "what": "socket",
                "number": number,
                "netns": _netns(),
                "ifindex": None if device is None else _ifindex(device),
                "queue": queue,
                "state": state,
                "zero_copy": made.zero_copy if state == "bound" else False,
                **told,
                "need_wakeup": wakeup,
                "rx_dropped": statistics[0],
                "rx_ring_full": statistics[3] if len(statistics) > 3 else None,
                "pid": pid,
                "comm": comm,
            }
        )


def _enter(name: str) -> int:
    """Enter a namespace of ``ip netns``, and return a descriptor of the one before."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    setns(fd)
    os.close(fd)
    return home


def _leave(home: int) -> None:
    setns(home)
    os.close(home)


def _attach(device: str, mode: str, name: str) -> None:
    path = f"{BPFFS}/{name}"
    subprocess.run(
        ["ip", "link", "set", "dev", device, mode, "pinned", path], check=True
    )


def _send(device: str, count: int) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((device, 0))
        for _ in range(count):
            s.send(FRAME)


def _maps(scene: Scene) -> None:
    """Maps of devices and CPUs, and who uses them."""
    to = [_ifindex(f"mt{i}a") for i in range(4)]
    by_dev = load_program("mx_by_dev", attach_type=BPF_DEVMAP)
    plain = scene.map(DEVMAP, "m_dev", 8, {0: (to[0],), 3: (to[1],), 7: (to[2],)})
    entries = {1: (to[0], by_dev), 2: (to[3], 0)}
    carrying = scene.map(DEVMAP, "m_dev_prog", 4, entries, with_programs=True)
    hashed = {5: (to[0],), 1000: (to[1],), 70000: (to[2],), 4000000000: (to[3],)}
    sparse = scene.map(DEVMAP_HASH, "m_hash", 16, hashed)
    many = scene.map(
        DEVMAP_HASH, "m_many", MANY, {7 * i: (to[i % 4],) for i in range(MANY)}
    )
    full = scene.map(DEVMAP, "m_full", 100, {i: (to[i % 3],) for i in range(100)})
    last = scene.map(DEVMAP, "m_last", 2, {1: (to[3],)})
    by_cpu = scene.program(
        "mx_by_cpu", redirect(last, 1) + leave(), last, attach_type=BPF_CPUMAP
    )
    cpus = scene.map(
        CPUMAP, "m_cpu", 4, {0: (192, by_cpu), 1: (2048, 0)}, with_programs=True
    )
    none = scene.map(CPUMAP, "m_no_cpu", 2, {})
    other = create_map(ARRAY, "other.rodata", 1, 8)
    code = touch(other)
    reached = (plain, carrying, sparse, many, full, cpus, none)
    for fd in reached:
        code += redirect(fd, 0)
    scene.program("mx_all", code + leave(), *reached, last)
    _attach("mxa", "xdpdrv", "mx_all")

    inner = [scene.map(DEVMAP, f"m_inner{i}", 2, {0: (to[i],)}) for i in range(4)]
    array = create_map(ARRAY_OF_MAPS, "m_of_array", 5, inner=inner[0])
    table = create_map(HASH_OF_MAPS, "m_of_hash", 9, inner=inner[0])
    update_map(array, 0, inner[0])
    update_map(array, 4, inner[1])
    update_map(table, 17, inner[2])
    update_map(table, 99999, inner[3])
    update_map(table, 5, inner[0])
    code = inner_redirect(array, 0) + inner_redirect(table, 17)
    scene.program("mx_inner", code + leave(), *inner)
    _attach("mia", "xdpdrv", "mx_inner")

    ways = [scene.map(DEVMAP, f"m_way{i}", 2, {0: (to[i],)}) for i in range(2)]
    scene.dispatcher(*ways)
    _attach("mda", "xdpdrv", NAME)

    called = scene.program("mx_called", redirect(ways[1], 0) + leave(), ways[1])
    jumps = create_map(PROG_ARRAY, "m_jumps", 4, 4)
    update_map(jumps, 2, called)
    pin(
        jumps, f"{BPFFS}/m_jumps"
    )  # The kernel empties an array without a pin or an open file.
    scene.program("mx_jumps", jump(jumps, 2) + leave(), ways[1])
    _attach("mdb", "xdpgeneric", "mx_jumps")

    home = _enter(NETNS)
    there = scene.map(DEVMAP, "m_there", 2, {1: (_ifindex("eth0"),)})
    scene.program("mx_there", redirect(there, 1) + leave(), there)
    _attach("eth0", "xdpgeneric", "mx_there")
    _leave(home)


def _sockets(scene: Scene, nic: str) -> None:
    """AF_XDP sockets, and a map of them."""
    umem = {"fill": 32, "completion": 16}
    first = scene.socket("msb", 0, rx=4, tx=8, filled=20, wakeup=True, **umem)
    second = scene.socket("msb", 0, rx=16, shared=first.socket.fileno())
    third = scene.socket("msb", 2, tx=2, filled=32, **umem)
    unbound = scene.socket(None, 0, rx=8, filled=1, **umem)
    gone = scene.socket("mgone", 0, rx=2, **umem)
    real = scene.socket(nic, 0, rx=8, copy=False, filled=8, **umem)
    home = _enter(NETNS)
    inside = scene.socket("eth1", 1, rx=8, tx=8, **umem)
    _leave(home)
    subprocess.run(["ip", "link", "del", "dev", "mgone"], check=True)

    by_key = {0: first, 1: second, 3: unbound, 4: gone, 6: third}
    entries = {key: (one.socket.fileno(),) for key, one in by_key.items()}
    sockets = scene.map(XSKMAP, "m_xsk", 8, entries)
    scene.program("mx_xsk", by_queue(sockets), sockets)
    _attach("msb", "xdpgeneric", "mx_xsk")
    # Two more than the RX ring takes.
    _send("msa", 6)
    drained()

    mine = [one.socket.fileno() for one in (first, second, third, unbound, gone, real)]
    owner = stay_behind(b"xsk-owner", lambda: mine)
    theirs = [inside.socket.fileno(), second.socket.fileno()]
    other = stay_behind(b"xsk-other", lambda: theirs)
    told = (owner, "xsk-owner")
    scene.record_socket(0, "msb", 0, "bound", *told)
    scene.record_socket(1, "msb", 0, "bound", *told)
    scene.record_socket(2, "msb", 2, "bound", *told)
    scene.record_socket(3, None, 0, "ready", *told)
    scene.record_socket(4, None, 0, "unbound", *told)
    scene.record_socket(5, nic, 0, "bound", *told)
    home = _enter(NETNS)
    scene.record_socket(6, "eth1", 1, "bound", other, "xsk-other")
    _leave(home)


def main(arguments: Sequence[str]) -> int:
    """Make all of it."""
    (nic,) = arguments
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    scene = Scene()
    _maps(scene)
    _sockets(scene, nic)
    with open(MAPS_RECORDS, "a", encoding="ascii") as f:
        for one in scene.records:
            f.write(json.dumps(one) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
