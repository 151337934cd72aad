#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Set up situations, send packets in each, and record which way they took.

Use: ``path_scene.py NIC OUT [SEED]``; a seed for random situations. Everything stays
as it was when the packets were sent, for the dump: a process that stays behind holds
sockets, programs and maps. OUT is JSON::

    {"path": {"refused": {SITUATION: "why the kernel does not have it"},
     "situations": [
       {"name": "rps4_2", "netns": INUM, "sender": "rps4_2s", "receiver": "rps4_2r",
        "how": "chosen", "to": "", "tag": 0, "where": null,
        "programs": [{"device": "...", "mode": "native", "id": 7}],
        "flows": [
          {"queue": 3, "cpu": 0, "sent": 2,
           "hops": [{"what": "xmit", "device": "rps4_2s", "queue": 3, "cpu": 0,
                     "packets": 2}, ...],
           "ran": [{"device": "...", "mode": "native", "rx_queue": 3, "cpu": 0,
                    "packets": 2}],
           "verdicts": [the tracepoints of XDP],
           "watched": {DEVICE: 2}}],
        "counters": {DEVICE: {"rx_queue_0_xdp_packets": 2, ...}},
        "softnet": {"received_rps 1": 2}}]}}

A hop is a tracepoint: ``xmit`` net_dev_start_xmit, ``netif_rx`` netif_rx_entry,
``napi`` napi_gro_receive_entry, ``receive`` netif_receive_skb, after RPS, ``free``
kfree_skb.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import os
import resource
import signal
import socket
import sys
import time
from typing import Any, Optional

from paths.counting import Count, Counts
from paths.drawn import draw
from paths.measuring import (
    REFUSED,
    Event,
    Trace,
    counters,
    grown,
    hops,
    softnet,
    verdicts,
)
from paths.packets import STRANGER, Sender, Watch, frame, length_of
from paths.setting import Setting
from paths.situation import OFFLINE, Flow, Situation
from paths.situations import SITUATIONS
from places import whole_file
from softirqs import drained

__all__ = ("main",)

PACKETS = 2
VLAN_HLEN = 4
FIRST_PORT = 20000
PATIENCE = 30.0


