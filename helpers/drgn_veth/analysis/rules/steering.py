# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which RPS masks are used, and what they steer."""

from collections.abc import Sequence
from typing import Optional

from ...core.unreadable import Maybe
from ...model import Device, RpsQueue
from ..need import need
from ..path import steering
from .context import Context

__all__ = (
    "has_rfs",
    "has_rps",
    "is_recorded",
    "rps_queues",
    "union",
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
