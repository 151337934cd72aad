# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which RPS masks are used, and what they steer."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

from ...core.english import count, cpu_words, per_queue
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, RpsQueue
from ..need import CannotTell, need
from ..path import steering
from ..remedies import Remedy
from ..shell import rps_mask
from .context import Context
from .values import real_queues

__all__ = (
    "Unsteered",
    "flow_words",
    "has_rfs",
    "has_rps",
    "is_one_lost",
    "is_recorded",
    "receives",
    "rps_queues",
    "same_masks",
    "steered_cpus",
    "union",
    "unsteered",
    "used",
)


def rps_queues(device: Device, whose: str = "") -> tuple[RpsQueue, ...]:
    """Return the RX queues of a device with their masks."""
    return need(device.rps, f"{whose}_rx[]")


def is_recorded(context: Context, device: Device) -> Maybe[bool]:
    """Return whether veth_xmit() writes the RX queue into what a device receives."""
    return steering.is_recorded(context.questions.kernel.records_rx_queue, device)


def used(
    context: Context,
    device: Device,
    peer: Maybe[Optional[Device]],
    whose: str = "",
) -> tuple[RpsQueue, ...]:
    """Return the RX queues whose masks steer anything."""
    queues = rps_queues(device, whose)
    if device.kind != "veth" or not isinstance(peer, Device):
        return queues
    # If all have the same mask, it does not matter which are used.
    if len({queue.cpus for queue in queues}) < 2:
        return queues
    rx = need(device.queues.rx.real, f"{whose}real_num_rx_queues")
    of_peer = "" if whose else "peer_"
    tx = need(peer.queues.tx.real, f"{of_peer}real_num_tx_queues")
    if is_recorded(context, device) is False:
        return queues[: steering.used_count(rx, tx)]
    # TX queue N is taken for rx-N, or may be.
    return queues[: min(rx, tx)]


def union(queues: Sequence[RpsQueue]) -> tuple[int, ...]:
    """Return the CPUs of all masks that could be read."""
    cpus: set[int] = set()
    for queue in queues:
        if isinstance(queue.cpus, tuple):
            cpus.update(queue.cpus)
    return tuple(sorted(cpus))


def is_one_lost(queues: Sequence[RpsQueue]) -> bool:
    """Return whether a mask could not be read."""
    return any(isinstance(queue.cpus, Unreadable) for queue in queues)


def steered_cpus(context: Context, queues: Sequence[RpsQueue]) -> tuple[int, ...]:
    """Return the CPUs of all masks that are online: get_rps_cpu() uses no others."""
    online = context.target.online_cpus
    cpus = union(queues)
    if isinstance(online, Unreadable):
        return cpus
    return tuple(cpu for cpu in cpus if cpu in online)


def has_rps(queues: Sequence[RpsQueue], whose: str = "") -> bool:
    """Return whether some mask is set."""
    if any(isinstance(queue.cpus, tuple) and queue.cpus for queue in queues):
        return True
    for queue in queues:
        need(queue.cpus, f"{whose}rps_map")
    return False


def has_rfs(context: Context, device: Device) -> bool:
    """Return whether RFS steers what some RX queue receives."""
    entries = context.target.rps_sock_flow_entries
    flows = [queue.flow_entries for queue in rps_queues(device)]
    if not entries or not any(flows):
        return False
    need(entries, "rps_sock_flow_table")
    return any(need(flow, "rps_flow_table") for flow in flows)


def receives(device: Device, peer: Maybe[Optional[Device]]) -> bool:
    """Return whether a device may receive anything: it and its peer are up."""
    return not any(isinstance(end, Device) and end.is_down for end in (device, peer))


class Unsteered(NamedTuple):
    """TX queues of a veth's peer whose packets get neither RPS nor RFS."""

    #: The RX queue that their packets count for, by TX queue.
    rx_of_tx: dict[int, int]
    #: Why it is not known, for each TX queue of which it is not.
    missing: tuple[CannotTell, ...]


def _is_steered(context: Context, queue: RpsQueue) -> bool:
    if need(queue.cpus, "rps_map"):
        return True
    entries = context.target.rps_sock_flow_entries
    if not entries or not queue.flow_entries:
        return False
    need(entries, "rps_sock_flow_table")
    need(queue.flow_entries, "rps_flow_table")
    return True


def unsteered(context: Context, device: Device, peer: Device) -> Unsteered:
    """
    Return the TX queues of a veth's peer whose packets count for an RX queue that has
    neither RPS nor RFS, and that RX queue.

    :raises CannotTell: if a value that this needs for all of them could not be read
    """
    rx, tx = real_queues(device, peer)
    queues = rps_queues(device)
    if all(isinstance(queue.cpus, tuple) and queue.cpus for queue in queues):
        return Unsteered({}, ())
    recorded = need(
        is_recorded(context, device), "whether veth_xmit() records the RX queue"
    )
    found: dict[int, int] = {}
    missing: list[CannotTell] = []
    for n in range(tx):
        at = steering.rps_queue(steering.mapping_after_veth(n, rx, recorded), rx)
        if at is None or at >= len(queues):
            continue
        try:
            if not _is_steered(context, queues[at]):
                found[n] = at
        except CannotTell as e:
            missing.append(e)
    return Unsteered(found, tuple(missing))


def flow_words(queues: Sequence[RpsQueue]) -> str:
    """Return how many entries the RFS tables of RX queues have."""
    return per_queue(
        (
            queue.queue,
            "?"
            if isinstance(queue.flow_entries, Unreadable)
            else str(queue.flow_entries or ""),
        )
        for queue in queues
    )


def same_masks(context: Context, device: Device, queues: Sequence[RpsQueue]) -> Remedy:
    """
    Return the command that gives all RX queues the union of their masks; none if one
    could not be read, which would be lost.
    """
    if is_one_lost(queues):
        return Remedy()
    cpus = union(queues)
    effect = (
        f"writes {rps_mask(cpus)} ({cpu_words(cpus)}), the union of all masks, to "
        f"all {count(len(queues), 'RX queue')}"
    )
    return Remedy(context.fixes.rps_all(device.ref, cpus), effect)
