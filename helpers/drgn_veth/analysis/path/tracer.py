# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The path of a device's packets
------------------------------

A pure function of a Snapshot.
"""

from collections.abc import Iterable, Sequence
from typing import Optional

from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device, Snapshot
from ..names import name_of
from .beyond import receive_core
from .follow import Followed
from .gro import gro
from .netkit_xmit import netkit_xmit
from .receive import receives
from .records import Flow, Path, merged
from .sender import chosen_queues, enter
from .steering import steer
from .topology import Topology
from .trail import THE_SAME, Trail
from .veth_xmit import veth_xmit
from .xdp import native

__all__ = ("PAIRED", "PathError", "trace")

#: Kinds of devices whose packets a peer receives.
PAIRED = ("veth", "netkit")


class PathError(ValueError):
    """There is no such queue, or no such CPU."""


def _check_cpu(snapshot: Snapshot, cpu: Optional[int]) -> None:
    possible, online = snapshot.target.possible_cpus, snapshot.target.online_cpus
    if cpu is None:
        return
    if cpu < 0 or (isinstance(possible, int) and cpu >= possible):
        known = (
            ""
            if isinstance(possible, Unreadable)
            else (f": there are CPUs 0 to {possible - 1}")
        )
        raise PathError(f"there is no CPU {cpu}{known}")
    if isinstance(online, tuple) and cpu not in online:
        raise PathError(f"CPU {cpu} is offline: it sends nothing")


def _check_queue(device: Device, queue: Optional[int], sends: bool) -> None:
    if queue is None:
        return
    counts = device.queues.tx if sends else device.queues.rx
    which = "TX" if sends else "RX"
    real = counts.real
    if queue < 0 or (isinstance(real, int) and queue >= real):
        has = (
            ""
            if isinstance(real, Unreadable)
            else (f": it has {count(real, f'real {which} queue')}")
        )
        raise PathError(f"{name_of(device)} has no {which} queue {queue}{has}")


def _past_the_peer(trail: Trail, device: Device, tx: int) -> None:
    ref = device.peer
    name = name_of(device)
    if ref is None:
        text = "no peer: drops all"
        trail.add("rx-queue", f"{device.kind}_xmit", device, text, rx_queue=None)
        trail.ends = f"dropped: {name} has no peer"
        return
    if isinstance(ref, Unreadable):
        trail.ends = f"the peer of {name} could not be read: {ref.reason}"
        return
    peer = trail.topology.device(ref)
    if isinstance(peer, Unreadable):
        trail.ends = f"the peer of {name}: {peer.reason}"
        return
    if device.kind == "netkit":
        netkit_xmit(trail, device, peer)
        if trail.ends is None:
            steer(trail, peer, backlog=True)
    else:
        rq = veth_xmit(trail, device, peer, tx)
        if trail.ends is None:
            native(trail, device, peer, rq)
            if rq is not None:
                gro(trail, peer)
            steer(trail, peer, backlog=rq is None)
    if trail.ends is None:
        receive_core(trail, peer)


def _sent(
    topology: Topology,
    device: Device,
    tx: int,
    chosen: Sequence[int],
    cpu: Optional[int],
    sender_cpu: Optional[int],
) -> Trail:
    trail = Trail(topology, cpu, sender_cpu)
    enter(trail, device, chosen)
    if trail.ends is None:
        _past_the_peer(trail, device, tx)
    return trail


def _flows(trails: Iterable[tuple[int, Trail]], sends: bool) -> tuple[Flow, ...]:
    groups: dict[tuple[object, ...], list[tuple[int, Trail]]] = {}
    for queue, trail in trails:
        groups.setdefault(trail.key, []).append((queue, trail))
    flows = []
    for members in groups.values():
        steps = merged([trail.drafts for _, trail in members])
        queues = tuple(queue for queue, _ in members if queue >= 0)
        ends = members[0][1].ends or ""
        flows.append(
            Flow(queues, steps, ends) if sends else Flow((), steps, ends, queues)
        )
    return tuple(flows)


def _ends(flows: Iterable[Flow]) -> str:
    return "; ".join(dict.fromkeys(flow.ends for flow in flows))


def _send_path(
    topology: Topology,
    device: Device,
    queues: Optional[Sequence[int]],
    cpu: Optional[int],
    followed: Optional[Followed],
    sender_cpu: Optional[int] = THE_SAME,
) -> Path:
    tx = device.queues.tx.real
    if isinstance(tx, Unreadable) or not tx:
        # What does not depend on the TX queue is still told, as of an unknown one.
        trails = [(-1, _unknown(topology, device, cpu))]
    else:
        chosen = chosen_queues(device, cpu, tx) if queues is None else queues
        trails = [
            (one, _sent(topology, device, one, chosen, cpu, sender_cpu))
            for one in chosen
        ]
    flows = _flows(trails, sends=True)
    peer = None if isinstance(device.peer, Unreadable) else device.peer
    path = Path(device.ref, flows, _ends(flows), True, peer)
    return path if followed is None else followed.after(path, trails, device)


def _unknown(topology: Topology, device: Device, cpu: Optional[int]) -> Trail:
    trail = Trail(topology, cpu)
    enter(trail, device, ())
    if trail.ends is not None:
        return trail
    tx = device.queues.tx.real
    if isinstance(tx, Unreadable):
        trail.ends = f"which TX queues there are could not be read: {tx.reason}"
    else:
        trail.ends = f"{name_of(device)} has no TX queues: it is being torn down"
    return trail


def _without_others(path: Path) -> Path:
    # Who asks for one TX queue does not ask which else it may be.
    flows = tuple(
        flow._replace(
            steps=tuple(
                step._replace(alternatives=())
                if (step.kind, step.device) == ("xps", path.device)
                else step
                for step in flow.steps
            )
        )
        for flow in path.flows
    )
    return path._replace(flows=flows)


def trace(
    snapshot: Snapshot,
    device: Device,
    queue: Optional[int] = None,
    cpu: Optional[int] = None,
    follow: bool = False,
    topology: Optional[Topology] = None,
) -> Path:
    """
    Return where the packets go that a device sends to its peer, or, if it has no peer,
    that it receives.

    :param queue: Only this real TX queue; of a device without a peer, RX queue
    :param cpu: Only what this CPU sends
    :param follow: Through bridges and further pairs, until they leave or end
    :param topology: That of the Snapshot, for those who ask for several paths
    :raises PathError: if there is no such queue or CPU
    """
    if topology is None:
        topology = Topology(snapshot)
    sends = device.kind in PAIRED
    _check_cpu(snapshot, cpu)
    _check_queue(device, queue, sends)
    followed = Followed(topology, _send_path) if follow else None
    queues = None if queue is None else (queue,)
    if sends:
        path = _send_path(topology, device, queues, cpu, followed)
        return path if queue is None else _without_others(path)
    trails = receives(topology, device, queue, cpu)
    flows = _flows(trails, sends=False)
    path = Path(device.ref, flows, _ends(flows), False)
    return path if followed is None else followed.after(path, trails, device)
