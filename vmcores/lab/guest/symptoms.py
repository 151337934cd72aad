#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Provoke and measure what each rule of diagnosis warns of, on the devices of rules.sh.

Use: ``symptoms.py`` (everything), ``symptoms.py RULE...`` or ``symptoms.py RULE NAME``
(one device again, such as after a fix). Each result is a line of standard output,
"symptom: " and an object; those of a run over everything go to /run/lab/symptoms.jsonl
as well::

    {"rule": "xdp-peer-mtu", "netns": 4026531840, "ifindex": 7, "name": "rpma",
     "shown": true, "symptom": "what was measured, with the numbers",
     "twin": {the same five of the twin, with "shown": false}}

``shown`` is null, and ``why`` is there, where this kernel cannot show the symptom; what
was tried is then in ``symptom``. ``"state_only": true`` means that ``shown`` is about
the state alone, as what follows from it would do harm. Where the scene has no device of
the rule, ``netns``, ``ifindex`` and ``name`` are null. ``twin`` is null where there is
none, left out where one device was asked for. What a measurement changes it puts
back.

``symptoms.py attach NAME`` prints what the kernel answers to a native attach:
"answer: " and an object with errno and message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import socket
import subprocess
import sys
from typing import Any, Optional

from prober import Routing
import programs
from traffic import Listener, netns, send
from xdp import open_pinned

__all__ = ("CASES", "Case", "End", "main", "measure")

RECORDS = "/run/lab/symptoms.jsonl"
XDP_RECORDS = "/run/lab/xdp.jsonl"
BPF = "/run/lab/bpf"
PASS = BPF + "/pass"
DROP = BPF + "/drop"
REDIRECT = BPF + "/redirect"
# include/uapi/linux/if_link.h
XDP_FLAGS_NOEXIST, XDP_FLAGS_DRV = 1, 4
# The device whose program redirects, and its peer; both have one queue a CPU.
REDIRECTS, INTO_REDIRECTS = "srca", "srcb"

# The RPS masks of the scene name this CPU alone, so packets are sent from the others.
RPS_CPU = 0
SENDERS = (1, 2, 3)
PACKETS = 8
JUMBO = 8000
# More than a ring takes.
BURST = 600
# Queues of the pairs of queues-one-sided.
ASKED = 2


@dataclass(frozen=True)
class End:
    """One end of a pair: the device that a rule is about."""

    name: str
    peer: str
    where: Optional[str] = None
    peer_where: Optional[str] = None
    # Where the program that it has is pinned.
    prog: str = PASS


Measure = Callable[[End], "tuple[bool, str]"]


@dataclass(frozen=True)
class Case:
    """A device that shows a symptom, and one that differs in a single thing."""

    rule: str
    device: Optional[End]
    twin: Optional[End]
    measure: Measure
    # Why a kernel may be unable to show it. Empty: every kernel can.
    lacks: str = ""
    # Only the state is looked at: what follows from it is not provoked.
    state_only: bool = False


def _tool(*argv: str, where: Optional[str] = None) -> tuple[int, str]:
    """Run a command; its status, and what it said, in one line."""
    with netns(where):
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    said = done.stdout.decode("utf-8", "replace")
    return done.returncode, " ".join(said.split())


def _set(end_name: str, *words: str, where: Optional[str] = None) -> tuple[int, str]:
    return _tool("ip", "link", "set", "dev", end_name, *words, where=where)


def _must(result: tuple[int, str], what: str) -> None:
    if result[0]:
        raise RuntimeError(f"{what}: {result[1]}")


def _link(name: str, where: Optional[str]) -> dict[str, Any]:
    status, said = _tool(
        "ip", "-d", "-s", "-j", "link", "show", "dev", name, where=where
    )
    if status:
        raise RuntimeError(f"{name}: {said}")
    found: dict[str, Any] = json.loads(said, strict=False)[0]
    return found


