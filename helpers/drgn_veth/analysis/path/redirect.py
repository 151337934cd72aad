# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Redirects
---------

Whether a device would take the frames that an XDP program sends to it: XDP_TX of a veth
(drivers/net/veth.c), XDP_REDIRECT (kernel/bpf/devmap.c, net/core/filter.c).
"""

from collections.abc import Sequence
from typing import NamedTuple, Optional

from ...core.english import count
from ...core.uapi import NETDEV_XDP_ACT_NDO_XMIT
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XdpQueue
from ..driver_program import driver_program
from ..names import name_from, name_of
from .topology import Topology
from .trail import Trail
from .veth_xmit import packet_limit

__all__ = (
    "Taken",
    "sent_back",
    "takes_frames",
    "takes_packets",
)


class Taken(NamedTuple):
    """Whether a device takes what a program redirects to it."""

    takes: Maybe[Optional[bool]]  # None: the state does not decide
    why: str
    function: str  # that decides
    errno: Optional[str] = None


def _selected(device: Device, cpu: Optional[int]) -> Maybe[Sequence[XdpQueue]]:
    # The RX queues that veth_select_rxq() may choose: by the CPU, not by the queue.
    queues = device.xdp.queues
    if queues is None:
        return ()
    if isinstance(queues, Unreadable) or cpu is None or not queues:
        return queues
    chosen = cpu % len(queues)
    return [queue for queue in queues if queue.queue == chosen]


def _by_cpu(receiver: Device, cpu: Optional[int]) -> str:
    rx = receiver.queues.rx.real
    if isinstance(rx, Unreadable) or not rx:
        return "by its CPU"
    return f"rx-(CPU % {rx})" if cpu is None else f"rx-{cpu % rx}"


def _veth(topology: Topology, target: Device, cpu: Optional[int]) -> Taken:
    # veth_xdp_xmit() puts frames into a ring of the peer.
    function = "veth_xdp_xmit"
    ref = target.peer
    if ref is None:
        return Taken(False, "it has no peer", function, "ENXIO")
    receiver = ref if isinstance(ref, Unreadable) else topology.device(ref)
    if isinstance(receiver, Unreadable):
        why = f"its peer could not be read: {receiver.reason}"
        return Taken(receiver, why, function)
    queues = _selected(receiver, cpu)
    name = name_from(receiver, target)
    if isinstance(queues, Unreadable):
        why = f"the queues of {name} could not be read: {queues.reason}"
        return Taken(queues, why, function)
    with_napi = [queue for queue in queues if queue.napi is True]
    unread = next((q.napi for q in queues if isinstance(q.napi, Unreadable)), None)
    if len(with_napi) == len(queues) and queues:
        return Taken(True, f"{name} receives it, {_by_cpu(receiver, cpu)}", function)
    if unread is not None:
        why = f"whether {name} has NAPI could not be read: {unread.reason}"
        return Taken(unread, why, function)
    if not with_napi:
        return Taken(False, f"its peer {name} has no NAPI", function, "ENXIO")
    why = f"{len(with_napi)} of {count(len(queues), 'RX queue')} of {name} have NAPI"
    return Taken(None, f"{why}: the CPU decides", function)


def _bond(
    topology: Topology, target: Device, cpu: Optional[int], above: tuple[int, ...]
) -> Taken:
    # bond_xdp_xmit() gives each frame to a slave, which may be a bond.
    function = "bond_xdp_xmit"
    slaves = topology.ports(target)
    if not slaves:
        return Taken(False, "it has no slaves", function, "ENXIO")
    if target.net_device in above:
        return Taken(None, "it is its own slave", function)
    above = (*above, target.net_device)
    taken = [takes_frames(topology, slave, cpu, above) for slave in slaves]
    first = taken[0]
    if all(one.takes is first.takes for one in taken):
        return first._replace(why=f"by its slaves: {first.why}", function=function)
    return Taken(None, "the slave that it chooses decides", function)


def _other(
    topology: Topology, target: Device, cpu: Optional[int], above: tuple[int, ...]
) -> Taken:
    driver = target.driver.name
    if target.kind == "bond":
        return _bond(topology, target, cpu, above)
    if target.kind == "tun":
        if isinstance(target.flags, tuple) and "LOWER_UP" not in target.flags:
            return Taken(False, "nobody reads it", "tun_xdp_xmit", "ENXIO")
        return Taken(True, "its reader gets it", "tun_xdp_xmit")
    if driver == "virtio_net":
        # virtnet_info.rq[].xdp_prog: a slave has that of its bond.
        program = driver_program(target, topology.by_address)
        if program is None:
            why = "virtio_net takes frames only with a native program of its own"
            return Taken(False, why, "virtnet_xdp_xmit", "ENXIO")
        if isinstance(program, Unreadable):
            why = f"its native program could not be read: {program.reason}"
            return Taken(program, why, "virtnet_xdp_xmit")
        return Taken(True, "it sends the frame", "virtnet_xdp_xmit")
    name = "its driver" if not isinstance(driver, str) else driver
    return Taken(None, f"{name} decides", "ndo_xdp_xmit")


def _forwards(target: Device, function: str) -> Optional[Taken]:
    # xdp_ok_fwd_dev()
    if isinstance(target.flags, Unreadable):
        why = f"flags could not be read: {target.flags.reason}"
        return Taken(target.flags, why, function)
    if "UP" not in target.flags:
        return Taken(False, "it is down", function, "ENETDOWN")
    return None


def _limited(taken: Taken, *devices: Device) -> Taken:
    limits = [packet_limit(device) for device in devices]
    known = [limit for limit in limits if not isinstance(limit, Unreadable)]
    if taken.takes is not True or len(known) < len(limits):
        return taken
    return taken._replace(why=f"{taken.why}, up to {min(known)} bytes")


def _limiting(topology: Topology, target: Device) -> Sequence[Device]:
    # xdp_ok_fwd_dev() looks at the target's MTU, veth_xdp_xmit() and veth_xmit() at its
    # peer's.
    if target.kind != "veth" or target.peer is None:
        return (target,)
    if isinstance(target.peer, Unreadable):
        return (target,)
    peer = topology.device(target.peer)
    return (target,) if isinstance(peer, Unreadable) else (target, peer)


def takes_frames(
    topology: Topology,
    target: Device,
    cpu: Optional[int] = None,
    above: tuple[int, ...] = (),
) -> Taken:
    """
    Return whether a device takes the frames that a native program redirects to it.

    :param cpu: The CPU that the program runs on, None for any
    :param above: The bonds that it is a slave of: ``Device.net_device``
    """
    act = target.features.xdp
    function = "__xdp_enqueue"
    if isinstance(act, Unreadable):
        return Taken(act, f"xdp_features could not be read: {act.reason}", function)
    if act is not None and not act & NETDEV_XDP_ACT_NDO_XMIT:
        why = "its xdp_features lack NDO_XMIT"
        if target.kind == "veth":
            ready = _veth(topology, target, cpu)
            if ready.takes is False:
                why = f"{why}: {ready.why}"
        return Taken(False, why, function, "EOPNOTSUPP")
    if act is None:
        # Before v6.3 there is no xdp_features: the driver's operation decides.
        has = target.driver.ndo_xdp_xmit
        if isinstance(has, Unreadable):
            return Taken(has, f"ndo_xdp_xmit could not be read: {has.reason}", function)
        if not has:
            why = "its driver has no ndo_xdp_xmit"
            return Taken(False, why, function, "EOPNOTSUPP")
    refused = _forwards(target, function)
    if refused is not None:
        return refused
    if target.kind == "veth":
        taken = _veth(topology, target, cpu)
    else:
        taken = _other(topology, target, cpu, above)
    return _limited(taken, *_limiting(topology, target))


def takes_packets(topology: Topology, target: Device) -> Taken:
    """Return whether a device takes what a generic program redirects to it."""
    refused = _forwards(target, "xdp_ok_fwd_dev")
    if refused is not None:
        return refused
    taken = Taken(True, "it sends the packet, without a qdisc", "generic_xdp_tx")
    return _limited(taken, *_limiting(topology, target))


def sent_back(trail: Trail, sender: Device) -> str:
    """
    Return what comes of XDP_TX at the peer of a veth.

    :param sender: The veth that gets the frames back
    """
    queues = _selected(sender, trail.cpu)
    name = name_of(sender)
    if isinstance(queues, Unreadable):
        return f"the queues of {name} could not be read: {queues.reason}"
    napi = [queue for queue in queues if queue.napi is True]
    if not napi:
        if any(isinstance(queue.napi, Unreadable) for queue in queues):
            return f"whether {name} has NAPI could not be read"
        return f"lost: {name} has no NAPI (ENXIO, veth_xdp_xmit)"
    # veth_xdp_flush() wakes the receiver only if its rq has a program.
    ready = [queue for queue in napi if isinstance(queue.prog_id, int)]
    if not ready:
        if any(isinstance(queue.prog_id, Unreadable) for queue in napi):
            return f"whether {name} has a program could not be read"
        return (
            f"waits in a ring of {name} that nobody polls: it has no native program "
            "(veth_xdp_flush)"
        )
    if len(ready) < len(queues):
        lost = any(isinstance(queue.napi, Unreadable) for queue in queues)
        lost = lost or any(isinstance(queue.prog_id, Unreadable) for queue in napi)
        return (
            f"{name} receives it on {'at least ' * lost}{len(ready)} of "
            f"{count(len(queues), 'RX queue')}: the CPU decides"
        )
    return f"{name} receives it, {_by_cpu(sender, trail.cpu)}"
