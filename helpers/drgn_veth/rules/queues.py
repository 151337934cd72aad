# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on numbers of queues."""

from typing import NamedTuple, Optional, Tuple

from ..model import Device, Maybe, Unreadable
from ..ranges import number_list
from .base import (
    ERROR,
    INFO,
    Context,
    End,
    KernelAnswer,
    Rule,
    Symptom,
    count,
    name_of,
    napi_queues,
    need,
    need_of_kernel,
    real_queues,
)

__all__ = ("BACK_PRESSURE", "RULES")

# Since Linux kernel commit dc82a33297fc ("veth: apply qdisc backpressure on full
# ptr_ring to reduce TX drops") (in v6.16), veth_xmit() has this message (KERN_CRIT).
BACK_PRESSURE = "\x012%s(%s): Invalid return code(%d)"


def _equalise(context: Context, device: Device, peer: Device) -> Tuple[str, ...]:
    # Before v5.15 queues are counted when a pair is made.
    rx, tx = real_queues(device, peer)
    most = device.queues.rx.allocated
    if device.driver.set_channels is not True:
        return ()
    if not isinstance(most, Unreadable) and tx <= most:
        return context.fixes.channels(device.ref, "rx", tx)
    return context.fixes.channels(peer.ref, "tx", rx)


def _native_queues(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx, tx = real_queues(device, peer)
    if rx >= tx or context.is_native(device):
        return None
    return Symptom(
        f"native XDP would be refused: {count(rx, 'real RX queue')} here, "
        f"{count(tx, 'real TX queue')} of its peer {name_of(peer)}",
        (("real_num_rx_queues", rx), ("peer_real_num_tx_queues", tx)),
        context.answer("veth-queues"),
        _equalise(context, device, peer),
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


def _set_counts(context: Context, device: Device, counts: _Counts) -> Tuple[str, ...]:
    if device.driver.set_channels is not True:
        return ()
    return (
        *context.fixes.channels(device.ref, "rx", counts.rx),
        *context.fixes.channels(device.ref, "tx", counts.tx),
    )


def _one_sided(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or device.queues == peer.queues:
        return None
    real, allocated = _counts(device, "")
    peer_real, peer_allocated = _counts(peer, "peer_")
    cpus = need_of_kernel(context.target.possible_cpus, "possible_cpus")
    each = _Counts(cpus, cpus)
    fix: Tuple[str, ...] = ()
    if cpus > 1 and real == each and peer_real != each:
        why = f"one for each of {cpus} possible CPUs"
        # As veth_set_channels() asks for it.
        if not context.is_native(device) or peer_real.rx >= peer_real.tx:
            fix = _set_counts(context, device, peer_real)
    elif (
        real == (1, 1)
        and 1 not in allocated
        and allocated != each
        and peer_allocated == each
    ):
        why = f"and was made with {allocated.rx} and {allocated.tx}"
        enough = allocated.rx <= cpus and allocated.tx <= cpus
        if enough and not context.is_native(device) and not context.is_native(peer):
            fix = (
                *_set_counts(context, device, allocated),
                *_set_counts(context, peer, allocated),
            )
    else:
        return None
    return Symptom(
        f"it has {count(real.rx, 'real RX queue')} and {real.tx} TX, {why}; its peer "
        f"{name_of(peer)} has {peer_real.rx} and {peer_real.tx}",
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
    )


def _one_per_cpu(
    context: Context, device: Device, peer: Device, cpus: int
) -> Tuple[str, ...]:
    if device.driver.set_channels is not True:
        return ()
    commands: Tuple[str, ...] = ()
    for direction, counts in (("rx", device.queues.rx), ("tx", device.queues.tx)):
        real = need(counts.real, f"real_num_{direction}_queues")
        few = real < cpus and direction == "rx"
        if real <= cpus and not few:
            continue
        if few and not (isinstance(counts.allocated, int) and counts.allocated >= cpus):
            continue
        of_peer = peer.queues.tx.real
        if direction == "rx" and context.is_native(device):
            # veth_set_channels() keeps to what a native program was promised.
            if isinstance(of_peer, Unreadable) or cpus < of_peer:
                continue
        commands += context.fixes.channels(device.ref, direction, cpus)
    return commands


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
    if max(rx, tx) > cpus:
        what = "more queues than CPUs can serve at a time"
    elif rx < cpus and context.is_native(device):
        what = (
            "CPUs that redirect frames to its peer's end share RX queues, and a "
            "lock each"
        )
    else:
        return None
    return Symptom(
        f"{count(rx, 'real RX queue')} and {tx} TX, {cpus} possible CPUs: {what}",
        (
            ("real_num_rx_queues", rx),
            ("real_num_tx_queues", tx),
            ("peer_real_num_rx_queues", peer.queues.rx.real),
            ("peer_real_num_tx_queues", peer.queues.tx.real),
            ("possible_cpus", cpus),
        ),
        fix=_one_per_cpu(context, device, peer, cpus),
    )


def _poll_out_of_range(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx = need(device.queues.rx.real, "real_num_rx_queues")
    allocated = need(peer.queues.tx.allocated, "peer_num_tx_queues")
    if rx <= allocated:
        return None
    beyond = [queue for queue in napi_queues(device) if queue >= allocated]
    if not beyond:
        return None
    presses = _back_pressure(context)
    if presses is False:
        return None
    symptom = Symptom(
        f"veth_poll() of rx-{number_list(beyond)} looks at TX queues that its peer "
        f"{name_of(peer)} does not have: it was made with {allocated}",
        (
            ("real_num_rx_queues", rx),
            ("peer_num_tx_queues", allocated),
            ("rq[].napi != NULL", number_list(beyond)),
        ),
        KernelAnswer("veth_poll"),
        # The check is the difference between harm and none.
        severity=INFO,
        undecided="whether veth_poll() of this kernel checks the number is in its code "
        "alone"
        if presses is True
        else "whether veth_poll() of this kernel looks at its peer's TX queues, and "
        f"whether it checks their number, is in its code alone ({presses.reason})",
    )
    if device.driver.set_channels is not True:
        return symptom
    fix = context.fixes.channels(device.ref, "rx", allocated)
    return symptom._replace(fix=fix)


def _back_pressure(context: Context) -> Maybe[bool]:
    # Whether veth stops TX queues on this kernel, and wakes them.
    said = context.has_message("veth_xmit", BACK_PRESSURE)
    if isinstance(said, Unreadable) and any(
        veth is not None and isinstance(veth.stopped, tuple) and veth.stopped
        for veth in (end.device.veth for end in context.veths)
    ):
        return True
    return said


def _stuck(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    veth = device.veth
    if veth is None or not veth.stopped:
        return None
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
        return None
    of = "its peer" if peer is None else f"its peer {name_of(peer)}"
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
            "ends)."
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
        title="queues were given for one end only",
        predicate=(
            "the ends differ && (real_num_rx_queues and real_num_tx_queues are the "
            "number of possible CPUs || both are 1, num_rx_queues and num_tx_queues "
            "are more, and the peer's are the number of possible CPUs)"
        ),
        sees=(
            "After `ip link add A numtxqueues 4 numrxqueues 4 type veth peer name B` "
            "B uses as many queues as there are possible CPUs; with the numbers after "
            "`peer name B`, B uses 1 of each all the same. Native XDP on one end may "
            "then be refused."
        ),
        fix=(
            "Give numtxqueues and numrxqueues for both ends, or set both with ethtool "
            "-L."
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
            "program && real_num_rx_queues < possible CPUs)"
        ),
        sees=(
            "Queues beyond the number of CPUs cost memory (with a native program, a "
            "ring of 256 entries each) and gain nothing. With fewer RX queues than "
            "CPUs, frames that different CPUs redirect here wait for each other."
        ),
        fix=(
            "None is needed. If redirects are slow, give the pair as many queues as "
            "there are CPUs when it is made."
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
        severity=INFO,
        title="veth_poll() looks beyond its peer's TX queues",
        predicate=(
            "rq[i].napi != NULL && i >= peer->num_tx_queues, unless veth_xmit() of "
            "this kernel shows that it never stops a TX queue. It stays undecided, and "
            "an info: whether veth_poll() checks the number is in its code alone."
        ),
        sees=(
            "On kernels that stop and wake TX queues and do not check the number: "
            "memory behind the peer's _tx[] is read, and may be written, for each "
            "packet. Random crashes."
        ),
        fix=(
            "Give the device at most as many RX queues as the peer was made with TX "
            "queues."
        ),
        why=(
            "veth_poll() (drivers/net/veth.c) takes netdev_get_tx_queue() of the peer "
            "for its own queue's number, to wake it, in kernels that have "
            "back-pressure: v6.16 to v6.19 do so without a check, as does 6.12.107; "
            "v7.1 checks the number. Kernels that never stop a veth's TX queue are "
            'not concerned: their veth_xmit() lacks the message "Invalid return code". '
            "Whether the number is checked neither a type nor a message tells."
        ),
        subjects=lambda context: context.veths,
        check=_poll_out_of_range,
    ),
    Rule(
        id="tx-queue-stuck",
        severity=ERROR,
        title="a TX queue is stopped and nothing will wake it",
        predicate=(
            "_tx[i].state & __QUEUE_STATE_DRV_XOFF && peer rq[i].xdp_ring is empty && "
            "!(peer rq[i].xdp_napi.state & NAPIF_STATE_SCHED)"
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
            "v6.16 (and in 6.12.y). For NAPI without XDP (GRO alone) veth_poll() of "
            "v6.16 to v7.1 takes xdp_rxq.queue_index, which is 0 there, and so wakes "
            "TX queue 0 only."
        ),
        subjects=lambda context: context.veths,
        check=_stuck,
    ),
)
