#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ask the kernel itself what it answers to XDP attaches, of every device of every
network namespace, and leave everything as it was.

Use: ``prober.py OUT``, after truth.py has recorded. OUT is JSON in ASCII, one answer a
line; names are written as truth.py writes them::

    {"format": "drgn-veth-answers/1", "seconds": 12.3, "tracepoint": true,
     "programs": [{"id": 7, "name": "ask_plain", "expected_attach_type": 0,
       "frags": false, "bound_ifindex": 0, "bound_netns": null, "pin": "..."}],
     "skipped": [{"netns": INUM, "ifindex": 2, "name": "eth0", "op": "detach",
       "reason": "..."}],
     "answers": [{"netns": INUM, "ifindex": 2, "name": "eth0", "op": OP, "via": VIA,
       "mode": MODE, "frags": false, "flags": 1, "program": 7, "link": null,
       "own": false, "current": null, "expected": null, "errno": 0, "message": null,
       "traced": null}]}

OP is attach, replace, detach, update, link_detach or flags; VIA netlink or link; MODE
default, generic, driver or offload. "flags" are those of the netlink request, of
BPF_LINK_CREATE or of BPF_LINK_UPDATE. "program" is what was asked with, null for a
detach, and where it could not be loaded: then the answer is that of the load and has
"function": "bpf_prog_load" besides. "link" is the link that was acted on. "own" answers
are about what an attach of the prober itself, the answer just before, has put there,
and "current" is then the number of the program that it was at that moment. "expected"
says whether the old program that was named is the one that was there ("current") or
not ("other"). "message" is that of the netlink answer, "traced" that of the tracepoint
bpf_xdp_link_attach_failed, where the kernel has it.

The programs stay pinned. /run/lab/keep names devices, ``INUM IFINDEX`` a line, that
have something which an attach would heal and no detach would bring back: no program
is replaced there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import ctypes
from dataclasses import dataclass, field
import errno
import fcntl
import json
import os
import socket
import struct
import sys
import time

import truth
import xdp

__all__ = ("KEEP", "Device", "Prober", "ProberError", "Routing", "ethtool", "main")

RUN = "/run/lab"
KEEP = RUN + "/keep"
BPFFS = RUN + "/bpf"
PINS = BPFFS + "/prober"
TRACING = "/sys/kernel/tracing"
TRACE = TRACING + "/instances/prober"
EVENT = "/events/xdp/bpf_xdp_link_attach_failed"
RCU_EXPEDITED = "/sys/kernel/rcu_expedited"

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSGERR_ATTR_MSG = 1
NLA_TYPE_MASK = 0x3FFF
NLA_F_NESTED = 0x8000
RTM_GETLINK = 18
RTM_SETLINK = 19
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINKINFO = 18
IFLA_INFO_KIND = 1
IFLA_EXT_MASK = 29
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_XDP = 43
IFLA_MAX_MTU = 51
IFLA_XDP_FD = 1
IFLA_XDP_FLAGS = 3
IFLA_XDP_PROG_IDS = {"driver": 5, "generic": 6, "offload": 7}
IFLA_XDP_EXPECTED_FD = 8

XDP_FLAGS_UPDATE_IF_NOEXIST = 1
XDP_FLAGS_REPLACE = 16
#: More than one mode; a flag that there is not; REPLACE without an expected program.
WRONG_NETLINK_FLAGS = (0x6, 0x20, XDP_FLAGS_REPLACE)
#: What only netlink knows; more than one mode; what only netlink knows.
WRONG_LINK_FLAGS = (XDP_FLAGS_UPDATE_IF_NOEXIST, 0x6, XDP_FLAGS_REPLACE)

BPF_XDP_DEVMAP = 33
BPF_XDP_CPUMAP = 35
BPF_XDP = 37

ARPHRD_ETHER = 1
SIOCETHTOOL = 0x8946
ETHTOOL_GFEATURES = 0x3A
ETHTOOL_SFEATURES = 0x3B
# More than there are: the kernel fills in its own number.
FEATURE_WORDS = 3
ETHTOOL_GCHANNELS = 0x3C

