#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that stay in a queue.

Use: ``flight.py COMMAND... [, COMMAND...]...``::

    tap DEVICE
        Leave a process behind that has a tap device open and never reads from it.
    slow PATH
        Load an XDP program that takes its time and returns XDP_TX, and pin it.
    send DEVICE CPU PACKET...
        Send frames from a CPU. PACKET is a length, with the Ethernet header, and may
        have ``/PRIORITY`` and ``:ETHERTYPE`` (hexadecimal) behind it.
    redirect PATH DEVICE
        Let the ``redirect`` program pinned at PATH (programs.py) send to a device.
    cpumap PATH CPU
        Load an XDP program that redirects to a CPU by a CPUMAP, and pin it.
    hold THREAD SENDER
        Let a kernel thread, whose name begins with THREAD, run for some microseconds,
        for a frame of 600 bytes that is sent on the device SENDER, and then not for 30
        minutes. It may or may not take the frame.
    gro DEVICE SENDER
        Send a TCP segment of 154 bytes that GRO of a device keeps.

What goes wrong is on standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import ctypes
import fcntl
import os
import resource
import socket
import struct
import sys
import time

from bpf import bpf, instruction, load, pin
from libc import checked, libc
from programs import set_redirect
from softirqs import drained
from stay import stay_behind

__all__ = ("main",)

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000

XDP_TX = 3

BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM = 0, 2
BPF_MAP_TYPE_CPUMAP = 16
BPF_PSEUDO_MAP_FD = 1
REDIRECT_MAP = 51
CPUS = 4
CPUMAP_QSIZE = 64
#: So long that the chance to be interrupted anywhere else is small.
SLOW = 30000

SYS_SCHED_SETATTR = 314
SCHED_DEADLINE = 6
RUNTIME_NS = 2048
PATIENCE = 60.0  # seconds
PERIOD_NS = 1900 * 10**9
RT_RUNTIME = "/proc/sys/kernel/sched_rt_runtime_us"
PERIOD_MAX = "/proc/sys/kernel/sched_deadline_period_max_us"

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL = 3
MACS = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01"
GRO_TRIES = 40


def _frame(length: int, ethertype: int) -> bytes:
    head = MACS + struct.pack("!H", ethertype)
    return head + bytes(length - len(head))


def _tap(device: str) -> None:
    def prepare() -> list[int]:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        flags = IFF_TAP | IFF_NO_PI
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), flags))
        return [fd]

    stay_behind(b"no_reader", prepare)


def _slow(path: str) -> None:
    code = b"".join(
        (
            instruction(0xB7, 1, imm=0),  # r1 = 0
            instruction(0x07, 1, imm=1),  # r1 += 1
            instruction(0xA5, 1, off=-2, imm=SLOW),  # if r1 < SLOW goto -2
            instruction(0xB7, 0, imm=XDP_TX),
            instruction(0x95),
        )
    )
    fd = load("flight_slow", code, log_bytes=0)
    pin(fd, path)


def _cpumap(path: str, cpu: int) -> None:
    create = struct.pack("<IIIII", BPF_MAP_TYPE_CPUMAP, 4, 4, CPUS, 0)
    map_fd = bpf(BPF_MAP_CREATE, create)
    key = ctypes.create_string_buffer(struct.pack("<I", cpu), 4)
    value = ctypes.create_string_buffer(struct.pack("<I", CPUMAP_QSIZE), 4)
    places = (ctypes.addressof(key), ctypes.addressof(value))
    bpf(BPF_MAP_UPDATE_ELEM, struct.pack("<IIQQQ", map_fd, 0, *places, 0))
    code = b"".join(
        (
            instruction(0x18, 1, BPF_PSEUDO_MAP_FD, imm=map_fd),  # r1 = map
            instruction(0),
            instruction(0xB7, 2, imm=cpu),  # r2 = cpu
            instruction(0xB7, 3, imm=0),  # r3 = 0
            instruction(0x85, imm=REDIRECT_MAP),
            instruction(0x95),
        )
    )
    pin(load("flight_cpumap", code), path)


