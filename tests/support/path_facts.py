# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What became of packets
----------------------

The scene ``path`` has situations in which packets were sent, and what the kernel's
tracepoints, the programs themselves and the counters say of them
(vmcores/lab/guest/path_scene.py).
"""

import collections
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from drgn_veth.model import Device

__all__ = (
    "Facts",
    "Json",
    "facts_of",
    "hops",
    "program_at",
    "ran_at",
    "redirects_by_map",
    "said",
    "uncounted",
    "verdict_at",
)

Json = Mapping[str, Any]


class Facts(NamedTuple):
    """What became of the packets of one flow, at the device that receives them."""

    sent: int
    tx_queue: Optional[int]  # None: not seen on the way
    #: napi, netif_rx, or None if neither has them.
    via: Optional[str]
    #: The RX queue that the native program saw; None if it did not run.
    native: Optional[int]
    generic: Optional[int]  # likewise
    #: CPUs on which the packets were behind RPS.
    cpus: frozenset[int]
    #: skb->queue_mapping as netif_rx() or the NAPI has it.
    mapping: Optional[int]


def hops(flow: Json, what: str, device: str) -> list[Json]:
    """Return the hops of a kind at a device."""
    return [
        hop for hop in flow["hops"] if hop["what"] == what and hop["device"] == device
    ]


def ran_at(flow: Json, mode: str, device: str) -> Optional[int]:
    """Return the RX queue that a program saw, None if it did not run."""
    for one in flow["ran"]:
        if one["device"] == device and one["mode"] == mode:
            queue: int = one["rx_queue"]
            return queue
    return None


def facts_of(situation: Json, flow: Json, sender: Device) -> Facts:
    """
    Return the facts of a flow.

    :param sender: The device whose peer receives
    """
    receiver = situation["receiver"]
    xmit = hops(flow, "xmit", str(sender.name))
    native = ran_at(flow, "native", receiver)
    # The first: what a CPUMAP has got arrives once more.
    taken = [
        hop
        for hop in flow["hops"]
        if hop["device"] == receiver and hop["what"] in ("napi", "netif_rx")
    ]
    via = taken[0]["what"] if taken else None
    if native is not None:
        via = "napi"
    return Facts(
        flow["sent"],
        xmit[0]["queue"] if xmit else None,
        via,
        native,
        ran_at(flow, "generic", receiver),
        frozenset(hop["cpu"] for hop in hops(flow, "receive", receiver)),
        taken[0]["queue"] if taken else None,
    )


def program_at(situation: Json, device: str, mode: str) -> Optional[int]:
    """Return the id of the program of a device."""
    for program in situation["programs"]:
        if program["device"] == device and program["mode"] == mode:
            number: int = program["id"]
            return number
    return None


def verdict_at(situation: Json, mode: str, device: str) -> Optional[str]:
    """Return what the program of a device does, in the words of the scene."""
    for step in situation["steps"]:
        if step[0] == "xdp" and step[1] == device and step[2] == mode:
            what: str = step[3]
            return what
    return None


#: Programs that redirect by a map.
_BY_MAP = ("devmap", "hash", "entry", "cpumap", "xskmap")


def redirects_by_map(situation: Json) -> bool:
    """Return whether the program of the receiver redirects by a map."""
    return any(
        verdict_at(situation, mode, situation["receiver"]) in _BY_MAP
        for mode in ("native", "generic")
    )


def said(flow: Json, *names: str) -> list[Json]:
    """Return the events of XDP with these names."""
    return [one for one in flow["verdicts"] if one["what"] in names]


def uncounted(facts: Json) -> list[str]:
    """
    Return where the tracepoints and programs do not agree with ``ethtool -S``.

    :param facts: What path_scene.py recorded
    """
    wrong = []
    for situation in facts["situations"]:
        receiver = situation["receiver"]
        if program_at(situation, receiver, "native") is None:
            continue
        ran: collections.Counter[int] = collections.Counter()
        for flow in situation["flows"]:
            for one in flow["ran"]:
                if one["device"] == receiver and one["mode"] == "native":
                    ran[one["rx_queue"]] += one["packets"]
        for queue, packets in ran.items():
            counted = situation["counters"].get(receiver)
            if counted is None:
                continue  # It is in another namespace.
            found = counted.get(f"rx_queue_{queue}_xdp_packets", 0)
            if found != packets:
                wrong.append(f"{receiver} rx {queue}: {packets} ran, {found} counted")
    return wrong