_libc = ctypes.CDLL(None, use_errno=True)


class ProberError(Exception):
    """What was there could not be put back."""


@dataclass(frozen=True)
class Reply:
    """What the kernel said to a request by netlink."""

    errno: int
    message: str | None


@dataclass(frozen=True)
class Device:
    """A device as RTM_GETLINK shows it."""

    ifindex: int
    name: str
    kind: str | None
    type: int
    flags: int
    mtu: int
    max_mtu: int
    #: Numbers of the attached programs, by mode.
    xdp: Mapping[str, int]


@dataclass(frozen=True)
class Program:
    """A program to ask with. Without a descriptor it could not be loaded."""

    id: int | None
    fd: int | None
    name: str
    frags: bool = False
    attach_type: int = 0
    bound_ifindex: int = 0
    bound_netns: int | None = None
    load_errno: int = 0
    pin: str | None = None


@dataclass(frozen=True)
class Attached:
    """A program that the scene attached."""

    mode: str
    program: Program
    #: Its number and a descriptor, if it is attached by a link.
    link: tuple[int, int] | None
    #: Whether its being plain or frags is known, so that it may be replaced.
    known: bool


@dataclass(frozen=True)
class State:
    """What must be the same before and after."""

    devices: Mapping[tuple[int, int], Device]
    features: Mapping[tuple[int, int], bytes]
    channels: Mapping[tuple[int, int], bytes]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("<HH", data, offset)
        if length < 4:
            return
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    head = struct.pack("<HH", 4 + len(value), kind)
    return head + value + b"\0" * (-len(value) % 4)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class Routing:
    """A routing socket of the namespace in which it is made."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.bind((0, 0))
        for option in (NETLINK_EXT_ACK, NETLINK_CAP_ACK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)
        self.sequence = 0

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def _send(self, kind: int, flags: int, ifindex: int, attributes: bytes) -> None:
        self.sequence += 1
        body = struct.pack("<BxHiII", 0, 0, ifindex, 0, 0) + attributes
        header = struct.pack(
            "<IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST, self.sequence, 0
        )
        self.socket.send(header + body)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        """Give type, flags and the rest of each message of the next datagram."""
        data = self.socket.recv(1 << 18)
        offset = 0
        while offset + 16 <= len(data):
            length, kind, flags = struct.unpack_from("<IHH", data, offset)
            yield kind, flags, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3

    def _devices(self, flags: int, ifindex: int) -> Iterator[Device]:
        mask = _attribute(IFLA_EXT_MASK, struct.pack("<I", RTEXT_FILTER_SKIP_STATS))
        self._send(RTM_GETLINK, flags, ifindex, mask)
        while True:
            for kind, _, data in self._receive():
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (error,) = struct.unpack_from("<i", data)
                    raise OSError(-error, os.strerror(-error))
                yield _device(data)
            if flags == 0:
                return

    def devices(self) -> list[Device]:
        """All devices of the namespace."""
        return list(self._devices(NLM_F_DUMP, 0))

    def device(self, ifindex: int) -> Device:
        """Return one device as it is now."""
        (device,) = self._devices(0, ifindex)
        return device

    def set_xdp(
        self, ifindex: int, fd: int, flags: int, expected_fd: int | None = None
    ) -> Reply:
        """Attach a program, or detach what is there (-1)."""
        nest = _attribute(IFLA_XDP_FD, struct.pack("<i", fd))
        if flags:
            nest += _attribute(IFLA_XDP_FLAGS, struct.pack("<I", flags))
        if expected_fd is not None:
            nest += _attribute(IFLA_XDP_EXPECTED_FD, struct.pack("<i", expected_fd))
        self._send(
            RTM_SETLINK, NLM_F_ACK, ifindex, _attribute(IFLA_XDP | NLA_F_NESTED, nest)
        )
        for kind, head, data in self._receive():
            if kind != NLMSG_ERROR:
                continue
            (error,) = struct.unpack_from("<i", data)
            message = None
            if head & NLM_F_ACK_TLVS:
                # The request's own header, and all of it only when it is not capped.
                (length,) = struct.unpack_from("<I", data, 4)
                tlvs = data[4 + (16 if head & NLM_F_CAPPED else length) :]
                for attribute, value in _attributes(tlvs):
                    if attribute == NLMSGERR_ATTR_MSG:
                        message = _text(value)
            return Reply(-error, message or None)
        raise ProberError("the kernel did not answer RTM_SETLINK")


def _device(data: bytes) -> Device:
    kind_of_hardware, ifindex, flags = struct.unpack_from("<2xHiI", data)
    name, kind, mtu, max_mtu = "", None, 0, 0
    attached: dict[str, int] = {}
    for attribute, value in _attributes(data[16:]):
        if attribute == IFLA_IFNAME:
            name = _text(value)
        elif attribute == IFLA_MTU:
            (mtu,) = struct.unpack("<I", value)
        elif attribute == IFLA_MAX_MTU:
            (max_mtu,) = struct.unpack("<I", value)
        elif attribute == IFLA_LINKINFO:
            kinds = [_text(v) for a, v in _attributes(value) if a == IFLA_INFO_KIND]
            kind = kinds[0] if kinds else None
        elif attribute == IFLA_XDP:
            ids = dict(_attributes(value))
            for mode, number in IFLA_XDP_PROG_IDS.items():
                if number in ids:
                    (attached[mode],) = struct.unpack("<I", ids[number])
    return Device(ifindex, name, kind, kind_of_hardware, flags, mtu, max_mtu, attached)


def ethtool(name: str, request: bytes) -> bytes:
    """What an ethtool request gives, or nothing where the device has no such thing."""
    buffer = ctypes.create_string_buffer(request, len(request))
    ifreq = os.fsencode(name).ljust(16, b"\0") + struct.pack(
        "<Q16x", ctypes.addressof(buffer)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            fcntl.ioctl(s, SIOCETHTOOL, ifreq)
        except OSError:
            return b""
    return buffer.raw


def _features(name: str) -> bytes:
    request = struct.pack("<II", ETHTOOL_GFEATURES, FEATURE_WORDS)
    return ethtool(name, request + bytes(16 * FEATURE_WORDS))


def _want_features(name: str, before: bytes) -> None:
    """Ask for the features that were asked for before.

    The first generic program of a device switches LRO off for good (dev_disable_lro()).
    """
    now = _features(name)
    (words,) = struct.unpack_from("<I", before, 4)
    request = struct.pack("<II", ETHTOOL_SFEATURES, words)
    for offset in range(8, 8 + 16 * words, 16):
        # available, requested, active, never_changed
        (old,) = struct.unpack_from("<I", before, offset + 4)
        (new,) = struct.unpack_from("<I", now, offset + 4)
        request += struct.pack("<II", old ^ new, old)
    ethtool(name, request)


class _Tracepoint:
    """The message of a failed link, which bpf(2) does not hand out.

    An instance of its own, so that nothing of it is left in the kernel.
    """

    def __init__(self) -> None:
        self.pipe: int | None = None
        if not os.path.isdir(TRACING + EVENT):
            return
        os.mkdir(TRACE)
        for name, value in (("/buffer_size_kb", "64"), (EVENT + "/enable", "1")):
            with open(TRACE + name, "w", encoding="ascii") as f:
                f.write(value)
        self.pipe = os.open(TRACE + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> str | None:
        """The message of the last failure, and forget it."""
        if self.pipe is None:
            return None
        try:
            text = os.read(self.pipe, 65536).decode(errors="replace")
        except BlockingIOError:
            return None
        message = text.rstrip("\n").rpartition("errmsg=")[2]
        return None if message in ("", "(null)") else message

    def close(self) -> None:
        if self.pipe is None:
            return
        with open(TRACE + EVENT + "/enable", "w", encoding="ascii") as f:
            f.write("0")
        os.close(self.pipe)
        os.rmdir(TRACE)


@dataclass
class Prober:
    """All questions and answers."""

    answers: list[dict[str, object]] = field(default_factory=list)
    skipped: list[dict[str, object]] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    traced: bool = False

    def __post_init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.namespaces = truth.find_namespaces()
        self.routes: dict[int, Routing] = {}
        self.frags: dict[int, tuple[bool, int]] = {}
        self.link_places: dict[int, tuple[int, int]] = {}
        for line in _lines(RUN + "/xdp.jsonl"):
            made = json.loads(line)
            if made["what"] == "prog":
                self.frags[made["id"]] = made["frags"], made["expected_attach_type"]
            else:
                self.link_places[made["id"]] = made["netns"], made["ifindex"]
        self.kept = {
            (int(inum), int(ifindex)) for inum, ifindex in map(str.split, _lines(KEEP))
        }
        self.opened: dict[int, int] = {}
        self.inum = 0
        self.device = Device(0, "", None, 0, 0, 0, 0, {})

    # The kernel's state

    def _enter(self, inum: int) -> Routing:
        xdp.setns(self.namespaces[inum].fd)
        self.inum = inum
        if inum not in self.routes:
            self.routes[inum] = Routing()
        return self.routes[inum]

    def _max_mtus(self) -> dict[tuple[int, int], int]:
        """A program on one veth limits the MTU of the other, wherever that is."""
        return {
            (inum, device.ifindex): device.max_mtu
            for inum, route in self.routes.items()
            for device in route.devices()
        }

    def state(self) -> State:
        """Look at all that a probe might change."""
        devices = {}
        features = {}
        channels = {}
        for inum in self.namespaces:
            for device in self._enter(inum).devices():
                key = inum, device.ifindex
                devices[key] = device
                features[key] = _features(device.name)
                channels[key] = ethtool(
                    device.name, struct.pack("<I32x", ETHTOOL_GCHANNELS)
                )
        return State(devices, features, channels)

    # Programs

    def _add(self, name: str, **how: int) -> Program:
        frags, bound = bool(how.get("frags")), how.get("bound_ifindex", 0)
        attach_type = how.get("attach_type", 0)
        try:
            fd = xdp.load_program(name, 2, frags, attach_type, bound)
        except OSError as e:
            return Program(
                None, None, name, frags, attach_type, bound, load_errno=e.errno or 0
            )
        path = f"{PINS}/{name}"
        xdp.pin(fd, path)
        netns = self.inum if bound else None
        program = Program(
            xdp.object_id(fd), fd, name, frags, attach_type, bound, netns, pin=path
        )
        self.programs.append(program)
        return program

    def _attached(self, device: Device) -> dict[str, Attached]:
        """What the scene has put on a device."""
        found = {}
        for mode, number in device.xdp.items():
            if number not in self.opened:
                self.opened[number] = xdp.open_program(number)
            frags, attach_type = self.frags.get(number, (False, 0))
            fd = self.opened[number]
            program = Program(number, fd, "", frags, attach_type)
            link = self._link_of(device, number)
            found[mode] = Attached(mode, program, link, number in self.frags)
        return found

    def _link_of(self, device: Device, prog_id: int) -> tuple[int, int] | None:
        """A link tells the ifindex alone: its namespace is in the scene's records."""
        for link_id, (info, fd) in self.links.items():
            place = self.inum, device.ifindex
            if info.prog_id == prog_id and self.link_places.get(link_id) == place:
                return link_id, fd
        return None

    # Answers

    def _note(
        self,
        op: str,
        via: str,
        mode: str,
        program: Program | None,
        flags: int,
        reply: Reply,
        *,
        link: int | None = None,
        own: Program | None = None,
        expected: str | None = None,
        traced: str | None = None,
    ) -> None:
        answer: dict[str, object] = {
            "netns": self.inum,
            "ifindex": self.device.ifindex,
            "name": self.device.name,
            "op": op,
            "via": via,
            "mode": mode,
            "frags": program is not None and program.frags,
            "flags": flags,
            "program": None if program is None else program.id,
            "link": link,
            "own": own is not None,
            "current": None if own is None else own.id,
            "expected": expected,
            "errno": reply.errno,
            "message": reply.message,
            "traced": traced,
        }
        if program is not None and program.fd is None:
            answer["function"] = "bpf_prog_load"
        self.answers.append(answer)

    def _skip(self, op: str, reason: str) -> None:
        self.skipped.append(
            {
                "netns": self.inum,
                "ifindex": self.device.ifindex,
                "name": self.device.name,
                "op": op,
                "reason": reason,
            }
        )

    def _fail(self, what: str, reply: Reply | None = None) -> ProberError:
        said = "" if reply is None else f": {reply.errno} {reply.message}"
        return ProberError(f"{self.inum} {self.device.name!r}: {what}{said}")

    # Questions

    def _netlink(
        self,
        op: str,
        mode: str,
        program: Program | None,
        flags: int,
        expected: str | None = None,
        expected_fd: int | None = None,
        own: Program | None = None,
    ) -> bool:
        if program is not None and program.fd is None:
            self._note(
                op, "netlink", mode, program, flags, Reply(program.load_errno, None)
            )
            return False
        fd = -1 if program is None or program.fd is None else program.fd
        reply = self.route.set_xdp(self.device.ifindex, fd, flags, expected_fd)
        self._note(
            op, "netlink", mode, program, flags, reply, expected=expected, own=own
        )
        return reply.errno == 0

    def _update(
        self,
        mode: str,
        link: tuple[int, int],
        program: Program,
        own: Program | None = None,
        expected: str | None = None,
        old: Program | None = None,
    ) -> bool:
        flags = 0 if old is None else xdp.BPF_F_REPLACE
        if program.fd is None:
            reply = Reply(program.load_errno, None)
        else:
            reply = Reply(0, None)
            try:
                xdp.update_link(link[1], program.fd, None if old is None else old.fd)
            except OSError as e:
                reply = Reply(e.errno or 0, None)
        self._note(
            "update",
            "link",
            mode,
            program,
            flags,
            reply,
            link=link[0],
            own=own,
            expected=expected,
        )
        return program.fd is not None and reply.errno == 0

    def _attach_netlink(self, op: str, mode: str, program: Program, flags: int) -> None:
        if not self._netlink(op, mode, program, flags):
            return
        bit = xdp.MODES[mode]
        if not self._netlink("detach", mode, None, bit, own=program):
            raise self._fail("what was attached cannot be detached")
        self._check()

    def _attach_link(self, op: str, mode: str, program: Program, flags: int) -> None:
        if program.fd is None:
            self._note(
                op, "link", mode, program, flags, Reply(program.load_errno, None)
            )
            return
        try:
            fd = xdp.create_link(program.fd, self.device.ifindex, flags)
        except OSError as e:
            reply = Reply(e.errno or 0, None)
            self._note(
                op, "link", mode, program, flags, reply, traced=self.trace.read()
            )
            return
        link = xdp.object_id(fd), fd
        self._note(op, "link", mode, program, flags, Reply(0, None))
        now = program
        for other in (
            self.plain if program.frags else self.with_frags,
            self.devmap,
        ):
            if self._update(mode, link, other, own=now):
                now = other
        reply = Reply(0, None)
        try:
            xdp.detach_link(fd)
        except OSError as e:
            reply = Reply(e.errno or 0, None)
        self._note("link_detach", "link", mode, None, 0, reply, link=link[0], own=now)
        self._update(mode, link, program, own=now)
        os.close(fd)
        self._check()

    def _attach(self, mode: str, program: Program, op: str = "attach") -> None:
        bit = xdp.MODES[mode]
        self._attach_netlink(op, mode, program, XDP_FLAGS_UPDATE_IF_NOEXIST | bit)
        self._attach_link(op, mode, program, bit)

    # The state of one device

    def _check(self) -> None:
        now = self.route.device(self.device.ifindex)
        if now.xdp != self.device.xdp:
            raise self._fail(f"has the programs {now.xdp}, had {self.device.xdp}")

    def _put_back(self, attached: Attached) -> None:
        """Bring a program of the scene back to where it was."""
        fd = attached.program.fd
        assert fd is not None
        if attached.link:
            try:
                xdp.update_link(attached.link[1], fd)
            except OSError as e:
                raise self._fail(f"the link's program cannot be put back: {e}") from e
        else:
            self._set(attached.mode, fd)
        self._check()

    def _set(self, mode: str, fd: int) -> None:
        reply = self.route.set_xdp(self.device.ifindex, fd, xdp.MODES[mode])
        if reply.errno:
            raise self._fail("the program cannot be put back", reply)

    def _attach_again(self, attached: Attached) -> None:
        """Bring a program back that was detached.

        Up to v7.2 veth computes the peer's max_mtu for the first program only, so what
        is there may come from an earlier one.
        """
        fd, other = attached.program.fd, self.plain
        assert fd is not None
        self._set(attached.mode, fd)
        if attached.mode == "driver" and self._max_mtus() != self.max_mtus:
            if not attached.program.frags:
                other = self.with_frags
            if other.fd is None:
                raise self._fail("the peer's max_mtu cannot be put back")
            self._set(attached.mode, -1)
            self._set(attached.mode, other.fd)
            self._set(attached.mode, fd)
            if self._max_mtus() != self.max_mtus:
                raise self._fail("the peer's max_mtu is not put back")
        self._check()

    # What is asked of a device

    def _replaces(self, attached: Attached) -> None:
        """Ask for another program in the place of one that is there."""
        mode, program = attached.mode, attached.program
        alike, unlike = self.plain, self.with_frags
        if program.frags:
            alike, unlike = unlike, alike
        elif program.attach_type == BPF_XDP:
            # A link takes only programs of one expected_attach_type.
            alike = self.eat37
        keep = (self.inum, self.device.ifindex) in self.kept or not attached.known
        reason = "nothing may be replaced here"
        safe, refused_early = not keep, False
        # What answers without touching the program.
        for asked, bit in xdp.MODES.items():
            for flags in bit, bit | XDP_FLAGS_UPDATE_IF_NOEXIST:
                if self._netlink("replace", asked, program, flags):
                    self._check()
            if self._netlink(
                "replace",
                asked,
                alike,
                bit | XDP_FLAGS_REPLACE,
                expected="other",
                expected_fd=alike.fd,
            ):
                raise self._fail("another expected program was taken for this one")
            self._netlink("replace", asked, self.devmap, bit)
            self._check()
        # One like it first: where that is taken, so is the old one afterwards.
        if safe:
            if attached.link:
                safe = self._update(mode, attached.link, alike)
            else:
                safe = self._netlink("replace", mode, alike, xdp.MODES[mode])
            # EEXIST comes before the driver is asked, and for a detach as well.
            refused_early = self.answers[-1]["errno"] == errno.EEXIST
            if safe:
                self._put_back(attached)
            else:
                reason = "it could not be put back"
        if attached.link:
            self._updates(attached, attached.link, alike, unlike, safe, reason)
        for asked, bit in xdp.MODES.items():
            into = self._resolves(asked, attached) and not attached.link
            for other in alike, unlike:
                if other is alike and asked == mode and not keep and not attached.link:
                    continue  # That was the first.
                lasting = other is unlike and not safe and not refused_early
                if into and (keep or lasting):
                    self._skip("replace", reason)
                elif self._netlink("replace", asked, other, bit):
                    self._put_back(attached)
            if into and keep:
                self._skip("replace", reason)
            elif self._netlink(
                "replace",
                asked,
                alike,
                bit | XDP_FLAGS_REPLACE,
                expected="current",
                expected_fd=program.fd,
            ):
                self._put_back(attached)
        may_detach = safe or attached.link is not None or refused_early
        for asked, bit in xdp.MODES.items():
            if self._resolves(asked, attached) and not may_detach:
                self._skip("detach", reason)
                continue
            self._netlink("detach", asked, None, bit)
            if self.route.device(self.device.ifindex).xdp != self.device.xdp:
                self._attach_again(attached)

    def _resolves(self, asked: str, attached: Attached) -> bool:
        """Whether a request without a mode, or with this one, may reach the program."""
        return asked in ("default", attached.mode)

    def _updates(
        self,
        attached: Attached,
        link: tuple[int, int],
        alike: Program,
        unlike: Program,
        safe: bool,
        reason: str,
    ) -> None:
        """Ask a link of the scene for other programs."""
        mode, program = attached.mode, attached.program
        if self._update(mode, link, self.devmap):
            raise self._fail("a link took a program for a devmap")
        self._update(mode, link, program)
        if self._update(mode, link, alike, expected="other", old=alike):
            raise self._fail("a link took another old program for its own")
        if not safe:
            self._skip("update", reason)
            return
        for other in unlike, alike:
            if self._update(
                mode,
                link,
                other,
                expected="current" if other is alike else None,
                old=program if other is alike else None,
            ):
                self._put_back(attached)

    def _specials(self, also_taken: bool) -> None:
        """Ask with programs and flags that no device takes, and with a program of
        another expected_attach_type that all do."""
        programs = [self.devmap, self.cpumap]
        if also_taken:
            programs.append(self.eat37)
        for program in programs:
            for mode in xdp.MODES:
                self._attach(mode, program)
        for flags in WRONG_NETLINK_FLAGS:
            self._netlink("flags", "default", self.plain, flags)
            self._check()
        for flags in WRONG_LINK_FLAGS:
            self._attach_link("flags", "default", self.plain, flags)

    def _ask_device(self, device: Device, special: bool, first: bool) -> None:
        self.device = device
        for mode in xdp.MODES:
            for program in self.plain, self.with_frags:
                self._attach(mode, program)
        for attached in self._attached(device).values():
            self._replaces(attached)
        if special:
            self._specials(first or bool(device.xdp))

    def _bound(self, targets: Sequence[tuple[int, Device]]) -> None:
        """Ask with a program that is bound to one device: of it and of others."""
        veths = [
            (inum, device)
            for inum, device in targets
            if device.kind == "veth"
            and not device.xdp
            and any(
                a["errno"] == 0
                and a["netns"] == inum
                and a["ifindex"] == device.ifindex
                for a in self.answers
                if a["op"] == "attach" and a["mode"] == "driver"
            )
        ]
        if not veths:
            return
        inum, first = veths[0]
        self.route = self._enter(inum)
        self.device = first
        program = self._add("ask_bound", bound_ifindex=first.ifindex)
        if program.fd is None:
            self._skip("attach", f"no device-bound program: errno {program.load_errno}")
            return
        with_program = [t for t in targets if t[1].kind == "veth" and t[1].xdp]
        others = [t for t in targets if t[1].kind in ("dummy", "bond") or not t[1].kind]
        for inum, device in veths[:2] + veths[-1:] + with_program[:2] + others:
            self.route = self._enter(inum)
            self.device = device
            for mode in xdp.MODES:
                self._attach(mode, program)

    def _restore_features(self, before: State) -> None:
        for key, old in before.features.items():
            self._enter(key[0])
            name = before.devices[key].name
            if _features(name) != old:
                _want_features(name, old)

    def run(self) -> None:
        """Ask all, and see that nothing is changed."""
        before = self.state()
        self.max_mtus = {k: d.max_mtu for k, d in before.devices.items()}
        self.plain = self._add("ask_plain")
        self.with_frags = self._add("ask_frags", frags=True)
        self.devmap = self._add("ask_devmap", attach_type=BPF_XDP_DEVMAP)
        self.cpumap = self._add("ask_cpumap", attach_type=BPF_XDP_CPUMAP)
        self.eat37 = self._add("ask_eat37", attach_type=BPF_XDP)
        if self.plain.fd is None:
            raise ProberError("the plain program cannot be loaded")
        self.links: dict[int, tuple[xdp.LinkInfo, int]] = {}
        for link_id in list(xdp.link_ids()):
            fd = xdp.open_link(link_id)
            info = xdp.link_info(fd)
            if info is None:
                os.close(fd)
            else:
                self.links[link_id] = info, fd
        self.trace = _Tracepoint()
        self.traced = self.trace.pipe is not None
        targets = []
        seen: set[tuple[int, str | None]] = set()
        for (inum, _), device in before.devices.items():
            self.route = self._enter(inum)
            # All veths and NICs, and the first of these.
            special = device.kind == "veth" or (
                device.kind is None and device.type == ARPHRD_ETHER
            )
            place = inum if device.kind == "veth" else 0, device.kind
            first = place not in seen
            seen.add(place)
            if first and device.kind in ("dummy", "bond"):
                special = True
            self._ask_device(device, special, first)
            if special:
                targets.append((inum, device))
        self._bound(targets)
        self.trace.close()
        self._restore_features(before)
        _compare(before, self.state())
        xdp.setns(self.home)