def _send(device: str, cpu: int, packets: Sequence[str]) -> None:
    os.sched_setaffinity(0, {cpu})
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
        s.bind((device, 0))
        for packet in packets:
            packet, _, ethertype = packet.partition(":")
            length, _, priority = packet.partition("/")
            value = struct.pack("i", int(priority or 0))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, value)
            try:
                s.send(_frame(int(length), int(ethertype or "800", 16)))
            except OSError as e:
                # A qdisc that is full says so.
                print(f"flight.py: {device}: {packet}: {e}", file=sys.stderr)


def _threads(name: str) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().startswith(name):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def _spent_ns(pid: int) -> int:
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


def _hold(name: str, sender: str) -> None:
    # A deadline task that has used up its runtime waits for the next period. Without a
    # limit of their bandwidth, a thread that is bound to a CPU can be one.
    for path, value in ((PERIOD_MAX, 2000000000), (RT_RUNTIME, -1)):
        with open(path, "w") as f:
            f.write(f"{value}\n")
    threads = _threads(name)
    if not threads:
        raise OSError(f"no thread {name}")
    for pid in threads:
        period = (RUNTIME_NS, PERIOD_NS, PERIOD_NS)
        attr = struct.pack("<IIQiIQQQ", 48, SCHED_DEADLINE, 0, 0, 0, *period)
        buffer = ctypes.create_string_buffer(attr, len(attr))
        checked(libc.syscall(SYS_SCHED_SETATTR, pid, buffer, 0))
    before = {pid: _spent_ns(pid) for pid in threads}
    _send(sender, 0, ["600"])
    deadline = time.monotonic() + PATIENCE
    while all(_spent_ns(pid) - before[pid] < RUNTIME_NS for pid in threads):
        if time.monotonic() >= deadline:
            raise OSError(f"{name} does not run")
        time.sleep(0.05)
    time.sleep(0.5)


def _sum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _segment(number: int) -> bytes:
    payload = bytes(100)
    ends = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    tcp = struct.pack("!HHIIBBHHH", 20000 + number, 9, 1, 1, 0x50, 0x10, 512, 0, 0)
    pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp + payload))
    check = _sum(pseudo + tcp + payload)
    tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
    fields = (0x45, 0, 20 + len(tcp + payload), number, 0x4000, 64, 6)
    ip = struct.pack("!BBHHHBBH", *fields, 0) + ends
    ip = ip[:10] + struct.pack("!H", _sum(ip)) + ip[12:]
    return MACS + struct.pack("!H", 0x0800) + ip + tcp + payload


def _gro(device: str, sender: str) -> None:
    # GRO passes on what came in another jiffy than the one in which its poll ends.
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s,
    ):
        far.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        far.bind((device, ETH_P_ALL))
        far.settimeout(0.5)
        s.bind((sender, 0))
        for number in range(GRO_TRIES):
            segment = _segment(number)
            s.send(segment)
            try:
                drained()
                while far.recv(65536)[26:] != segment[26:]:
                    pass
            except socket.timeout:
                return
    raise OSError(f"GRO of {device} keeps nothing")


_COMMANDS: dict[str, Callable[[Sequence[str]], object]] = {
    "tap": lambda words: _tap(*words),
    "slow": lambda words: _slow(*words),
    "cpumap": lambda words: _cpumap(words[0], int(words[1])),
    "redirect": lambda words: set_redirect(words[0], socket.if_nametoindex(words[1])),
    "send": lambda words: _send(words[0], int(words[1]), words[2:]),
    "hold": lambda words: _hold(*words),
    "gro": lambda words: _gro(*words),
}


def main(arguments: Sequence[str]) -> int:
    """Run the commands."""
    # Before 5.11, maps count as locked memory.
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    for words in " ".join(arguments).split(" , "):
        command, *rest = words.split()
        try:
            _COMMANDS[command](rest)
        except (KeyError, TypeError, ValueError, OSError) as e:
            print(f"flight.py: {words}: {e!r}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