def _stats(name: str, where: Optional[str]) -> Counter[str]:
    """What ``ethtool -S`` counts, over all queues."""
    found: Counter[str] = Counter()
    said = _tool("ethtool", "-S", name, where=where)[1]
    for counter, number in re.findall(r"(\w+): (\d+)", said):
        found[re.sub(r"^([rt]x)_queue_\d+_", r"\1_", counter)] += int(number)
    found.pop("peer_ifindex", None)
    return found


def _grown(before: Counter[str], after: Counter[str]) -> str:
    grown = {name: after[name] - before[name] for name in after}
    words = [
        f"{name} +{number}" for name, number in sorted(grown.items()) if number > 0
    ]
    return ", ".join(words) or "no counter of ethtool -S grew"


def _dropped(name: str, where: Optional[str]) -> Counter[str]:
    stats = _link(name, where)["stats64"]
    return Counter({way: stats[way]["dropped"] for way in ("rx", "tx")})


def _ifindex(name: str, where: Optional[str]) -> int:
    with netns(where):
        return socket.if_nametoindex(name)


def _inum(where: Optional[str]) -> int:
    with netns(where):
        return os.stat("/proc/self/ns/net").st_ino


# Attaching


def _native(expected: str, *mode: str) -> Measure:
    """A native attach that is refused with this message."""
    words = mode or ("xdpdrv",)

    def measured(end: End) -> tuple[bool, str]:
        before = _link(end.name, end.where).get("xdp")
        status, said = _set(end.name, *words, "pinned", PASS, where=end.where)
        told = f"ip link set dev {end.name} {' '.join(words)} pinned ..."
        if status == 0:
            if before != _link(end.name, end.where).get("xdp"):
                _must(_set(end.name, *words, "off", where=end.where), "detach")
            return False, f"{told}: accepted (and taken off again)"
        return expected in said, f"{told}: refused: {said}"

    return measured


def _native_alone(expected: str) -> Measure:
    """The same, while the generic program that it has is off."""
    measure_native = _native(expected)

    def measured(end: End) -> tuple[bool, str]:
        _must(_set(end.name, "xdpgeneric", "off", where=end.where), "detach")
        shown, told = measure_native(end)
        again = _set(end.name, "xdpgeneric", "pinned", end.prog, where=end.where)
        _must(again, "attach again")
        return shown, f"with its generic program off: {told}"

    return measured


def _answer(end: End) -> dict[str, Any]:
    """What the kernel answers to a native attach; nothing stays attached."""
    fd = open_pinned(PASS)
    with netns(end.where):
        routing = Routing()
        try:
            ifindex = socket.if_nametoindex(end.name)
            reply = routing.set_xdp(ifindex, fd, XDP_FLAGS_DRV | XDP_FLAGS_NOEXIST)
            if reply.errno == 0:
                off = routing.set_xdp(ifindex, -1, XDP_FLAGS_DRV)
                _must((off.errno, str(off.message)), "detach")
        finally:
            routing.close()
            os.close(fd)
    return {"name": end.name, "errno": reply.errno, "message": reply.message}


def _off(end: End) -> tuple[bool, str]:
    """A detach that is refused because a link owns the hook."""
    before = _link(end.name, end.where).get("xdp")
    status, said = _set(end.name, "xdp", "off", where=end.where)
    told = f"ip link set dev {end.name} xdp off"
    if status:
        return "Can't replace active BPF XDP link" in said, f"{told}: refused: {said}"
    if before:
        again = _set(end.name, "xdpdrv", "pinned", end.prog, where=end.where)
        _must(again, "attach again")
    return False, f"{told}: accepted (and attached again)"


def _xdp_link(end: End) -> Optional[int]:
    """The id of the link that xdp.py made for it."""
    here = _inum(end.where), _ifindex(end.name, end.where)
    for line in Path(XDP_RECORDS).read_text().splitlines():
        record = json.loads(line)
        if record["what"] == "link" and (record["netns"], record["ifindex"]) == here:
            return int(record["id"])
    return None


