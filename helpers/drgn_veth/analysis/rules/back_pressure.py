# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about veth_poll(), which wakes the TX queues of its peer."""

from typing import Optional

from ...core.english import number_list
from ...core.messages import BACK_PRESSURE
from ...core.netdev_features import (
    NETIF_F_ALL_TSO,
    NETIF_F_GRO_FRAGLIST,
    NETIF_F_GRO_UDP_FWD,
)
from ...core.unreadable import Unreadable
from ...model import Device
from ..need import CannotTell, need
from ..remedies import Remedy
from .context import Context, End
from .finding import (
    ERROR,
    INFO,
    WARNING,
    KernelAnswer,
    Symptom,
)
from .poll import Wakes, wakes
from .rule import Rule, Sign
from .values import is_up

__all__ = ("RULES",)


def _poll_out_of_range(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    how = wakes(context)
    if peer is None or how is None or (isinstance(how, Wakes) and how.checked):
        return None
    rx = need(device.queues.rx.real, "real_num_rx_queues")
    allocated = need(peer.queues.tx.allocated, "peer_num_tx_queues")
    if rx <= allocated:
        return None
    # Packets come from existing TX queues, XDP frames by the number of a CPU.
    cpus = context.target.possible_cpus
    most = rx if isinstance(cpus, Unreadable) else cpus
    beyond = [
        queue.queue
        for queue in (need(device.xdp.queues, "rq") or ())[:most]
        if queue.queue >= allocated
        and need(queue.napi, "rq[].napi")
        and (isinstance(how, Unreadable) or how.number(queue) >= allocated)
    ]
    if not beyond:
        return None
    symptom = Symptom(
        f"veth_poll() of rx-{number_list(beyond)} accesses TX queues that peer "
        f"{context.name(peer, device)} does not have: the peer was created "
        f"with {allocated}",
        (
            ("real_num_rx_queues", rx),
            ("peer_num_tx_queues", allocated),
            ("rq[].napi != NULL", number_list(beyond)),
            ("possible_cpus", cpus),
        ),
        KernelAnswer("veth_poll"),
        _fewer_rx(context, device, allocated),
        severity=WARNING if context.may_send_frames(peer) else INFO,
    )
    if isinstance(how, Unreadable):
        # The check is the difference between harm and none.
        return symptom._replace(
            severity=INFO,
            undecided="only the code of veth_poll() shows whether it accesses its "
            f"peer's TX queues, and checks their number ({how.reason})",
        )
    return symptom


def _fewer_rx(context: Context, device: Device, rx: int) -> Remedy:
    fewer = context.fixes.set_channels(device, device, rx=rx)
    try:
        native = context.is_native(device)
    except CannotTell:
        return Remedy()
    if not fewer.commands or not native:
        return fewer
    # Without the native program: some kernels would leave it in the queues that go, see
    # xdp-stale-program.
    again = context.attach_again(device, fewer.commands)
    effect = "; ".join(filter(None, (again.effect, fewer.effect)))
    return Remedy(again.commands, effect)


def _reaches_ring(device: Device, peer: Device) -> bool:
    # veth_skb_is_eligible_for_gro(): packets that bypass the ring stop no queue.
    features, other = device.features.features, peer.features.features
    if isinstance(features, Unreadable) or isinstance(other, Unreadable):
        return True
    return not features & NETIF_F_ALL_TSO or bool(
        other & (NETIF_F_GRO_FRAGLIST | NETIF_F_GRO_UDP_FWD)
    )


def _could_stick(context: Context, end: End) -> Optional[Symptom]:
    device, peer = end
    real = device.queues.tx.real
    if not isinstance(peer, Device) or isinstance(real, Unreadable) or real < 2:
        return None
    queues = peer.xdp.queues
    if queues is None or isinstance(queues, Unreadable):
        return None
    how = wakes(context)
    if how is None or (isinstance(how, Wakes) and not how.by_rxq):
        return None
    asleep = [
        q.queue
        for q in queues[:real]
        if q.queue > 0 and q.napi is True and q.rxq_index == 0
    ]
    if not asleep or not _is_known_up(device) or not _is_known_up(peer):
        return None
    if not _reaches_ring(device, peer):
        return None
    numbers = number_list(asleep)
    symptom = Symptom(
        f"TX queue {numbers}, once stopped (with a qdisc), stays stopped: NAPI of "
        f"rx-{numbers} on peer {context.name(peer, device)} wakes TX queue 0 instead",
        (
            ("real_num_tx_queues", real),
            ("peer_rq[].napi != NULL", numbers),
            ("peer_rq[].xdp_rxq.queue_index", 0),
        ),
        KernelAnswer("veth_poll"),
        severity=INFO,
    )
    if isinstance(how, Unreadable):
        # Report this only if this kernel is known to stop TX queues at all.
        if context.has_message("veth_xmit", BACK_PRESSURE) is not True:
            return None
        return symptom._replace(
            summary=f"TX queue {numbers}, once stopped, may stay stopped: NAPI of "
            f"rx-{numbers} on peer {context.name(peer, device)} runs for GRO alone",
            undecided="only the code of veth_poll() shows whether it wakes TX queue "
            f"{numbers}, or TX queue 0 only ({how.reason})",
        )
    return symptom


def _is_known_up(device: Device) -> bool:
    return not isinstance(device.flags, Unreadable) and "UP" in device.flags


def _stuck(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    veth = device.veth
    if wakes(context) is None:
        return None
    if veth is None or not veth.stopped or not is_up(device):
        return _could_stick(context, end)
    stopped = need(veth.stopped, "_tx[].state")
    peer = context.peer(end)
    stuck = [
        tx.queue
        for tx in stopped
        if tx.peer_ring_empty is True and tx.peer_napi_scheduled is False
    ]
    if not stuck:
        for tx in stopped:
            if tx.peer_ring_empty is not False and tx.peer_napi_scheduled is not True:
                need(tx.peer_ring_empty, "peer_rq[].xdp_ring")
                need(tx.peer_napi_scheduled, "peer_rq[].xdp_napi.state")
        return _could_stick(context, end)
    of = "its peer" if peer is None else f"peer {context.name(peer, device)}"
    return Symptom(
        f"TX queue {number_list(stuck)} is stopped for good: {of} has nothing left to "
        "receive, and nothing will wake the queue",
        (
            ("_tx[].state & __QUEUE_STATE_DRV_XOFF", number_list(stuck)),
            ("peer_rq[].xdp_ring", "empty"),
            ("peer_rq[].xdp_napi.state & NAPIF_STATE_SCHED", 0),
        ),
        KernelAnswer("veth_poll"),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="veth-poll-out-of-range",
        severity=WARNING,
        title="veth_poll() reads beyond its peer's TX queues",
        predicate=(
            "rq[i].napi != NULL && i >= peer->num_tx_queues && veth_xmit() of this "
            "kernel stops TX queues && veth_poll() does not check "
            "peer->real_num_tx_queues before it accesses peer->_tx[i] or, on some "
            "kernels, peer->_tx[rq[i].xdp_rxq.queue_index] && i < possible CPUs. It is "
            "a note if the peer has no native program and no program may redirect to "
            "it. If the code of veth_poll() could not be read, this is undecided and a "
            "note."
        ),
        sees=(
            "Random crashes: when such a queue receives frames that were redirected to "
            "the peer (XDP_REDIRECT), or that the peer sent by XDP_TX, the kernel "
            "reads memory behind the peer's _tx[], and may write to it."
        ),
        fix=(
            "Give the device at most as many RX queues as the peer was created with TX "
            "queues. If there is a native program, detach it first and attach it again "
            "afterwards; no program runs in between. Removed queues lose their RPS "
            "masks."
        ),
        why=(
            "On kernels with back-pressure, veth_poll() (drivers/net/veth.c) calls "
            "netdev_get_tx_queue() of the peer with the number of its own queue, to "
            "wake the TX queue. v6.16 to v6.19, and 6.12.107, do not check the number; "
            "v7.1 and 6.12.117 do. Kernels that never stop a veth's TX queue are not "
            'affected: their veth_xmit() lacks the message "Invalid return code". '
            "The code of veth_poll() in the dump shows what it accesses."
        ),
        symptoms=(Sign("seen", "random crashes in veth_poll()"),),
        subjects=lambda context: context.veths,
        check=_poll_out_of_range,
    ),
    Rule(
        id="tx-queue-stuck",
        severity=ERROR,
        title="a TX queue is stopped and nothing will wake it",
        predicate=(
            "flags & IFF_UP && _tx[i].state & __QUEUE_STATE_DRV_XOFF && peer "
            "rq[i].xdp_ring is empty && !(peer rq[i].xdp_napi.state & "
            "NAPIF_STATE_SCHED). It is a note if no queue is stuck, but one could get "
            "stuck: veth_xmit() of this kernel stops TX queues, veth_poll() wakes the "
            "TX queue numbered xdp_rxq.queue_index, a peer rq[i] with 0 < i < "
            "real_num_tx_queues has NAPI and xdp_rxq.queue_index 0, and packets go "
            "through its ring (no TSO here, or GRO_FRAGLIST or GRO_UDP_FWD on the "
            "peer). That is undecided if the code of veth_poll() could not be read."
        ),
        sees=(
            "Some flows through the pair stall for good and the qdisc's backlog grows. "
            "The kernel logs no TX timeout."
        ),
        fix=(
            "No command wakes the queue on every kernel. On newer ones, set the device "
            "down and up; otherwise create the pair again. A veth without a qdisc "
            "(noqueue) never stops."
        ),
        why=(
            "If the device has a qdisc, veth_xmit() (drivers/net/veth.c) stops the TX "
            "queue when the peer's ring is full, and veth_poll() of the peer wakes it, "
            "since v6.16 (and in 6.12.y). veth_poll() of v6.16 to v7.1, and of "
            "6.12.94, takes the queue's number from xdp_rxq.queue_index. If NAPI runs "
            "for GRO alone, that is 0 for every queue until a native program is "
            "attached for the first time, so every RX queue wakes TX queue 0."
        ),
        symptoms=(
            Sign("counter", "backlog of the qdisc (tc -s qdisc)"),
            Sign(
                "seen",
                "some flows through a veth stall for good, without a TX timeout",
            ),
        ),
        subjects=lambda context: context.veths,
        check=_stuck,
    ),
)