class Sending:
    """Sends the packets of situations, and says where they were."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.trace = Trace()

    def _packets(self, situation: Situation, flow: Flow) -> list[bytes]:
        # Where a hash chooses the TX queue, it has to choose the same for both.
        by_hash = situation.how != "chosen" or any(
            one[0] == "xps" for one in situation.steps
        )
        step = 0 if by_hash else 1
        ports = (FIRST_PORT + 8 * flow.number + step * n for n in range(PACKETS))
        to = situation.to or STRANGER
        return [
            frame(flow.number, port, flow.queue, to, situation.tag) for port in ports
        ]

    def _devices(self, situation: Situation) -> list[str]:
        """The devices of a situation whose counters can be read here."""
        return [
            name
            for _, name in socket.if_nameindex()
            if name in self._own(situation) or name == self._target(situation)
        ]

    def _own(self, situation: Situation) -> set[str]:
        found = {situation.source, situation.goal, *situation.watch}
        return found | {d for d, _, _ in self.setting.programs.get(situation.name, ())}

    def _target(self, situation: Situation) -> Optional[str]:
        for step in situation.steps:
            if step[0] == "xdp" and len(step) == 5 and isinstance(step[4], str):
                return self.setting.nic if step[4] == "nic" else step[4]
        return None

    def run(self, situation: Situation) -> dict[str, Any]:
        """Send the packets of one situation."""
        own = self.setting.programs.get(situation.name, [])
        ran = list(own)
        target = self._target(situation)
        if target is not None:
            pool = self.setting.programs.get("targets", [])
            ran += [program for program in pool if program[0] == target + "p"]
        sender = Sender(situation.source, situation.how == "bypass")
        watches = {name: Watch(name) for name in situation.watch}
        devices = self._devices(situation)
        before = {name: counters(name) for name in devices}
        seen_before = [program.counts.read() for _, _, program in ran]
        softnet_before = softnet()
        self.trace.skip()
        flows: list[dict[str, Any]] = []
        for flow in situation.flows:
            self.trace.mark(flow.number)
            sent = sender.send(self._packets(situation, flow), flow.cpu)
            flows.append({"queue": flow.queue, "cpu": flow.cpu, "sent": sent})
            if ran or target is not None:
                # The events of XDP do not say which packet they are about.
                drained()
        os.sched_setaffinity(0, {0, 1, 2, 3})
        if any(step[0] == "threaded" for step in situation.steps):
            counts = [program.counts for _, _, program in ran]
            _wait(counts, seen_before, sum(told["sent"] for told in flows))
        drained()
        events = self.trace.read()
        for step in situation.steps:
            if "cpumap" in step:
                events = self._by_thread(situation.goal, step[-1], flows, events)
        numbers = max(flow.number for flow in situation.flows) + 1
        where = hops(events, numbers)
        said = verdicts(events, dict(socket.if_nameindex()))
        watched = {name: watch.read() for name, watch in watches.items()}
        seen = [program.counts.read() for _, _, program in ran]
        for flow, told in zip(situation.flows, flows):
            # The tag is not in the packet any more.
            length = length_of(flow.number) - (VLAN_HLEN if situation.tag else 0)
            told["hops"] = where.get(flow.number, [])
            told["verdicts"] = said.get(flow.number, [])
            told["watched"] = {
                name: found.get(length, 0) for name, found in watched.items()
            }
            told["ran"] = []
            for (device, mode, _), old, new in zip(ran, seen_before, seen):
                more = new[length].packets if length in new else 0
                more -= old[length].packets if length in old else 0
                if more:
                    told["ran"].append(
                        {
                            "device": device,
                            "mode": mode,
                            "rx_queue": new[length].rx_queue,
                            "cpu": new[length].cpu,
                            "packets": more,
                        }
                    )
        for watch in watches.values():
            watch.close()
        sender.close()
        return {
            "name": situation.name,
            "netns": os.stat("/proc/self/ns/net").st_ino,
            "sender": situation.source,
            "receiver": situation.goal,
            "how": situation.how,
            "to": situation.to,
            "tag": situation.tag,
            "where": situation.where,
            "steps": situation.steps,
            "programs": [
                {"device": device, "mode": mode, "id": program.id}
                for device, mode, program in own
            ],
            "flows": flows,
            "counters": {
                name: grown(old, counters(name)) for name, old in before.items()
            },
            "softnet": grown(softnet_before, softnet()),
        }

    def _by_thread(
        self,
        receiver: str,
        cpu: object,
        flows: Sequence[Mapping[str, Any]],
        events: list[Event],
    ) -> list[Event]:
        """
        Return the events once the thread of a CPUMAP has handled all packets, but do
        not wait for ever. A kernel that refuses the redirect never wakes it.
        """
        sent = sum(told["sent"] for told in flows)
        there = ("receive", receiver, cpu)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            arrived = sum(
                int(hop["packets"] or 0)
                for where in hops(events, len(flows)).values()
                for hop in where
                if (hop["what"], hop["device"], hop["cpu"]) == there
            )
            if arrived >= sent or any(event.name in REFUSED for event in events):
                break
            events += self.trace.read()
        return events


def _packets(seen: Mapping[int, Count]) -> int:
    return sum(one.packets for one in seen.values())


def _wait(
    counts: Sequence[Counts], before: Sequence[Mapping[int, Count]], sent: int
) -> None:
    """Wait until a thread has run all programs on all packets, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.01)
        seen = [one.read() for one in counts]
        if all(_packets(new) - _packets(old) >= sent for old, new in zip(before, seen)):
            # What comes after the program takes a moment, too.
            time.sleep(0.05)
            return


def _stay() -> None:
    """Leave a process behind that has everything open."""
    if os.fork():
        return
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    while True:
        signal.pause()


def main(arguments: Sequence[str]) -> int:
    """Set up and send everything."""
    if len(arguments) not in (2, 3):
        print("usage: path_scene.py NIC OUT [SEED]", file=sys.stderr)
        return 2
    nic, out = arguments[:2]
    situations = draw(int(arguments[2])) if len(arguments) == 3 else SITUATIONS
    # Before 5.11, programs and maps count as locked memory.
    resource.setrlimit(
        resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    start = time.monotonic()
    setting = Setting(nic)
    setting.make(situations)
    setting.do(situations)
    setting.choose(situations)
    with open(f"/sys/devices/system/cpu/cpu{OFFLINE}/online", "w") as f:
        f.write("0")
    made = time.monotonic()
    sending = Sending(setting)
    told = [
        sending.run(situation)
        for situation in situations
        if situation.flows and situation.name not in setting.refused
    ]
    sending.trace.close()
    setting.do_not_choose()
    with whole_file(out) as f:
        json.dump({"path": {"refused": setting.refused, "situations": told}}, f)
    flows = sum(len(one["flows"]) for one in told)
    print(
        f"path: {len(told)} situations, {flows} flows, {len(setting.refused)} refused; "
        f"set up in {made - start:.1f} s, sent in {time.monotonic() - made:.1f} s"
    )
    for name, why in setting.refused.items():
        print(f"path: refused: {name}: {why}")
    sys.stdout.flush()
    _stay()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