def _pinned_only(end: End) -> tuple[bool, str]:
    """A detach that is refused though no process has the link open."""
    refused, told = _off(end)
    link = _xdp_link(end)
    if link is None:
        return False, f"{told}; it never had a link"
    holders = []
    for info in Path("/proc").glob("[0-9]*/fdinfo/*"):
        try:
            text = info.read_text()
        except OSError:
            continue
        if re.search(rf"^link_id:\s*{link}$", text, re.M):
            holders.append(info.parts[2])
    told += f"; link {link} is open in {len(holders)} processes"
    return refused and not holders, told


# MTU


def _mtu_frozen(end: End) -> tuple[bool, str]:
    """The peer's MTU cannot be raised."""
    before = _link(end.peer, end.peer_where)
    status, said = _set(end.peer, "mtu", "9000", where=end.peer_where)
    told = (
        f"{end.peer} (mtu {before['mtu']}, max_mtu {before['max_mtu']}): "
        f"ip link set dev {end.peer} mtu 9000"
    )
    if status == 0:
        _must(_set(end.peer, "mtu", str(before["mtu"]), where=end.peer_where), "mtu")
        return False, f"{told}: accepted (and put back)"
    return "mtu greater than device maximum" in said, f"{told}: refused: {said}"


def _sees_heads(end: End) -> tuple[bool, str]:
    """Packets that are longer than a program without frags can look into."""
    if "xdp" not in _link(end.name, end.where):
        return False, f"{end.name} has no program"
    link = _link(end.peer, end.peer_where)
    told = f"{end.peer} has mtu {link['mtu']}, max_mtu {link['max_mtu']}"
    if link["mtu"] <= JUMBO:
        status, said = _set(end.peer, "mtu", "9000", where=end.peer_where)
        if status == 0:
            _must(_set(end.peer, "mtu", str(link["mtu"]), where=end.peer_where), "mtu")
        verdict = f"refused: {said}" if status else "accepted (and put back)"
        return status == 0, f"{told}; mtu 9000: {verdict}"
    before = programs.observed(end.prog)
    with Listener(end.name, end.where) as listener:
        taken = send(end.peer, 1, 1, end.peer_where, size=JUMBO)
        arrived = len(listener.arrived(1))
    after = programs.observed(end.prog)
    ran = [seen for cpu, seen in after.items() if seen.packets > before[cpu].packets]
    saw = ran[0].last_bytes if ran else None
    told += (
        f"; {taken} packet of {JUMBO} bytes sent: the program saw "
        f"{saw if ran else 'nothing'}{' bytes of it' if ran else ''}, {arrived} arrived"
    )
    return saw not in (None, JUMBO), told


def _jumbo_lost(end: End) -> tuple[bool, str]:
    before = _dropped(end.name, end.where)
    before_peer = _dropped(end.peer, end.peer_where)
    taken, got = {}, {}
    with Listener(end.peer, end.peer_where) as listener:
        for size in (1000, JUMBO):
            taken[size] = send(end.name, 1, PACKETS, end.where, size=size)
            got[size] = len(listener.arrived(taken[size]))
    with Listener(end.name, end.where) as listener:
        back = send(end.peer, 1, PACKETS, end.peer_where, size=1000)
        returned = len(listener.arrived(back))
    tx = _dropped(end.name, end.where)["tx"] - before["tx"]
    rx = _dropped(end.peer, end.peer_where)["rx"] - before_peer["rx"]
    sizes = ", ".join(
        f"{got[size]} of {PACKETS} packets of {size} bytes ({taken[size]} taken)"
        for size in got
    )
    told = (
        f"from {end.name} arrived {sizes}; the other way {returned} of {back} packets "
        f"of 1000 bytes; tx_dropped of {end.name} +{tx}, rx_dropped of {end.peer} +{rx}"
    )
    # Too long for the sender itself is no drop.
    return got[1000] == PACKETS and got[JUMBO] == 0 and rx > 0, told


# RPS


def _steering(
    sender: str, sender_where: Optional[str], receiver: str, where: Optional[str]
) -> dict[int, Counter[int]]:
    """TX queue -> CPU on which the packets arrived -> packets."""
    found: dict[int, Counter[int]] = {}
    with Listener(receiver, where) as listener:
        for cpu in SENDERS:
            taken = send(sender, cpu, PACKETS, sender_where)
            for packet in listener.arrived(taken):
                found.setdefault(packet.queue, Counter())[packet.cpu] += 1
    return found


