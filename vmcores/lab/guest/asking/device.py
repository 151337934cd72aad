# SPDX-License-Identifier: LGPL-2.1-or-later
"""The questions about one device. What the kernel grants is undone at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import errno
import os
import struct
import time

from bpf import MODES
from devices import Device, Reply, Routing
import ethtool
from libc import checked, libc, setns
from probing.kernel import Kernel, ProberError
from probing.loaded import Loaded

from .record import Record
from .requests import (
    Channels,
    Devmap,
    Link,
    add_altname,
    link_of,
    make_link,
    move,
    remove_link,
    rename,
    set_master,
    set_mtu,
)
from .xsk import FLAGS, XskSocket

__all__ = ("About", "Elsewhere", "Masters")

CLONE_NEWNET = 0x40000000
#: MTUs that are asked for, whatever the device has.
MTUS = (68, 1280, 9000, 65535, 65536, 0xFFFFFFFF)
#: Kinds whose MTU is also that of other devices, or remembers that it was set.
MTU_OF_OTHERS = ("bond", "bridge", "team", "ipvlan", "ipvtap")
#: Seconds for the kernel to let go of the queue of a closed AF_XDP socket.
PATIENCE = 60.0
COUNTS = ("rx", "tx", "other", "combined")


class Elsewhere:
    """An empty network namespace with one device that takes names."""

    def __init__(self) -> None:
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        checked(libc.unshare(CLONE_NEWNET))
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._route = Routing()
        setns(home)
        os.close(home)
        self._device = make_link(self._route, "ask_other", "dummy") or make_link(
            self._route, "ask_other", "bridge"
        )
        if not self._device:
            raise ProberError("no device can be made in another namespace")

    def take(self, name: str) -> None:
        """Take the name of a device, and no other."""
        reply = rename(self._route, self._device, name)
        if reply.errno:
            raise ProberError(f"the name {name!r} cannot be taken: {reply}")

    def take_altname(self, name: str) -> None:
        """Take one more name."""
        add_altname(self._route, self._device, name)

    def close(self) -> None:
        """Remove the namespace."""
        remove_link(self._route, self._device)
        self._route.close()
        os.close(self.fd)


class Masters:
    """New masters in a namespace, by the words of a question."""

    def __init__(self, route: Routing, program: int) -> None:
        self._route, self._program = route, program
        self.there: dict[str, int] = {}
        for words in ("new bridge", "new bond", "new bond program"):
            self.renew(words)

    def renew(self, words: str) -> None:
        """Make one of them, instead of the one that there is."""
        old = self.there.pop(words, 0)
        if old:
            remove_link(self._route, old)
        made = make_link(self._route, words.replace(" ", "_")[:15], words.split()[1])
        if not made:
            return
        if words.endswith("program"):
            if self._route.set_xdp(made, self._program, MODES["driver"]).errno:
                remove_link(self._route, made)
                return
        self.there[words] = made

    def close(self) -> None:
        """Remove them all."""
        for ifindex in self.there.values():
            remove_link(self._route, ifindex)


class About:
    """Asks about one device at a time."""

    def __init__(self, kernel: Kernel, loaded: Loaded, record: Record) -> None:
        self.kernel = kernel
        self.loaded = loaded
        self.record = record
        self._channels: dict[int, Channels] = {}
        self._devmaps = (Devmap(False), Devmap(True))
        with open("/proc/kallsyms", encoding="ascii") as f:
            self._has_new_ifindex = "__dev_change_net_namespace\n" in f.read()
        #: The device that is recorded as asked about; this one is its peer then.
        self.whose: Device | None = None
        #: Queues that this process may still hold for a moment.
        self._let_go: set[tuple[int, int, int]] = set()

    def of(self, inum: int, device: Device) -> None:
        """Ask about this device from now on."""
        self.kernel.enter(inum)
        self.inum, self.device = inum, device
        self.link: Link = link_of(self.kernel.route, device.ifindex)
        if inum not in self._channels:
            self._channels[inum] = Channels()

    def close(self) -> None:
        """Let go of everything."""
        for channels in self._channels.values():
            channels.close()
        for devmap in self._devmaps:
            devmap.close()

    def note(
        self, question: str, reply: Reply, before: Sequence[str] = (), **more: object
    ) -> bool:
        """Record an answer, and return whether the kernel accepted."""
        whose = self.device if self.whose is None else self.whose
        if self.whose is not None:
            question = f"peer {question}"
        granted = self.record.note(self.inum, whose, question, reply, before)
        self.record.answers[-1].update(more)
        return granted

    def skip(self, question: str, reason: str) -> None:
        """Record that a question is not asked."""
        self.record.skip(self.inum, self.device, question, reason)

    def undone(self, what: str, reply: Reply) -> None:
        """Raise ProberError unless something was undone."""
        if reply.errno:
            name = self.device.name
            raise ProberError(f"{self.inum} {name!r}: {what} cannot be undone: {reply}")

    ### ethtool -L

    def counts(self) -> dict[str, int]:
        """Return the counts and the maxima ("max rx") of channels, if there are any."""
        raw = ethtool.channels(self.device.name)
        if not raw:
            return {}
        names = ("rx", "tx", "other", "combined")
        numbers = struct.unpack("<9I", raw)[1:]
        return {
            **{f"max {name}": number for name, number in zip(names, numbers)},
            **dict(zip(names, numbers[4:])),
        }

    def channels(self, wanted: Mapping[str, int], before: Sequence[str] = ()) -> bool:
        """Ask for numbers of queues."""
        words = " ".join(f"{word} {count}" for word, count in wanted.items())
        reply = self._channels[self.inum].set(self.device.ifindex, dict(wanted))
        return self.note(f"channels {words}", reply, before)

    def set_channels(self, counts: Mapping[str, int]) -> None:
        """Set numbers of queues. This is not a question."""
        words = ("rx", "tx") if counts["rx"] or counts["tx"] else ("combined",)
        wanted = {word: counts[word] for word in words}
        reply = self._channels[self.inum].set(self.device.ifindex, wanted)
        self.undone("the number of queues", reply)

    def all_channels(self) -> None:
        """Ask for numbers of queues that no device grants, and for those there are."""
        now = self.counts()
        if not now:
            self.channels({"rx": 1})
            self.channels({"combined": 1})
            return
        for word in COUNTS:
            self.channels({word: now[f"max {word}"] + 1})
            self.channels({word: now[word]})
        self.channels({"rx": now["rx"], "tx": now["max tx"] + 7})
        self.channels({"rx": 0, "tx": 0, "combined": 0})
        if now["rx"]:
            self.channels({"rx": 0})
            self.channels({"tx": 0})
            self.channels({"rx": 0, "tx": 0})
        if now["combined"]:
            self.channels({"combined": 0})
            self.channels({"combined": 0, "rx": 1})

    ### MTU

    def mtu(self, mtu: int, before: Sequence[str] = ()) -> bool:
        """Ask for another MTU."""
        reply = set_mtu(self.kernel.route, self.device.ifindex, mtu)
        return self.note(f"mtu {mtu}", reply, before)

    def put_mtu_back(self) -> None:
        """Give the device the MTU that it had."""
        reply = set_mtu(self.kernel.route, self.device.ifindex, self.device.mtu)
        self.undone("the MTU", reply)

    def all_mtus(self, has_uppers: bool) -> None:
        """Ask for several MTUs."""
        device, least, most = self.device, self.link.min_mtu, self.device.max_mtu
        self.mtu(device.mtu)
        asked = {*MTUS, device.mtu + 1, least - 1 if least else 0, most + 1, most}
        for mtu in sorted(asked - {device.mtu}):
            sure = 0 <= mtu < least or most and mtu > most or mtu == 0xFFFFFFFF
            lasting = device.kind in MTU_OF_OTHERS or mtu < device.mtu and has_uppers
            fits = least <= device.mtu and (not most or device.mtu <= most)
            if not sure and (lasting or not fits):
                self.skip(f"mtu {mtu}", "it could not be put back")
            elif self.mtu(mtu):
                self.put_mtu_back()

    ### Masters

    def enslave(self, words: str, master: int, before: Sequence[str] = ()) -> bool:
        """Ask for a master."""
        reply = set_master(self.kernel.route, self.device.ifindex, master)
        return self.note(f"enslave {words}", reply, before)

    def all_masters(self, masters: Masters) -> None:
        """Ask to enslave the device to new masters, and to the one that it has."""
        if self.link.master is not None:
            name = self.kernel.route.device(self.link.master).name
            self.enslave(name, self.link.master)
            return
        self.enslave("none", 0)
        for words in list(masters.there):
            if self.enslave(words, masters.there[words]):
                self.free()
                # A bond becomes like its first slave.
                if words != "new bridge":
                    masters.renew(words)

    def free(self) -> None:
        """Remove the device from its master."""
        reply = set_master(self.kernel.route, self.device.ifindex, 0)
        self.undone("the master", reply)

    ### Namespaces

    def all_namespaces(self, elsewhere: Elsewhere, here: int) -> None:
        """Ask to move the device where it is, and where its name is taken."""
        route, device = self.kernel.route, self.device
        self.note("netns same", move(route, device.ifindex, here))
        if device.name != "lo":
            elsewhere.take(device.name)
        reply = move(route, device.ifindex, elsewhere.fd)
        self.note("netns new", reply, names=["lo", device.name])
        elsewhere.take("ask_other")
        for name in self.link.altnames[:1]:
            elsewhere.take_altname(name)
            reply = move(route, device.ifindex, elsewhere.fd)
            self.note("netns new", reply, names=["lo", "ask_other", name])
        if self._has_new_ifindex and not self.link.altnames:
            reply = move(route, device.ifindex, elsewhere.fd, 1)
            self.note("netns new ifindex 1", reply, names=["lo", "ask_other"])

    ### AF_XDP

    def bind(
        self, queue: int, words: Sequence[str] = (), before: Sequence[str] = ()
    ) -> XskSocket | None:
        """Ask to bind a socket, and return it if that is granted."""
        flags = sum(FLAGS[word] for word in words)
        question = " ".join(("bind queue", str(queue), *words))
        place = self.inum, self.device.ifindex, queue & 0xFFFF
        made = XskSocket()
        reply = Reply(0, None)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                made.bind(self.device.ifindex, queue, flags)
            except OSError as e:
                reply = Reply(e.errno or 0, None)
                busy = reply.errno == errno.EBUSY and place in self._let_go
                if busy and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
            else:
                reply = Reply(0, None)
            break
        if not reply.errno:
            self._let_go.discard(place)
        if self.note(question, reply, before):
            return made
        made.close()
        return None

    def let_go(self, queue: int, made: XskSocket | None) -> None:
        """Close a socket that was bound."""
        if made is not None:
            made.close()
            self._let_go.add((self.inum, self.device.ifindex, queue & 0xFFFF))

    def all_binds(self, queues: int) -> None:
        """Ask to bind sockets to the first, the last, and no queue."""
        for queue, words in (
            (0, ()),
            (0, ("copy", "zerocopy")),
            (0, ("unknown-flag",)),
            (0, ("zerocopy",)),
            (max(queues - 1, 0), ("copy",)),
            (queues, ("copy",)),
            (queues, ("copy", "zerocopy")),
            (65536, ()),
            (0, ("copy", "need-wakeup")),
            (0, ("copy", "sg")),
        ):
            self.let_go(queue, self.bind(queue, words))

    ### DEVMAP

    def all_devmaps(self) -> None:
        """Ask for entries of devmaps."""
        programs = {
            "": None,
            " program devmap": self.loaded.devmap.fd,
            " program plain": self.loaded.plain.fd,
            " program cpumap": self.loaded.cpumap.fd,
        }
        for devmap in self._devmaps:
            kind = "hash" if devmap.hashed else "array"
            for words, program in programs.items():
                reply = devmap.update(0, self.device.ifindex, program, 0)
                self.note(f"devmap {kind} max 1{words}", reply)
            reply = devmap.update(1, self.device.ifindex, None, 0)
            self.note(f"devmap {kind} max 1 key 1", reply)
            reply = devmap.update(0, self.device.ifindex, None, 1)
            self.note(f"devmap {kind} max 1 noexist", reply)

    ### XDP

    def attach(self, mode: str, before: Sequence[str] = ()) -> bool:
        """Ask to attach the plain program."""
        assert self.loaded.plain.fd is not None
        reply = self.kernel.route.set_xdp(
            self.device.ifindex, self.loaded.plain.fd, MODES[mode] | 1
        )
        return self.note(f"attach {mode}", reply, before)

    def detach(self, mode: str) -> None:
        """Detach a program. This is not a question."""
        reply = self.kernel.route.set_xdp(self.device.ifindex, -1, MODES[mode])
        self.undone("an attach", reply)
