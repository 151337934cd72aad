#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make random devices, queues, masters, and XDP programs.

Use: ``random_scene.py SEED``, with the namespaces r1, r2 and r3 there. It draws
everything before it asks the kernel anything, so that a seed always gives the same list
of wishes. It logs what the kernel refuses, and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import os
import random
import subprocess
import sys
from typing import Union

from bpf import MODES, open_pinned
from devices import Device, Routing
import ethtool
from libc import setns
from places import BPFFS, KEEP, SCENE_LOG
import xdp

__all__ = ("Wish", "draw", "main")

HOME = ""
NAMESPACES = (HOME, "r1", "r2", "r3")
#: Most devices are where sysfs shows the queues.
NAMESPACE_WEIGHTS = (6, 2, 2, 1)
BOND_MODES = (
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
)
#: How xdp.py loads each.
PROGRAMS = {"plain": "", "eat37": " attach 37", "frags": " frags"}


@dataclass(frozen=True)
class Wish:
    """Something to do to a device: an ``ip`` command, or one of these.

    ("queues", rx, tx), ("xdp", via, mode, program), ("mtu", offset from the limit),
    ("rps", queue, mask).
    """

    netns: str
    name: str
    what: tuple[Union[str, int], ...]


def _queues(rng: random.Random) -> str:
    words = ""
    for word in "numrxqueues", "numtxqueues":
        number = rng.choice((0, 0, 1, 1, 2, 3, 4, 8))
        if number:
            words += f" {word} {number}"
    return words


def draw(seed: int) -> list[list[Wish]]:
    """Draw everything, step by step."""
    rng = random.Random(seed)
    devices: list[tuple[str, str, str]] = []
    make: list[Wish] = []

    def add(netns: str, name: str, kind: str, command: str) -> None:
        devices.append((netns, name, kind))
        make.append(Wish(netns, name, ("ip", command)))

    def somewhere() -> str:
        return rng.choices(NAMESPACES, NAMESPACE_WEIGHTS)[0]

    used = set()
    for i in range(rng.randint(15, 19)):
        netns, peer_netns = somewhere(), somewhere()
        name, peer = f"v{i}a", f"v{i}b"
        # The NIC of the first namespace has that name.
        free = peer_netns and (peer_netns, "eth0") not in used
        if rng.random() < 0.2 and free:
            peer = "eth0"
        used.add((peer_netns, peer))
        # 1: the namespace of init.
        place = f" netns {peer_netns or 1}"
        add(
            netns,
            name,
            "veth",
            f"link add {name}{_queues(rng)} type veth "
            f"peer name {peer}{_queues(rng)}{place}",
        )
        devices.append((peer_netns, peer, "veth"))
    veths = list(devices)
    for i in range(rng.randint(2, 4)):
        add(somewhere(), f"dum{i}", "dummy", f"link add dum{i} type dummy")
    for i in range(rng.randint(2, 4)):
        mode = rng.choice(BOND_MODES)
        add(somewhere(), f"bo{i}", "bond", f"link add bo{i} type bond mode {mode}")
    for i in range(rng.randint(1, 2)):
        add(somewhere(), f"br{i}", "bridge", f"link add br{i} type bridge")
    for i in range(rng.randint(1, 3)):
        kind = rng.choice(("tap", "tun"))
        add(HOME, f"{kind}{i}", kind, f"tuntap add dev {kind}{i} mode {kind}")
    for kind, words in (
        ("ifb", ""),
        ("vrf", " table 10"),
        ("vxlan", " id 7 dstport 4789"),
        ("netkit", " mode l2 peer name nk_peer"),
    ):
        if rng.random() < 0.5:
            name = f"{kind}_r"
            add(somewhere(), name, kind, f"link add {name} type {kind}{words}")
    lowers = list(devices)
    for i in range(rng.randint(4, 7)):
        netns, low, _ = rng.choice(lowers)
        kind, words = rng.choice(
            (("macvlan", " mode bridge"), ("vlan", f" id {i + 1}"), ("ipvlan", ""))
        )
        add(netns, f"up{i}", kind, f"link add up{i} link {low} type {kind}{words}")
    masters = []
    for netns, name, kind in devices:
        if kind in ("bond", "bridge", "vrf"):
            inside = [d for d in veths if d[0] == netns]
            for _ in range(rng.randint(0, 2) if inside else 0):
                slave = rng.choice(inside)[1]
                masters.append(
                    Wish(netns, slave, ("ip", f"link set dev {slave} master {name}"))
                )
    mtus = []
    for netns, name, _ in devices:
        if rng.random() < 0.25:
            mtus.append(Wish(netns, name, ("mtu", rng.choice((-1, 0, 0, 1, 5000)))))
    up = [
        Wish(netns, name, ("ip", f"link set dev {name} up"))
        for netns, name, _ in devices
        if rng.random() < 0.8
    ]
    channels = [
        Wish(netns, name, ("queues", rng.randint(1, 4), rng.randint(1, 4)))
        for netns, name, _ in veths
        if rng.random() < 0.3
    ]
    attach = []
    order = [*devices, (HOME, "nic", "")]
    rng.shuffle(order)
    for netns, name, kind in order:
        while rng.random() < 0.45:
            mode = rng.choice(("default", "generic", "driver", "driver", "offload"))
            if kind not in ("veth", "bond", "") and rng.random() < 0.7:
                mode = "default"
            via = rng.choice(("netlink", "netlink", "pin", "hold"))
            attach.append(
                Wish(netns, name, ("xdp", via, mode, rng.choice(list(PROGRAMS))))
            )
    late = []
    for netns, name, _ in veths:
        if rng.random() < 0.15:
            late.append(Wish(netns, name, ("mtu", rng.choice((-1, 0, 1, 5000)))))
        if rng.random() < 0.1:
            late.append(
                Wish(netns, name, ("queues", rng.randint(1, 4), rng.randint(1, 4)))
            )
    rps = [
        Wish(netns, name, ("rps", rng.randint(0, 3), rng.randint(1, 15)))
        for netns, name, _ in devices
        if netns == HOME and rng.random() < 0.3
    ]
    return [make, masters, mtus, up, channels, attach, late, rps]