def _compare(before: State, after: State) -> None:
    if before == after:
        return
    lines = []
    for name in ("devices", "features", "channels"):
        old, new = getattr(before, name), getattr(after, name)
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                device = before.devices.get(key)
                lines.append(
                    f"{key} {device.name if device else ''!r} {name}: "
                    f"{old.get(key)!r}, then {new.get(key)!r}"
                )
    raise ProberError("not as before: " + "\n".join(lines))


def _mount_bpffs() -> None:
    os.makedirs(BPFFS, exist_ok=True)
    if not os.path.ismount(BPFFS) and _libc.mount(
        b"bpf", os.fsencode(BPFFS), b"bpf", 0, None
    ):
        raise ProberError("cannot mount a BPF file system")
    os.makedirs(PINS, exist_ok=True)


@contextlib.contextmanager
def _expedited() -> Iterator[None]:
    """Most of the time would go into waiting for RCU, several times an attach."""
    with open(RCU_EXPEDITED, encoding="ascii") as f:
        before = f.read()
    try:
        with open(RCU_EXPEDITED, "w", encoding="ascii") as f:
            f.write("1")
        yield
    finally:
        with open(RCU_EXPEDITED, "w", encoding="ascii") as f:
            f.write(before)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def _write(path: str, prober: Prober, seconds: float) -> None:
    head: dict[str, object] = {
        "format": "drgn-veth-answers/1",
        "seconds": seconds,
        "tracepoint": prober.traced,
        "programs": [
            {
                "id": p.id,
                "name": p.name,
                "expected_attach_type": p.attach_type,
                "frags": p.frags,
                "bound_ifindex": p.bound_ifindex,
                "bound_netns": p.bound_netns,
                "pin": p.pin,
            }
            for p in prober.programs
        ],
        "skipped": prober.skipped,
    }
    temporary = path + ".part"
    with open(temporary, "w", encoding="ascii") as f:
        f.write(json.dumps(head)[:-1] + ', "answers": [\n')
        f.write(",\n".join(json.dumps(answer) for answer in prober.answers))
        f.write("\n]}\n")
        f.flush()
        os.fsync(f.fileno())
    os.rename(temporary, path)


def main(arguments: Sequence[str]) -> int:
    """Write the answers to the file that the only argument names."""
    if len(arguments) != 1:
        print("usage: prober.py OUT", file=sys.stderr)
        return 2
    start = time.monotonic()
    prober = Prober()
    try:
        _mount_bpffs()
        with _expedited():
            prober.run()
    except ProberError as e:
        print(f"prober.py: {e}", file=sys.stderr)
        return 1
    seconds = round(time.monotonic() - start, 1)
    _write(arguments[0], prober, seconds)
    print(
        f"prober: {len(prober.answers)} answers, {len(prober.skipped)} skipped, "
        f"{seconds} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
