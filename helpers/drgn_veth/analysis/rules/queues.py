# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on numbers of queues."""

from typing import List, NamedTuple, Optional, Tuple

from ...core.english import number_list
from ...core.unreadable import Unreadable
from ...model import Device
from .base import (
    ALL_TSO,
    ATTACHES_AGAIN,
    ERROR,
    INFO,
    WARNING,
    Context,
    End,
    KernelAnswer,
    Rule,
    Symptom,
    Undecidable,
    count,
    is_up,
    need,
    need_of_kernel,
    real_queues,
    same,
)
from .poll import BACK_PRESSURE, Wakes, wakes

__all__ = ("RULES",)

# NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD (include/linux/netdev_features.h).
_GRO_OF_ANY = 1 << 57 | 1 << 59


def _native_queues(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx, tx = real_queues(device, peer)
    if rx >= tx or context.is_native(device):
        return None
    fix = context.fixes.more_rx_than_tx(device, peer)
    effect = None
    if fix == context.fixes.channels(peer.ref, tx=rx):
        effect = context.lost_with_queues(peer, device, tx=rx)
    return Symptom(
        f"native XDP would be refused: {count(rx, 'real RX queue')} here, "
        f"{count(tx, 'real TX queue')} of its peer {context.name(peer, device)}",
        (("real_num_rx_queues", rx), ("peer_real_num_tx_queues", tx)),
        context.answer("veth-queues"),
        fix,
        fix_effect=effect,
        then=context.then(device, "veth-queues"),
    )


class _Counts(NamedTuple):
    rx: int
    tx: int


def _counts(device: Device, whose: str) -> Tuple[_Counts, _Counts]:
    # Real, and allocated.
    rx, tx = device.queues
    return (
        _Counts(
            need(rx.real, f"{whose}real_num_rx_queues"),
            need(tx.real, f"{whose}real_num_tx_queues"),
        ),
        _Counts(
            need(rx.allocated, f"{whose}num_rx_queues"),
            need(tx.allocated, f"{whose}num_tx_queues"),
        ),
    )


class _OneSided(NamedTuple):
    why: str  # a device has the counts that it has
    wanted: _Counts
    both: bool  # the ends are to have them


def _as_one_sided(
    real: _Counts,
    allocated: _Counts,
    peer_real: _Counts,
    peer_allocated: _Counts,
    cpus: int,
) -> Optional[_OneSided]:
    each = _Counts(cpus, cpus)
    if cpus > 1 and real == each and peer_real != each:
        why = f"one for each of {count(cpus, 'possible CPU')}"
        return _OneSided(why, peer_real, False)
    if (
        real == (1, 1)
        and 1 not in allocated
        and allocated != each
        and peer_allocated == each
    ):
        why = f"made with {allocated.rx} and {allocated.tx}"
        return _OneSided(why, allocated, True)
    return None


def _same_counts(
    context: Context, device: Device, peer: Device, found: _OneSided, cpus: int
) -> Tuple[Tuple[str, ...], Optional[str]]:
    # The commands, one a device, and what they do besides.
    wanted = found.wanted
    _, allocated = _counts(device, "")
    peer_real, peer_allocated = _counts(peer, "peer_")
    ends = [device]
    if found.both:
        if max(wanted) > cpus or context.is_native(peer):
            return (), None
        if peer_real != wanted:
            ends.append(peer)
    else:
        after = (wanted, allocated), (wanted, peer_allocated)
        if any(_as_one_sided(*a, *b, cpus) for a, b in (after, after[::-1])):
            return (), None  # The same would be found again, for the other reason.
    # Fewer might be refused, or leave programs behind: xdp-stale-program.
    if context.is_native(device):
        return (), None
    if wanted.rx > allocated.rx or wanted.tx > allocated.tx:
        return (), None
    commands: Tuple[str, ...] = ()
    lost: List[str] = []
    for end in ends:
        command = context.set_channels(end, *wanted)
        if not command:
            return (), None
        commands += command
        lost += filter(None, [context.lost_with_queues(end, device, *wanted)])
    return commands, ", ".join(lost) or None


def _one_sided(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or same(device.queues, peer.queues):
        return None
    # Before v5.15 each end has what it was given, and there is no set_channels.
    if not need(device.driver.set_channels, "ethtool_ops->set_channels"):
        return None
    real, allocated = _counts(device, "")
    peer_real, peer_allocated = _counts(peer, "peer_")
    cpus = need_of_kernel(context.target.possible_cpus, "possible_cpus")
    found = _as_one_sided(real, allocated, peer_real, peer_allocated, cpus)
    if found is None:
        return None
    fix, effect = _same_counts(context, device, peer, found, cpus)
    return Symptom(
        f"counts differ: {count(real.rx, 'real RX queue')} and {real.tx} TX here "
        f"({found.why}), {peer_real.rx} and {peer_real.tx} of its peer "
        f"{context.name(peer, device)}; as when queues are given for one end only",
        (
            ("real_num_rx_queues", real.rx),
            ("real_num_tx_queues", real.tx),
            ("num_rx_queues", allocated.rx),
            ("num_tx_queues", allocated.tx),
            ("peer_real_num_rx_queues", peer_real.rx),
            ("peer_real_num_tx_queues", peer_real.tx),
            ("peer_num_rx_queues", peer_allocated.rx),
            ("peer_num_tx_queues", peer_allocated.tx),
            ("possible_cpus", cpus),
        ),
        None,
        fix,
        fix_effect=effect,
    )


def _cpus(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx = need(device.queues.rx.real, "real_num_rx_queues")
    tx = need(device.queues.tx.real, "real_num_tx_queues")
    if max(rx, tx) == 1 and device.xdp.driver is None and device.master is None:
        return None
    cpus = need_of_kernel(context.target.possible_cpus, "possible_cpus")
    have = f"{count(rx, 'real RX queue')} and {tx} TX"
    if max(rx, tx) > cpus:
        said: Tuple[str, int] = ("possible_cpus", cpus)
        summary = (
            f"{have}, {count(cpus, 'possible CPU')}: more queues than CPUs can serve "
            "at a time"
        )
    elif rx < cpus and context.is_native(device):
        online = len(need_of_kernel(context.target.online_cpus, "online_cpus"))
        if rx >= online:
            return None
        said = ("online_cpus", online)
        summary = (
            f"{have}, {count(online, 'online CPU')}: CPUs that redirect frames to its "
            "peer's end share RX queues, and a lock each"
        )
    else:
        return None
    return Symptom(
        summary,
        (
            ("real_num_rx_queues", rx),
            ("real_num_tx_queues", tx),
            ("peer_real_num_rx_queues", peer.queues.rx.real),
            ("peer_real_num_tx_queues", peer.queues.tx.real),
            said,
        ),
    )


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
    # Packets come by TX queues that there are, frames by the number of a CPU.
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
    fix, effect = _fewer_rx(context, device, allocated)
    symptom = Symptom(
        f"veth_poll() of rx-{number_list(beyond)} looks at TX queues that its peer "
        f"{context.name(peer, device)} does not have: it was made with {allocated}",
        (
            ("real_num_rx_queues", rx),
            ("peer_num_tx_queues", allocated),
            ("rq[].napi != NULL", number_list(beyond)),
            ("possible_cpus", cpus),
        ),
        KernelAnswer("veth_poll"),
        fix,
        severity=WARNING if _may_send_frames(context, peer, device) else INFO,
        fix_effect=effect,
    )
    if isinstance(how, Unreadable):
        # The check is the difference between harm and none.
        return symptom._replace(
            severity=INFO,
            undecided="whether veth_poll() of this kernel looks at its peer's TX "
            f"queues, and checks their number, is in its code alone ({how.reason})",
        )
    return symptom


def _may_send_frames(context: Context, device: Device, peer: Device) -> bool:
    # By XDP_TX of its own native program, or by XDP_REDIRECT of another one.
    if device.xdp.driver is not None:
        return True
    there = context.native_in(device.netns)
    return bool(there - {device.net_device, peer.net_device})


def _fewer_rx(
    context: Context, device: Device, rx: int
) -> Tuple[Tuple[str, ...], Optional[str]]:
    # The command, and what it does besides.
    commands = context.set_channels(device, rx=rx)
    try:
        native = context.is_native(device)
    except Undecidable:
        return (), None
    effects = [context.lost_with_queues(device, device, rx=rx)]
    if commands and native:
        # Without the native program: some kernels would leave it in the queues that
        # go, see xdp-stale-program.
        commands = context.attach_again(device, commands)
        effects.insert(0, ATTACHES_AGAIN)
    return commands, "; ".join(filter(None, effects)) or None


def _reaches_ring(device: Device, peer: Device) -> bool:
    # veth_skb_is_eligible_for_gro(): what goes past the ring stops no queue.
    features, other = device.features.features, peer.features.features
    if isinstance(features, Unreadable) or isinstance(other, Unreadable):
        return True
    return not features & ALL_TSO or bool(other & _GRO_OF_ANY)


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
        f"TX queue {numbers}, once stopped (with a qdisc), stays so: NAPI of "
        f"rx-{numbers} of its peer {context.name(peer, device)} wakes TX queue 0",
        (
            ("real_num_tx_queues", real),
            ("peer_rq[].napi != NULL", numbers),
            ("peer_rq[].xdp_rxq.queue_index", 0),
        ),
        KernelAnswer("veth_poll"),
        severity=INFO,
    )
    if isinstance(how, Unreadable):
        # Told only where it is known that TX queues are stopped at all.
        if context.has_message("veth_xmit", BACK_PRESSURE) is not True:
            return None
        return symptom._replace(
            summary=f"TX queue {numbers}, once stopped, may stay so: NAPI of "
            f"rx-{numbers} of its peer {context.name(peer, device)} runs for GRO alone",
            undecided=f"whether veth_poll() of this kernel wakes TX queue {numbers}, "
            f"or TX queue 0 only, is in its code alone ({how.reason})",
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
    of = "its peer" if peer is None else f"its peer {context.name(peer, device)}"
    return Symptom(
        f"TX queue {number_list(stuck)} is stopped for good: {of} has nothing left to "
        "receive, and nothing wakes it",
        (
            ("_tx[].state & __QUEUE_STATE_DRV_XOFF", number_list(stuck)),
            ("peer_rq[].xdp_ring", "empty"),
            ("peer_rq[].xdp_napi.state & NAPIF_STATE_SCHED", 0),
        ),
        KernelAnswer("veth_poll"),
    )


RULES: Tuple[Rule, ...] = (
    Rule(
        id="xdp-native-queues",
        severity=INFO,
        title="native XDP refused: too few RX queues for its peer",
        predicate=(
            "kind is veth && no native program && real_num_rx_queues < "
            "peer->real_num_tx_queues"
        ),
        sees=(
            'An attach in native mode, or with no mode given, fails with "No space '
            'left on device" (ENOSPC). Generic mode is taken.'
        ),
        fix=(
            "Give the device as many RX queues as its peer has TX queues, or the peer "
            "as few TX queues as the device has RX queues (ethtool -L, since v5.15; "
            "before, make the pair anew with numrxqueues and numtxqueues for both "
            "ends). Leave its RX queues as they are if xdp-stale-program is found."
        ),
        why=(
            "In native mode veth hands a packet of TX queue N to RX queue N of its "
            "peer, so veth_xdp_set() (drivers/net/veth.c) wants one for each. What no "
            "mode given means is decided by dev_xdp_mode() (net/core/dev.c): native "
            "wherever the driver has ndo_bpf, as veth has. A device's own TX queues "
            "do not matter for its own program."
        ),
        subjects=lambda context: context.veths,
        check=_native_queues,
    ),
    Rule(
        id="queues-one-sided",
        severity=INFO,
        title="numbers of queues differ, as if given for one end only",
        predicate=(
            "ethtool_ops->set_channels && the ends differ && (real_num_rx_queues and "
            "real_num_tx_queues are the number of possible CPUs || both are 1, "
            "num_rx_queues and num_tx_queues are more, and the peer's are the number "
            "of possible CPUs)"
        ),
        sees=(
            "After `ip link add A numtxqueues 4 numrxqueues 4 type veth peer name B` "
            "B uses as many queues as there are possible CPUs; with the numbers after "
            "`peer name B`, B uses 1 of each all the same. Native XDP on one end may "
            "then be refused."
        ),
        fix=(
            "Give numtxqueues and numrxqueues for both ends, or set them with ethtool "
            "-L, one command for each end. None is needed where the numbers are meant "
            "to differ."
        ),
        why=(
            "veth_newlink() (drivers/net/veth.c) calls veth_init_queues() for the "
            "peer with the attributes of the first end, since v5.15: if these have "
            "numbers, the peer uses all queues that it was made with, by default one "
            "for each possible CPU (veth_get_num_queues()); if not, one."
        ),
        subjects=lambda context: context.veths,
        check=_one_sided,
    ),
    Rule(
        id="queues-cpus",
        severity=INFO,
        title="numbers of queues do not go with the number of CPUs",
        predicate=(
            "real_num_rx_queues or real_num_tx_queues > possible CPUs || (native "
            "program && real_num_rx_queues < online CPUs)"
        ),
        sees=(
            "Queues beyond the number of CPUs cost memory (with a native program, a "
            "ring of 256 entries each) and gain nothing. With fewer RX queues than "
            "CPUs, frames that different CPUs redirect here wait for each other."
        ),
        fix=(
            "Nothing to do. If redirects are slow, give the pair as many queues as "
            "there are CPUs when it is made, or before a program is attached: on "
            "kernels with the bug of xdp-queue-without-program, RX queues that are "
            "added under a native program do not run it."
        ),
        why=(
            "veth_xdp_xmit() (drivers/net/veth.c) puts a redirected frame into the "
            "ring that veth_select_rxq() chooses, smp_processor_id() % "
            "real_num_rx_queues, under the ring's producer_lock. A packet that was "
            "sent keeps its TX queue's number (veth_xmit())."
        ),
        subjects=lambda context: context.veths,
        check=_cpus,
    ),
    Rule(
        id="veth-poll-out-of-range",
        severity=WARNING,
        title="veth_poll() looks beyond its peer's TX queues",
        predicate=(
            "rq[i].napi != NULL && i >= peer->num_tx_queues && veth_xmit() of this "
            "kernel stops TX queues && veth_poll() does not look at "
            "peer->real_num_tx_queues before it takes peer->_tx[i], or, on some "
            "kernels, peer->_tx[rq[i].xdp_rxq.queue_index] && i < possible CPUs. It is "
            "an info if no native program is at the peer or elsewhere in its "
            "namespace; undecided, and an info, where the code of veth_poll() could "
            "not be read."
        ),
        sees=(
            "Memory behind the peer's _tx[] is read, and may be written, when frames "
            "that the peer was given by XDP_REDIRECT, or sent by XDP_TX, are taken "
            "from such a queue. Random crashes."
        ),
        fix=(
            "Give the device at most as many RX queues as the peer was made with TX "
            "queues. A native program has to be detached before that, and attached "
            "again: no program runs meanwhile. Removed queues lose their RPS masks."
        ),
        why=(
            "veth_poll() (drivers/net/veth.c) takes netdev_get_tx_queue() of the peer "
            "for its own queue's number, to wake it, in kernels that have "
            "back-pressure: v6.16 to v6.19 do so without a check, as does 6.12.107; "
            "v7.1 and 6.12.117 check the number. Kernels that never stop a veth's TX "
            'queue are not concerned: their veth_xmit() lacks the message "Invalid '
            'return code". What veth_poll() looks at is read from its code.'
        ),
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
            "NAPIF_STATE_SCHED). It is an info where no queue is stuck but one could "
            "be: veth_xmit() of this kernel stops TX queues, veth_poll() takes "
            "xdp_rxq.queue_index for the one to wake, a peer rq[i] with 0 < i < "
            "real_num_tx_queues has NAPI and xdp_rxq.queue_index 0, and packets go "
            "through its ring (no TSO here, or GRO_FRAGLIST or GRO_UDP_FWD at the "
            "peer). That is undecided where the code of veth_poll() could not be read."
        ),
        sees=(
            "Some flows through the pair stall for good; the qdisc's backlog grows; "
            "no TX timeout is logged."
        ),
        fix=(
            "No command wakes it on every kernel: newer ones do so when the device is "
            "set down and up. Else make the pair anew. A veth with no qdisc (noqueue) "
            "is not stopped again."
        ),
        why=(
            "veth_xmit() (drivers/net/veth.c) stops the TX queue when the peer's ring "
            "is full, if it has a qdisc, and veth_poll() of the peer wakes it, since "
            "v6.16 (and in 6.12.y). veth_poll() of v6.16 to v7.1, and of 6.12.94, "
            "takes xdp_rxq.queue_index for its number. With NAPI for GRO alone that is "
            "0 for every queue until a native program was attached once, and so TX "
            "queue 0 is woken for all."
        ),
        subjects=lambda context: context.veths,
        check=_stuck,
    ),
)