class _Maker:
    def __init__(self) -> None:
        self.batch = xdp.Batch()
        self.routes: dict[str, Routing] = {}
        self.programs: dict[str, int] = {}
        self.refused: list[str] = []
        self.done = 0
        self.limit = 0
        self.nic = ""

    def note(self, wish: Wish, refusal: str) -> None:
        if refusal:
            words = " ".join(map(str, wish.what))
            self.refused.append(
                f"{wish.netns or 'init'} {wish.name} {words}: {refusal}"
            )
        else:
            self.done += 1

    def enter(self, netns: str) -> Routing:
        fd = self.batch.home
        if netns:
            fd = os.open(xdp.netns_path(netns), os.O_RDONLY | os.O_CLOEXEC)
        setns(fd)
        if netns:
            os.close(fd)
        if netns not in self.routes:
            self.routes[netns] = Routing()
        return self.routes[netns]

    def prepare(self) -> None:
        """Load the programs, find the NIC, and read the limit of the MTU."""
        for name, how in PROGRAMS.items():
            path = f"{BPFFS}/{name}"
            try:
                self.batch.run(f"load rnd_{name} {path}{how}".split())
            except OSError as e:
                self.refused.append(f"load {name}: {e.strerror}")
            else:
                self.programs[name] = open_pinned(path)
        for entry in os.listdir("/sys/class/net"):
            driver = f"/sys/class/net/{entry}/device/driver"
            if os.path.basename(os.path.realpath(driver)) == "virtio_net":
                self.nic = entry
        made = Wish(HOME, "", ("ip", "link add lim_a type veth peer name lim_b"))
        self.ip(HOME, [made])
        route = self.enter(HOME)
        first = self.device(HOME, "lim_a")
        if first is None:
            raise SystemExit("no veth can be made")
        for fd in self.programs["plain"], -1:
            reply = route.set_xdp(first.ifindex, fd, MODES["driver"])
            if reply.errno:
                raise SystemExit(f"native XDP on a new veth: {reply}")
            if fd >= 0:
                peer = self.device(HOME, "lim_b")
                self.limit = 0 if peer is None else peer.max_mtu

    def ip(self, netns: str, wishes: Sequence[Wish]) -> None:
        """Run all commands in one process: starting one is slow."""
        argv = ["ip", *(["-n", netns] if netns else []), "-force", "-batch", "-"]
        self.enter(HOME)
        said = subprocess.run(
            argv,
            input="".join(f"{w.what[1]}\n" for w in wishes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ).stderr.splitlines()
        refusals: dict[int, str] = {}
        reason = ""
        for line in said:
            if line.startswith("Command failed -:"):
                refusals[int(line.rpartition(":")[2])] = reason or "refused"
                reason = ""
            else:
                reason = reason or line
        for number, wish in enumerate(wishes, 1):
            self.note(wish, refusals.get(number, ""))

    def device(self, netns: str, name: str) -> Device | None:
        wanted = self.nic if name == "nic" else name
        for device in self.enter(netns).devices():
            if device.name == wanted:
                return device
        return None

    def one(self, wish: Wish) -> str:
        """Do what ip cannot do, and return why the kernel refused, or nothing."""
        device = self.device(wish.netns, wish.name)
        if device is None:
            return "no such device"
        kind, *rest = wish.what
        if kind == "xdp":
            via, mode, name = map(str, rest)
            return self.attach(wish.netns, device, via, mode, name)
        if kind == "queues":
            rx, tx = map(int, rest)
            if not ethtool.set_channels(device.name, rx, tx):
                return "refused"
            if device.xdp:
                inum = os.stat("/proc/self/ns/net").st_ino
                with open(KEEP, "a", encoding="ascii") as f:
                    f.write(f"{inum} {device.ifindex}\n")
            return ""
        queue, mask = map(int, rest)
        path = f"/sys/class/net/{device.name}/queues/rx-{queue}/rps_cpus"
        try:
            with open(path, "w", encoding="ascii") as f:
                f.write(f"{mask:x}")
        except OSError as e:
            return str(e.strerror)
        return ""

    def attach(self, netns: str, device: Device, via: str, mode: str, name: str) -> str:
        if name not in self.programs:
            return "no such program"
        if via == "netlink":
            reply = self.routes[netns].set_xdp(
                device.ifindex, self.programs[name], MODES[mode]
            )
            return f"{reply.errno} {reply.message}" if reply.errno else ""
        place = "hold"
        if via == "pin":
            place = f"{BPFFS}/l_{netns}_{device.name}_{mode}_{name}"
        words = f"link {BPFFS}/{name} {device.name} {mode} {place}"
        setns(self.batch.home)
        try:
            self.batch.run((f"in {netns} {words}" if netns else words).split())
        except OSError as e:
            return str(e.strerror)
        return ""

    def step(self, wishes: Sequence[Wish]) -> None:
        """Do one step: the commands of ip first, a namespace at a time."""
        commands: dict[str, list[Wish]] = {netns: [] for netns in NAMESPACES}
        for wish in wishes:
            if wish.what[0] == "mtu":
                words = f"link set dev {wish.name} mtu {self.limit + int(wish.what[1])}"
                commands[wish.netns].append(Wish(wish.netns, wish.name, ("ip", words)))
            elif wish.what[0] == "ip":
                commands[wish.netns].append(wish)
        for netns, there in commands.items():
            if there:
                self.ip(netns, there)
        for wish in wishes:
            if wish.what[0] not in ("ip", "mtu"):
                self.note(wish, self.one(wish))


def main(arguments: Sequence[str]) -> int:
    """Draw the wishes, make them, and log what was refused."""
    if len(arguments) != 1:
        print("usage: random_scene.py SEED", file=sys.stderr)
        return 2
    maker = _Maker()
    maker.prepare()
    for wishes in draw(int(arguments[0])):
        maker.step(wishes)
    setns(maker.batch.home)
    maker.batch.finish()
    told = [f"random: {maker.done} done, {len(maker.refused)} refused"]
    told += [f"random: refused: {line}" for line in maker.refused]
    print("\n".join(told))
    with open(SCENE_LOG, "a", encoding="utf-8") as f:
        f.write("\n".join(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
