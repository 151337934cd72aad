# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Paths against the way that packets took
---------------------------------------

The path that a dump tells has to say the same as what was recorded when the packets
were sent (:mod:`tests.support.path_facts`), step by step and for each flow of packets.
"""

import collections
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, Optional

from drgn_veth.analysis.attach.question import errno_name
from drgn_veth.analysis.path import trace
from drgn_veth.analysis.path.records import Flow, Path, Step
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device, DeviceRef, Snapshot

from tests.support.path_facts import (
    Facts,
    Json,
    facts_of,
    hops,
    program_at,
    ran_at,
    redirects_by_map,
    said,
    verdict_at,
)

__all__ = ("Walked", "compare_paths")


class Walked(NamedTuple):
    """How the paths stood up."""

    compared: "collections.Counter[str]"  # steps, by kind
    differences: list[str]
    situations: int
    flows: int


class _Comparison:
    # Collects what differs.
    def __init__(self) -> None:
        self.compared: collections.Counter[str] = collections.Counter()
        self.differences: list[str] = []
        self.where = ""

    def same(self, kind: str, told: object, fact: object) -> None:
        self.compared[kind] += 1
        if told != fact:
            self.differences.append(
                f"{self.where}: {kind}: the path says {told!r}, the kernel {fact!r}"
            )

    def holds(self, kind: str, holds: bool, what: str) -> None:
        self.compared[kind] += 1
        if not holds:
            self.differences.append(f"{self.where}: {kind}: {what}")


def _steps(flow: Flow, kind: str, device: Device) -> list[Step]:
    return [
        step
        for step in flow.steps
        if step.kind == kind and step.device.net_device == device.net_device
    ]


def _native(
    check: _Comparison,
    situation: Json,
    facts: Facts,
    flow: Flow,
    receiver: Device,
    told: Json,
) -> None:
    steps = _steps(flow, "native", receiver)
    program = program_at(situation, situation["receiver"], "native")
    if facts.via is None:
        return
    master = receiver.master
    if program is None and isinstance(master, DeviceRef) and facts.via == "napi":
        # The program of a bond runs at its slaves.
        program = program_at(situation, str(master.name), "native")
        if program is not None:
            queue = ran_at(told, "native", str(master.name))
            facts = facts._replace(native=queue)
    if program is None:
        check.holds(
            "native",
            all(step.numbers.get("prog_id") is None for step in steps),
            "a native program, and none is there",
        )
        return
    check.holds("native", len(steps) == 1, f"{len(steps)} steps")
    if steps:
        numbers = steps[0].numbers
        check.same("native", numbers["prog_id"], program)
        bypassed = 1 if facts.native is None else 0
        check.same("bypassed", numbers["bypassed"], bypassed)


def _generic(
    check: _Comparison,
    situation: Json,
    facts: Facts,
    flow: Flow,
    receiver: Device,
    queue: int,
) -> None:
    program = program_at(situation, situation["receiver"], "generic")
    steps = _steps(flow, "generic", receiver)
    found = steps[0].numbers.get("prog_id") if steps else None
    if facts.generic is None and not facts.cpus:
        return  # They did not come so far.
    check.same("generic", found, program if facts.generic is not None else None)
    if facts.generic is not None and steps:
        index = _of_queue(flow, queue, steps[0].numbers.get("rx_queue_index"))
        check.same("rx_queue_index", index, facts.generic)


def _cpus(value: object) -> Optional[frozenset[int]]:
    if value is None:
        return None
    assert isinstance(value, tuple), value
    return frozenset(value)


def _of_queue(flow: Flow, queue: int, value: object) -> object:
    # Such a number of a step has one entry for each queue of its flow.
    if isinstance(value, tuple) and queue in flow.tx_queues:
        return value[flow.tx_queues.index(queue)]
    return value


def _steering(
    check: _Comparison,
    flow_told: Json,
    facts: Facts,
    flow: Flow,
    receiver: Device,
    queue: int,
    threaded: bool,
) -> None:
    if not facts.cpus:
        return
    steps = _steps(flow, "rps", receiver)
    check.holds("rps", len(steps) == 1, f"{len(steps)} steps")
    if not steps:
        return
    numbers = steps[0].numbers
    cpus = _cpus(numbers.get("cpus"))
    here = frozenset((int(flow_told["cpu"]),))
    if cpus is None or numbers.get("skipped"):
        if not threaded:
            check.same("rps", here, facts.cpus)
    else:
        gone = _cpus(numbers.get("offline")) or frozenset()
        may = cpus - gone
        if gone:
            may |= here
        check.holds(
            "rps",
            facts.cpus <= may,
            f"the path says {sorted(may)}, the kernel {sorted(facts.cpus)}",
        )
    if facts.mapping is not None:
        # skb_get_rx_queue() of what the tracepoint shows.
        index = facts.mapping - 1 if facts.mapping else None
        check.same("index", _of_queue(flow, queue, numbers.get("index")), index)
        rx = receiver.queues.rx.real
        if isinstance(rx, int) and index is not None and cpus is not None:
            check.holds("index", index < rx, "RPS of an RX queue that is not there")
    told = _steps(flow, "cpu", receiver)
    check.holds("cpu", len(told) == 1, f"{len(told)} steps")
    for step in told:
        expected = _cpus(step.numbers.get("cpus"))
        if cpus is None:
            check.holds("cpu", (expected is None) == threaded, f"CPUs {expected}")
        if expected is not None and not numbers.get("offline"):
            check.holds(
                "cpu",
                facts.cpus <= expected,
                f"the path says {sorted(expected)}, the kernel {sorted(facts.cpus)}",
            )


#: A CPUMAP of a generic program before v5.18: no type tells v5.15, which takes it.
_UNDECIDED = ("cpug",)


def _redirects(
    check: _Comparison, situation: Json, told: Json, flow: Flow, facts: Facts
) -> None:
    if not redirects_by_map(situation):
        return
    steps = [step for step in flow.steps if step.kind == "redirect"]
    check.holds("redirect", len(steps) == 1, f"{len(steps)} steps")
    if not steps:
        return
    numbers = steps[0].numbers
    refused = said(told, "xdp_redirect_err", "xdp_redirect_map_err")
    lost = [one for one in said(told, "xdp_devmap_xmit") if one.get("drops", 0)]
    number = -int((refused or lost)[0]["err"]) if refused or lost else 0
    if errno_name(number) == "EMSGSIZE":
        # The path cannot know how long a packet is.
        check.holds("redirect", "up to" in steps[0].text, "no limit of the length")
        return
    takes = numbers.get("takes")
    if isinstance(takes, Unreadable) and situation["name"] in _UNDECIDED:
        return
    check.same("redirect", takes, not refused and not lost)
    if number and takes is False and numbers["errno"] is not None:
        check.same("errno", numbers["errno"], errno_name(number))
    if numbers.get("cpu") is not None and takes:
        check.holds(
            "redirect",
            numbers["cpu"] in facts.cpus,
            f"the path says CPU {numbers['cpu']}, the kernel {sorted(facts.cpus)}",
        )


def _sent_back(
    check: _Comparison,
    situation: Json,
    told: Json,
    flow: Flow,
    receiver: Device,
    sender: Device,
) -> None:
    # XDP_TX of the native program.
    if verdict_at(situation, "native", situation["receiver"]) != "tx":
        return
    name = str(sender.name)
    if any(one.get("drops") for one in said(told, "xdp_bulk_tx")):
        words = "XDP_TX: lost"
    elif hops(told, "napi", name) or ran_at(told, "native", name) is not None:
        words = f"XDP_TX: {name} receives it"
    else:
        words = "XDP_TX: waits"
    steps = _steps(flow, "native", receiver)
    texts = [text for step in steps for text in step.alternatives]
    check.holds("XDP_TX", any(words in text for text in texts), f"no {words!r}")


def _ends(
    check: _Comparison,
    situation: Json,
    flow_told: Json,
    flow: Flow,
    paths: Iterable[Path],
) -> None:
    receiver = situation["receiver"]
    seen = [hop for hop in flow_told["hops"] if hop["device"] == receiver]
    ran = [one for one in flow_told["ran"] if one["device"] == receiver]
    drops = flow.ends.startswith("dropped")
    if not seen and not ran:
        egress = any(step.kind == "tc-egress" for step in flow.steps)
        longer = any(
            "dropped if longer" in words
            for step in flow.steps
            for words in step.alternatives
        )
        check.holds(
            "ends",
            drops or egress or longer,
            f"nothing arrived, and the path ends with: {flow.ends}",
        )
    else:
        check.holds("ends", not drops, f"packets arrived, but: {flow.ends}")
    for name, packets in flow_told["watched"].items():
        met = any(
            name == step.device.name
            or name in " ".join((step.text, *step.alternatives))
            for path in paths
            for one in path.flows
            for step in one.steps
        )
        if packets:
            check.holds("upper", met, f"{name} received packets, and is not named")


def _flow_of(path: Path, queue: Optional[int]) -> Optional[Flow]:
    for flow in path.flows:
        if queue is None or queue in flow.tx_queues or not flow.tx_queues:
            return flow
    return None


def _received(
    check: _Comparison, facts: Facts, flow: Flow, receiver: Device, queue: int
) -> None:
    # The RX queue, and who has the packets there.
    if facts.via is None:
        return
    steps = _steps(flow, "rx-queue", receiver)
    check.holds("rx-queue", len(steps) == 1, f"{len(steps)} steps")
    if steps and facts.native is not None:
        rx_queue = _of_queue(flow, queue, steps[0].numbers["rx_queue"])
        check.same("rx-queue", rx_queue, facts.native)
    steps = _steps(flow, "receive", receiver)
    check.holds("receive", len(steps) == 1, f"{len(steps)} steps")
    if steps:
        check.same("receive", steps[0].numbers["via"], facts.via)


def _next(
    check: _Comparison, paths: Iterable[Path], told: Json, senders: Collection[str]
) -> None:
    # Every other device that sent the packets on has to be among the paths.
    found = {path.device.name: path for path in paths}
    for hop in told["hops"]:
        if hop["what"] != "xmit" or hop["device"] in senders:
            continue
        path = found.get(hop["device"])
        check.holds("next", path is not None, f"{hop['device']} sent it on")
        if path is not None:
            queues = [queue for flow in path.flows for queue in flow.tx_queues]
            check.holds(
                "next",
                hop["queue"] in queues,
                f"{hop['device']} sent it on TX queue {hop['queue']}, not {queues}",
            )


def _all_paths(path: Path) -> Iterator[Path]:
    for one in path.following:
        yield one
        yield from _all_paths(one)


def _compare_flow(
    check: _Comparison,
    snapshot: Snapshot,
    situation: Json,
    told: Json,
    sender: Device,
    receiver: Device,
) -> None:
    facts = facts_of(situation, told, sender)
    # A packet that the feeder sent has an RX queue recorded, but XPS comes first.
    queue = facts.tx_queue
    if queue is None:
        # What bypasses the qdisc passes no tracepoint; rxq N takes what txq N sends.
        seen = (facts.native, facts.mapping, told["queue"], 0)
        queue = next(one for one in seen if one is not None)
    has_xps = not isinstance(sender.xps, Unreadable) and any(
        one.cpus for one in sender.xps
    )
    asked = queue if situation["how"] == "chosen" and not has_xps else None
    path = trace(snapshot, sender, queue=asked, cpu=told["cpu"], follow=True)
    flow = _flow_of(path, queue)
    check.holds("xps", flow is not None, f"no flow for TX queue {queue}")
    if flow is None:
        return
    _received(check, facts, flow, receiver, queue)
    _native(check, situation, facts, flow, receiver, told)
    _generic(check, situation, facts, flow, receiver, queue)
    if not redirects_by_map(situation):
        # The NAPI runs in a thread, which may be on any CPU.
        threaded = any(step[0] == "threaded" for step in situation["steps"])
        _steering(check, told, facts, flow, receiver, queue, threaded)
    _redirects(check, situation, told, flow, facts)
    _sent_back(check, situation, told, flow, receiver, sender)
    _ends(check, situation, told, flow, (path, *_all_paths(path)))
    if not told["verdicts"]:
        ends = (str(sender.name), situation["sender"])
        _next(check, _all_paths(path), told, ends)


def compare_paths(snapshot: Snapshot, facts: Json) -> Walked:
    """
    Compare the paths of all situations.

    :param facts: What path_scene.py recorded
    """
    check = _Comparison()
    # The scene gives no name twice.
    named = {device.name: device for device in snapshot.devices}
    flows = 0
    for situation in facts["situations"]:
        sender, receiver = named[situation["sender"]], named[situation["receiver"]]
        if sender.peer is None:  # a bond, which sends by what is below it
            assert receiver.peer and not isinstance(receiver.peer, Unreadable)
            sender = named[receiver.peer.name]
        for number, told in enumerate(situation["flows"]):
            check.where = f"{situation['name']}, flow {number}, tx {told['queue']}"
            flows += 1
            _compare_flow(check, snapshot, situation, told, sender, receiver)
    return Walked(check.compared, check.differences, len(facts["situations"]), flows)
