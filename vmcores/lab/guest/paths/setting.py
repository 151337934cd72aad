# SPDX-License-Identifier: LGPL-2.1-or-later
"""Set up the devices of all situations, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from typing import Optional

from bpf import MODES, pin
from bpf_map import (
    BPF_DEVMAP,
    CPUMAP,
    DEVMAP,
    DEVMAP_HASH,
    XSKMAP,
    create_map,
    update_map,
)
from devices import Routing
import ethtool
from places import BPFFS
from traffic import netns
from xsk import CHUNKS, Socket

from . import programs
from .situation import Situation, Step

__all__ = ("Setting", "batch")

ETHTOOL_SGRO = 0x2C
ETHTOOL_STSO = 0x1F
XDP_DROP, XDP_PASS, XDP_TX = 1, 2, 3
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
MODE_FLAGS = {"native": MODES["driver"], "generic": MODES["generic"]}
TC_ACT_OK = 0
# Of a map that has to have more entries than the one that is used.
ENTRIES = 4
# Of a CPUMAP.
QSIZE = 192


def batch(program: Sequence[str], lines: Sequence[str]) -> dict[int, str]:
    """Run the lines in one process, as starting one is slow.

    :return: what was said about those that failed, by their place in ``lines``
    """
    said = subprocess.run(
        [*program, "-force", "-batch", "-"],
        input="".join(line + "\n" for line in lines),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ).stderr.splitlines()
    failed: dict[int, str] = {}
    reason = ""
    for line in said:
        if line.startswith("Command failed -:"):
            failed[int(line.rpartition(":")[2]) - 1] = reason or "refused"
            reason = ""
        else:
            reason = reason or line
    return failed


class Setting:
    """All situations. What the programs and maps need stays open."""

    def __init__(self, nic: str) -> None:
        self.nic = nic
        #: Why the kernel, or iproute2, refused a situation.
        self.refused: dict[str, str] = {}
        #: The XDP programs of a situation: (device, mode, program).
        self.programs: dict[str, list[tuple[str, str, programs.Program]]] = {}
        self._open: list[object] = []
        self._tc_lines: list[tuple[str, str]] = []
        self._ip_lines: list[tuple[str, str]] = []
        self._made: list[str] = []
        self._choosing: list[str] = []
        self._routes: dict[Optional[str], Routing] = {}

    def _batch(self, program: Sequence[str], lines: Sequence[tuple[str, str]]) -> None:
        failed = batch(program, [line for _, line in lines])
        for place, reason in failed.items():
            name, line = lines[place]
            self.refused.setdefault(name, f"{line}: {reason}")

    def make(self, situations: Sequence[Situation]) -> None:
        """Make the devices, and take them up."""
        lines = [(s.name, line) for s in situations for line in s.links]
        # A second netkit in one process, ip takes for an argument given twice.
        netkit = [line for line in lines if " netkit " in line[1]]
        self._batch(["ip"], [line for line in lines if line not in netkit])
        for line in netkit:
            self._batch(["ip"], [line])
        batch(["ip"], ["link set group default up"])
        batch(["ip", "-n", "far"], ["link set group default up"])
        there = {name for _, name in socket.if_nameindex()}
        for situation in situations:
            ends = {situation.source, *situation.watch}
            if situation.where is None:
                ends.add(situation.goal)
            if situation.flows and not ends <= there:
                missing = ", ".join(sorted(ends - there))
                self.refused.setdefault(situation.name, f"no device {missing}")

    def do(self, situations: Sequence[Situation]) -> None:
        """Do the steps of the situations that have their devices."""
        for name in ("pass", "drop"):
            fd = programs.tc_program(
                f"tc_{name}", TC_ACT_OK if name == "pass" else programs.TC_ACT_SHOT
            )
            pin(fd, f"{BPFFS}/tc_{name}")
        for situation in situations:
            if situation.name in self.refused:
                continue
            for step in situation.steps:
                try:
                    self._step(situation, step)
                except (OSError, RuntimeError) as e:
                    words = " ".join(map(str, step))
                    self.refused[situation.name] = f"{words}: {e}"
                    break
        self._batch(["tc"], self._tc_lines)
        self._batch(["ip"], self._ip_lines)

    def choose(self, situations: Sequence[Situation]) -> None:
        """Attach the program that chooses TX queues where it is needed."""
        pin(programs.chooser(), f"{BPFFS}/chooser")
        own = {line.split()[3] for _, line in self._tc_lines if "clsact" in line}
        lines = []
        for situation in situations:
            if situation.how != "chosen" or not situation.flows:
                continue
            if situation.name in self.refused:
                continue
            device = situation.source
            egress = f"filter add dev {device} egress pref 1"
            if device in own:
                self._choosing.append(f"filter del dev {device} egress pref 1")
            else:
                lines.append((situation.name, f"qdisc add dev {device} clsact"))
                self._choosing.append(f"qdisc del dev {device} clsact")
            lines.append((situation.name, f"{egress} bpf da pinned {BPFFS}/chooser"))
        self._batch(["tc"], lines)

    def do_not_choose(self) -> None:
        """Detach that program again."""
        failed = batch(["tc"], self._choosing)
        if failed:
            raise RuntimeError(f"tc: {failed}")

    def _step(self, situation: Situation, step: Step) -> None:
        what, device, *rest = step
        if what == "ip":
            self._ip_lines.append((situation.name, str(device)))
            return
        does: Callable[..., None] = getattr(self, f"_do_{what}")
        does(situation.name, device, *rest)

    def ifindex(self, device: str) -> int:
        """Return the ifindex of a device of this namespace."""
        return socket.if_nametoindex(self.nic if device == "nic" else device)

    # What the steps do, by their first word

    def _do_channels(self, name: str, device: str, rx: int, tx: int) -> None:
        if not ethtool.set_channels(device, rx, tx):
            raise RuntimeError("refused")

    def _feature(self, device: str, command: int, on: int) -> None:
        ifreq = bytearray(os.fsencode(device).ljust(16, b"\0") + bytes(24))
        value = bytearray(struct.pack("<II", command, on))
        buffer = (ctypes.c_char * len(value)).from_buffer(value)
        struct.pack_into("<Q", ifreq, 16, ctypes.addressof(buffer))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, ethtool.SIOCETHTOOL, bytes(ifreq))

    def _do_gro(self, name: str, device: str, on: int) -> None:
        self._feature(device, ETHTOOL_SGRO, on)

    def _do_tso(self, name: str, device: str, on: int) -> None:
        self._feature(device, ETHTOOL_STSO, on)

    def _queue_file(
        self, device: str, prefix: str, queue: Optional[int], file: str, value: str
    ) -> None:
        folder = f"/sys/class/net/{device}/queues"
        for entry in os.listdir(folder):
            if entry.startswith(prefix) and queue in (None, int(entry[3:])):
                with open(f"{folder}/{entry}/{file}", "w", encoding="ascii") as f:
                    f.write(value)

    def _do_rps(self, name: str, device: str, queue: Optional[int], mask: int) -> None:
        self._queue_file(device, "rx-", queue, "rps_cpus", f"{mask:x}")

    def _do_rfs(self, name: str, device: str, queue: Optional[int], n: int) -> None:
        self._queue_file(device, "rx-", queue, "rps_flow_cnt", str(n))

    def _do_xps(self, name: str, device: str, queue: int, mask: int) -> None:
        self._queue_file(device, "tx-", queue, "xps_cpus", f"{mask:x}")

    def _do_xps_rxqs(self, name: str, device: str, queue: int, mask: int) -> None:
        self._queue_file(device, "tx-", queue, "xps_rxqs", f"{mask:x}")

    def _do_threaded(self, name: str, device: str, on: int) -> None:
        with open(f"/sys/class/net/{device}/threaded", "w", encoding="ascii") as f:
            f.write(str(on))

    def _do_tc(self, name: str, device: str, way: str, what: str) -> None:
        self._tc_lines += [
            (name, f"qdisc add dev {device} clsact"),
            (
                name,
                f"filter add dev {device} {way} pref 2 bpf da pinned {BPFFS}/tc_{what}",
            ),
        ]

    def _do_qdisc(self, name: str, device: str, kind: str) -> None:
        self._tc_lines.append((name, f"qdisc replace dev {device} root {kind}"))

    def _do_tap(self, name: str, device: str, kind: str) -> None:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_NO_PI | (IFF_TAP if kind == "tap" else IFF_TUN)
        request = os.fsencode(device).ljust(16, b"\0") + struct.pack("<H22x", flags)
        fcntl.ioctl(fd, TUNSETIFF, request)
        self._open.append(fd)

    def _do_xdp(
        self,
        name: str,
        device: str,
        mode: str,
        what: str,
        target: str | int | None = None,
    ) -> None:
        where = target if isinstance(target, str) and what == "pass" else None
        then, flags = self._then(name, device, what, target)
        program = programs.Program(f"{mode[:3]}_{device}"[:15], then, flags)
        self._open.append(program)
        with netns(where):
            if where not in self._routes:
                self._routes[where] = Routing()
            reply = self._routes[where].set_xdp(
                socket.if_nametoindex(device), program.fd, MODE_FLAGS[mode]
            )
        if reply.errno:
            raise RuntimeError(f"{os.strerror(reply.errno)}: {reply.message}")
        self.programs.setdefault(name, []).append((device, mode, program))

    def _then(
        self, name: str, device: str, what: str, target: str | int | None
    ) -> tuple[bytes, int]:
        """Return the end of a program, and the flags to load it with."""
        if what in ("pass", "frags"):
            return programs.returns(XDP_PASS), programs.FRAGS if what == "frags" else 0
        if what in ("drop", "aborted", "tx"):
            action = {"drop": XDP_DROP, "aborted": 0, "tx": XDP_TX}[what]
            return programs.returns(action), 0
        if what == "bare":
            return programs.redirects(self.ifindex(str(target))), 0
        key = 1
        if what in ("devmap", "hash", "entry", "empty"):
            kind = DEVMAP_HASH if what == "hash" else DEVMAP
            size = 8 if what == "entry" else 4
            fd = create_map(kind, f"m_{name}", ENTRIES, size)
            value = [self.ifindex(str(target))]
            if what == "entry":
                entry = programs.Program(
                    "entry", programs.returns(XDP_PASS), attach_type=BPF_DEVMAP
                )
                self._open.append(entry)
                self.programs.setdefault(name, []).append((str(target), "entry", entry))
                value.append(entry.fd)
            update_map(fd, 0 if what == "empty" else key, *value)
        elif what == "cpumap":
            fd = create_map(CPUMAP, f"m_{name}", ENTRIES)
            key = int(target or 0)
            update_map(fd, key, QSIZE)
        else:
            assert what == "xskmap", what
            fd = create_map(XSKMAP, f"m_{name}", ENTRIES)
            key = 0
            xsk = Socket(rx=CHUNKS, fill=CHUNKS, completion=CHUNKS)
            if target:
                xsk.rings["fill"].fill(CHUNKS)
            xsk.bind(device, 0)
            self._open.append(xsk)
            update_map(fd, key, xsk.socket.fileno())
        self._open.append(fd)
        return programs.redirects_by(fd, key), 0