def _steering_text(found: dict[int, Counter[int]]) -> str:
    return "; ".join(
        f"txq {queue}: "
        + ", ".join(f"{number} on CPU {cpu}" for cpu, number in sorted(cpus.items()))
        for queue, cpus in sorted(found.items())
    )


def _unsteered(found: dict[int, Counter[int]]) -> list[int]:
    return sorted(q for q, cpus in found.items() if set(cpus) != {RPS_CPU})


def _warning(name: str) -> str:
    """The kernel's line about a device; it writes one for the first device only."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, check=True).stdout
    match = re.search(
        rf"\b{re.escape(name)} received packet on queue \d+, but number of RX queues "
        r"is \d+",
        log.decode("utf-8", "replace"),
    )
    return f"; the log: {match.group()!r}" if match else "; the log does not name it"


def _high_queues(end: End) -> tuple[bool, str]:
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    return bool(_unsteered(found)), _steering_text(found) + _warning(end.name)


def _off_by_one(end: End) -> tuple[bool, str]:
    found = _steering(end.peer, end.peer_where, end.name, end.where)
    bad = _unsteered(found)
    return 1 in bad and 2 not in bad, _steering_text(found)


def _which_end(end: End) -> tuple[bool, str]:
    here = _steering(end.peer, end.peer_where, end.name, end.where)
    there = _steering(end.name, end.where, end.peer, end.peer_where)
    told = (
        f"received by {end.name}: {_steering_text(here)}; "
        f"by {end.peer}: {_steering_text(there)}"
    )
    return not _unsteered(here) and bool(_unsteered(there)), told


def _generic_cpu(end: End) -> tuple[bool, str]:
    before = programs.observed(end.prog)
    sender = 2
    with Listener(end.name, end.where) as listener:
        listener.arrived(send(end.peer, sender, PACKETS, end.peer_where))
    after = programs.observed(end.prog)
    ran = {cpu: s.packets - before[cpu].packets for cpu, s in after.items()}
    where = ", ".join(f"{n} times on CPU {cpu}" for cpu, n in ran.items() if n)
    told = f"{PACKETS} packets sent on CPU {sender}: the program ran {where or 'never'}"
    return ran.get(RPS_CPU) == PACKETS, told


# XDP and queues


def _bypassed(end: End) -> tuple[bool, str]:
    """A program that drops everything, and packets that arrive."""
    before = _stats(end.name, end.where)
    found: Counter[int] = Counter()
    with Listener(end.name, end.where) as listener:
        taken = sum(
            send(end.peer, cpu, PACKETS, end.peer_where) for cpu in (0, *SENDERS)
        )
        # They are to be dropped, so nobody knows how many to wait for.
        for packet in listener.arrived(taken):
            found[packet.queue] += 1
    told = (
        f"{taken} packets to a program that drops all: {sum(found.values())} arrived"
        + "".join(f", {n} by txq {queue}" for queue, n in sorted(found.items()))
        + f"; {_grown(before, _stats(end.name, end.where))}"
    )
    return bool(found), told


def _overflow(end: End) -> tuple[bool, str]:
    tried = []
    for argv in (
        ("ethtool", "-L", end.peer, "tx", "4"),
        ("ethtool", "-K", end.peer, "tso", "on"),
    ):
        status, said = _tool(*argv, where=end.peer_where)
        tried.append(f"{' '.join(argv)}: {said if status else 'accepted'}")
    for way in ("tcp-segmentation-offload", "tx-tcp-segmentation"):
        said = _tool("ethtool", "-k", end.peer, where=end.peer_where)[1]
        match = re.search(rf"\b{way}: (\w+)", said)
        if match:
            tried.append(f"{way} is {match.group(1)}")
    bad, told = _bypassed(end)
    return bad, "; ".join([*tried, told])


def _stale(end: End) -> tuple[bool, str]:
    """Queues that were taken away under a program, and given back under another."""

    def must(*argv: str, peer: bool = False) -> None:
        where = end.peer_where if peer else end.where
        _must(_tool(*argv, where=where), " ".join(argv))

    def attach(prog: str) -> None:
        must("ip", "link", "set", "dev", end.name, "xdpdrv", "pinned", prog)

    had = _link(end.name, end.where).get("xdp")
    rx, tx = (
        _real_queues(end.name, end.where)[0],
        _real_queues(end.peer, end.peer_where)[1],
    )
    status, said = _tool("ethtool", "-L", end.name, "rx", str(rx), where=end.where)
    if status and "not supported" in said:
        return False, f"ethtool -L {end.name}: {said}"
    if had:
        must("ip", "link", "set", "dev", end.name, "xdpdrv", "off")
    attach(PASS)
    must("ethtool", "-L", end.name, "rx", "4")
    must("ethtool", "-L", end.peer, "tx", "4", peer=True)
    with Listener(end.name, end.where) as listener:
        taken = send(end.peer, 3, PACKETS, end.peer_where)
        arrived = len(listener.arrived(taken))
    told = (
        f"detached, another program attached, rx {rx} -> 4: "
        f"{arrived} of {taken} packets passed the regrown queue"
    )
    # As it was: a program that drops, and queues taken away under it.
    must("ip", "link", "set", "dev", end.name, "xdpdrv", "off")
    if had:
        attach(end.prog)
    must("ethtool", "-L", end.peer, "tx", str(tx), peer=True)
    if rx != 4:
        must("ethtool", "-L", end.name, "rx", str(rx))
    return arrived < taken, told


def _xdp_tx(end: End) -> tuple[bool, str]:
    before = _stats(end.name, end.where)
    with Listener(end.peer, end.peer_where) as listener:
        taken = send(end.peer, 1, PACKETS, end.peer_where)
        back = len(listener.arrived(taken))
    after = _stats(end.name, end.where)
    told = f"{taken} packets sent to XDP_TX: {back} came back; {_grown(before, after)}"
    return back < taken, told


def _redirected(end: End, cpus: Sequence[int]) -> tuple[int, int, str]:
    """Send packets to a program that redirects them to a device; where they went."""
    at = end.where
    before = _stats(REDIRECTS, at), _stats(end.name, at)
    programs.set_redirect(REDIRECT, _ifindex(end.name, at))
    try:
        with Listener(end.peer, end.peer_where) as listener:
            taken = sum(send(INTO_REDIRECTS, cpu, PACKETS, at) for cpu in cpus)
            arrived = len(listener.arrived(taken))
    finally:
        programs.set_redirect(REDIRECT, 0)
    told = (
        f"{taken} packets to a program on {REDIRECTS} that redirects to {end.name}: "
        f"{arrived} arrived at {end.peer}; {REDIRECTS}: "
        f"{_grown(before[0], _stats(REDIRECTS, at))}; {end.name}: "
        f"{_grown(before[1], _stats(end.name, at))}"
    )
    return taken, arrived, told


def _redirect(end: End) -> tuple[bool, str]:
    taken, arrived, told = _redirected(end, SENDERS)
    return taken > 0 and arrived == 0, told


def _queue_packets(end: End) -> Counter[int]:
    said = _tool("ethtool", "-S", end.name, where=end.where)[1]
    return Counter(
        {
            int(queue): int(number)
            for queue, number in re.findall(r"rx_queue_(\d+)_xdp_packets: (\d+)", said)
        }
    )


def _queues_cpus(end: End) -> tuple[bool, str]:
    """What is redirected from all CPUs shares queues, or leaves some without work."""
    cpus = tuple(range(os.cpu_count() or 1))
    before = _queue_packets(end)
    # The packets go to the peer, and come out of this one.
    target = End(end.peer, end.name, end.peer_where, end.where)
    taken, arrived, _ = _redirected(target, cpus)
    after = _queue_packets(end)
    used = {queue: after[queue] - before[queue] for queue in sorted(after)}
    told = (
        f"{taken} packets redirected to {end.peer} by {len(cpus)} CPUs, {arrived} "
        f"arrived; by rx queue of {end.name}: "
        + ", ".join(f"{queue}: {number}" for queue, number in used.items())
    )
    return set(used.values()) != {PACKETS}, told


def _real_queues(name: str, where: Optional[str]) -> tuple[int, int]:
    """RX and TX queues in use: those that sysfs shows to a reader of that namespace."""
    said = (
        _tool("ip", "netns", "exec", where, "ls", f"/sys/class/net/{name}/queues")[1]
        if where
        else " ".join(os.listdir(f"/sys/class/net/{name}/queues"))
    )
    return said.count("rx-"), said.count("tx-")


def _one_sided(end: End) -> tuple[bool, str]:
    """Each queue count was to be ASKED."""
    told, sound = [], True
    for name, where in ((end.name, end.where), (end.peer, end.peer_where)):
        link = _link(name, where)
        real = _real_queues(name, where)
        sound = sound and real == (ASKED, ASKED)
        told.append(
            f"{name}: rx/tx allocated {link['num_rx_queues']}/{link['num_tx_queues']}, "
            f"real {real[0]}/{real[1]}"
        )
    return not sound, "; ".join(told)


def _queue_state(end: End) -> tuple[bool, str]:
    """Only told, as the kernel would read and write past an array."""
    rx = _real_queues(end.name, end.where)[0]
    allocated = _link(end.peer, end.peer_where)["num_tx_queues"]
    told = (
        f"{end.name} polls {rx} rx queues, {end.peer} has {allocated} tx queues at all"
    )
    return rx > allocated, told + "; nothing was sent to the queues beyond them"


def _stuck(end: End) -> tuple[bool, str]:
    """Fill the ring while its poller may not run, then let it run."""
    pollers = [
        int(comm.parts[2])
        for comm in Path("/proc").glob("[0-9]*/comm")
        if comm.read_text().startswith(f"napi/{end.peer}-")
    ]
    told, stuck = [f"{len(pollers)} threads poll {end.peer}"], False
    with Listener(end.peer, end.peer_where) as listener:
        for cpu in SENDERS:
            for pid in pollers:
                os.sched_setaffinity(pid, {cpu})
            # The threads are on the sender's CPU and have to wait for it.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            try:
                taken = send(end.name, cpu, BURST, end.where)
            finally:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            arrived = len(listener.arrived(taken))
            again = send(end.name, cpu, PACKETS, end.where)
            came = len(listener.arrived(again))
            told.append(
                f"txq {cpu}: of a burst of {BURST} {taken} were taken and {arrived} "
                f"arrived, of {PACKETS} after it {again} and {came}"
            )
            stuck = stuck or came == 0
    return stuck, "; ".join(told)


def _no_carrier(end: End) -> tuple[bool, str]:
    link = _link(end.name, end.where)
    with Listener(end.peer, end.peer_where) as listener:
        taken = send(end.name, 1, PACKETS, end.where)
        arrived = len(listener.arrived(PACKETS))
    flags = ",".join(link["flags"])
    told = (
        f"{end.name}: {flags}, operstate {link['operstate']}; of {PACKETS} packets "
        f"{taken} were taken and {arrived} arrived"
    )
    return "NO-CARRIER" in link["flags"] and arrived == 0, told


def _nothing(end: End) -> tuple[bool, str]:
    raise AssertionError("no device of the scene has it")


CASES = (
    Case(
        "xdp-native-queues",
        End("rnqa", "rnqb", None, "far"),
        End("tnqa", "tnqb", None, "far"),
        _native("XDP expects number of rx queues not less than peer tx queues"),
    ),
    Case(
        "xdp-native-queues",
        End("rnga", "rngb", None, "far"),
        End("tnga", "tngb", None, "far"),
        _native_alone("XDP expects number of rx queues not less than peer tx queues"),
    ),
    Case(
        "rps-queue-out-of-range",
        End("rroa", "rrob", "rps", "rps"),
        End("troa", "trob", "rps", "rps"),
        _high_queues,
    ),
    # One queue: the kernel does not even warn.
    Case(
        "rps-queue-out-of-range",
        End("rrsa", "rrsb", "rps", "rps"),
        End("trsa", "trsb", "rps", "rps"),
        _high_queues,
    ),
    Case(
        "rps-queue-off-by-one",
        End("roba", "robb", "rps", "rps"),
        End("toba", "tobb", "rps", "rps"),
        _off_by_one,
    ),
    Case(
        "rps-which-end",
        End("rwea", "rweb", "rps", "rps"),
        End("twea", "tweb", "rps", "rps"),
        _which_end,
    ),
    Case(
        "generic-xdp-cpu",
        End("rgca", "rgcb", "rps", "rps", BPF + "/observe_r"),
        End("tgca", "tgcb", "rps", "rps", BPF + "/observe_t"),
        _generic_cpu,
    ),
    Case(
        "xdp-queue-without-program",
        End("rqwa", "rqwb", prog=DROP),
        End("tqwa", "tqwb", prog=DROP),
        _bypassed,
        "every queue that is added under a program gets it, or none can be added",
    ),
    Case(
        "xdp-stale-program",
        End("rspa", "rspb", prog=DROP),
        End("tspa", "tspb", prog=DROP),
        _stale,
        "queues that go lose their program, or none can go",
    ),
    Case(
        "xdp-queue-overflow",
        End("rqva", "rqvb", prog=DROP),
        None,
        _overflow,
        "veth_set_channels() and veth_fix_features() refuse every way to it",
    ),
    Case(
        "xdp-peer-mtu",
        End("rpma", "rpmb", None, "far"),
        End("tpma", "tpmb", None, "far"),
        _native("Peer MTU is too large to set XDP"),
    ),
    Case(
        "xdp-peer-mtu",
        End("rpqa", "rpqb", None, "far"),
        End("tpqa", "tpqb", None, "far"),
        _native("Peer MTU is too large to set XDP"),
    ),
    Case(
        "mtu-frozen",
        End("rmfa", "rmfb", None, "far"),
        End("tmfa", "tmfb", None, "far"),
        _mtu_frozen,
    ),
    Case(
        "xdp-max-mtu-stale",
        End("rmsa", "rmsb", None, "far", BPF + "/observe_m"),
        End("tmsa", "tmsb", None, "far", PASS),
        _sees_heads,
        "max_mtu is set anew for each program, or there is no xdp.frags",
    ),
    Case(
        "xdp-max-mtu-stale",
        End("rmta", "rmtb", None, "far"),
        End("tmta", "tmtb", None, "far"),
        _mtu_frozen,
        "max_mtu is set anew for each program, or there is no xdp.frags",
    ),
    Case(
        "xdp-tx-lost",
        End("rxta", "rxtb", None, "far"),
        End("txta", "txtb", None, "far"),
        _xdp_tx,
    ),
    # Polled for GRO alone. veth_xdp_xmit() is content with that and fills the ring,
    # veth_xdp_flush() wants a program there and wakes nobody.
    Case(
        "xdp-tx-lost",
        End("gxta", "gxtb", None, "far"),
        End("txta", "txtb", None, "far"),
        _xdp_tx,
        "a peer that polls for GRO alone is woken for what XDP_TX sends",
    ),
    Case(
        "xdp-redirect-not-ready",
        End("rrda", "rrdb", "xdp", "far"),
        End("trda", "trdb", "xdp", "far"),
        _redirect,
    ),
    Case(
        "tx-queue-stuck",
        End("rtsa", "rtsb", "xdp", "far"),
        None,
        _stuck,
        "a queue that is stopped is woken again, or none is ever stopped",
    ),
    Case(
        "queues-one-sided",
        End("rosa", "rosb"),
        End("tosa", "tosb"),
        _one_sided,
    ),
    Case(
        "queues-one-sided",
        End("rota", "rotb"),
        End("tosa", "tosb"),
        _one_sided,
    ),
    Case(
        "xdp-mode-conflict",
        End("rmca", "rmcb"),
        End("tmca", "tmcb"),
        _native("Native and generic XDP can't be active at the same time"),
    ),
    Case(
        "xdp-mode-conflict",
        End("rmqa", "rmqb", None, "far"),
        End("tmqa", "tmqb", None, "far"),
        _native("Native and generic XDP can't be active at the same time"),
    ),
    Case(
        "xdp-link-owns-hook",
        End("rloa", "rlob"),
        End("tloa", "tlob"),
        _off,
    ),
    Case(
        "xdp-upper-program",
        End("rupa", "rupb"),
        End("tupa", "tupb"),
        _native("Cannot attach when an upper device already has a program"),
        "the kernel does not look at upper devices",
    ),
    Case(
        "mtu-mismatch",
        End("rmma", "rmmb", None, "far"),
        End("tmma", "tmmb", None, "far"),
        _jumbo_lost,
    ),
    Case(
        "peer-down",
        End("rpda", "rpdb", None, "far"),
        End("tpda", "tpdb", None, "far"),
        _no_carrier,
    ),
    Case(
        "no-peer",
        None,
        None,
        _nothing,
        "a registered veth has a peer but for an instant under rtnl_mutex",
    ),
    Case(
        "veth-poll-out-of-range",
        End("rvpa", "rvpb"),
        End("tvpa", "tvpb"),
        _queue_state,
        state_only=True,
    ),
    Case(
        "netkit-default-attach",
        End("rnka", "rnkb"),
        End("tnka", "tnkb"),
        _native("not supported", "xdp"),
        "there is no netkit, or its default mode is generic",
    ),
    Case(
        "queues-cpus",
        End("rqca", "rqcb", "xdp", "xdp"),
        End("tqca", "tqcb", "xdp", "xdp"),
        _queues_cpus,
    ),
    Case(
        "queues-cpus",
        End("rqda", "rqdb", "xdp", "xdp"),
        End("tqca", "tqcb", "xdp", "xdp"),
        _queues_cpus,
    ),
    Case(
        "xdp-link-pinned-only",
        End("rlpa", "rlpb", "xdp", "xdp"),
        End("tlpa", "tlpb", "xdp", "xdp"),
        _pinned_only,
    ),
)


def _measure(end: End, how: Measure) -> dict[str, Any]:
    shown, symptom = how(end)
    return {
        "netns": _inum(end.where),
        "ifindex": _ifindex(end.name, end.where),
        "name": end.name,
        "shown": shown,
        "symptom": symptom,
    }


def _there(end: End) -> bool:
    with netns(end.where):
        return any(name == end.name for _, name in socket.if_nameindex())


def measure(case: Case) -> dict[str, Any]:
    """Measure a device and its twin."""
    result: dict[str, Any] = {
        "rule": case.rule,
        "netns": None,
        "ifindex": None,
        "name": None,
        "shown": None,
        "symptom": None,
        "twin": None,
    }
    if case.device is not None and _there(case.device):
        result.update(_measure(case.device, case.measure))
        if case.twin is not None and _there(case.twin):
            result["twin"] = _measure(case.twin, case.measure)
    if case.state_only:
        result["state_only"] = True
    if case.lacks and not result["shown"]:
        result.update(shown=None, why=case.lacks)
    return result


def _one(rule: str, name: str) -> dict[str, Any]:
    for case in CASES:
        for end in (case.device, case.twin):
            if case.rule == rule and end is not None and end.name == name:
                return {"rule": rule, **_measure(end, case.measure)}
    raise SystemExit(f"symptoms.py: the scene has no {name} for {rule}")


def _end(name: str) -> End:
    for case in CASES:
        if case.device is not None and case.device.name == name:
            return case.device
    raise SystemExit(f"symptoms.py: the scene has no {name}")


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name, or everything."""
    if arguments[:1] == ["attach"]:
        for name in arguments[1:]:
            print("answer: " + json.dumps(_answer(_end(name))))
        return 0
    if len(arguments) == 2:
        print("symptom: " + json.dumps(_one(*arguments)))
        return 0
    cases = [case for case in CASES if case.rule in arguments or not arguments]
    for case in cases:
        line = json.dumps(measure(case))
        print("symptom: " + line, flush=True)
        if not arguments:
            with open(RECORDS, "a", encoding="ascii") as f:
                f.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
