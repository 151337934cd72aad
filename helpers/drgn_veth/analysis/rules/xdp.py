# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on packets that a native XDP program does not get, or loses."""

from typing import Iterator, Optional, Sequence, Tuple

from ...core.english import number_list
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, XdpQueue
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
    count,
    is_up,
    napi_queues,
    need,
    real_queues,
    same,
)
from .poll import gro_is_safe

__all__ = ("RULES",)

_GRO = 1 << 14
_NDO_XMIT = 4  # NETDEV_XDP_ACT_NDO_XMIT, include/uapi/linux/netdev.h


def _program_id(device: Device) -> Maybe[Optional[int]]:
    program = device.xdp.driver
    if program is None or isinstance(program, Unreadable):
        return program
    return program.id


def _without_program(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.driver.set_channels is False:
        return None  # Before v5.15 there is nothing that adds queues.
    if not context.is_native(device) or not is_up(device):
        return None
    queues = need(device.xdp.queues, "rq") or ()
    bare = [q.queue for q in queues if q.prog_id is None and q.napi is True]
    if not bare:
        for queue in queues:
            if queue.prog_id is None:
                need(queue.napi, "rq[].napi")
            elif queue.napi is not False:
                need(queue.prog_id, "rq[].xdp_prog")
        return None
    fix, effect = _fix_without_program(
        context, end, bare[0], bare == list(range(bare[0], len(queues)))
    )
    return context.unless_torn(
        Symptom(
            f"rx-{number_list(bare)} of {count(len(queues), 'real RX queue')} run no "
            "program: their packets bypass the native program",
            (
                ("xdp_state[XDP_MODE_DRV] prog_id", _program_id(device)),
                ("real_num_rx_queues", len(queues)),
                ("rq[].xdp_prog == NULL", number_list(bare)),
                ("rq[].napi != NULL", number_list(bare)),
            ),
            KernelAnswer("veth_set_channels"),
            fix,
            fix_effect=effect,
        )
    )


def _fix_without_program(
    context: Context, end: End, first: int, last: bool
) -> Tuple[Tuple[str, ...], Optional[str]]:
    # The command, and what it does besides.
    device = end.device
    peer = end.peer
    # Queues that the peer does not send to are best taken away again.
    if last and first and isinstance(peer, Device):
        tx = peer.queues.tx.real
        if not isinstance(tx, Unreadable) and tx <= first:
            lost = context.lost_with_queues(device, device, rx=first)
            return context.fixes.channels(device.ref, rx=first), lost
    return context.attach_again(device), ATTACHES_AGAIN


def _stale(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.veth is None or not device.veth.stale:
        return None
    rx = device.queues.rx
    if isinstance(device.veth.stale, Unreadable) and same(rx.real, rx.allocated):
        return None
    stale = need(device.veth.stale, "rq[].xdp_prog")
    queues = [one.queue for one in stale]
    attached = device.veth.prog
    return Symptom(
        f"rx-{number_list(queues)}, not in use, still name a program: it runs again, "
        "freed or not, once they are in use",
        (
            ("real_num_rx_queues", rx.real),
            ("rq[].xdp_prog", tuple(f"rx-{one.queue}: {one.prog:#x}" for one in stale)),
            (
                "_xdp_prog",
                attached if isinstance(attached, Unreadable) else f"{attached:#x}",
            ),
        ),
        KernelAnswer("veth_set_channels"),
    )


def _overflow(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not context.is_native(device):
        return None
    rx, tx = real_queues(device, peer)
    name = context.name(peer, device)
    if tx > rx:
        symptom = Symptom(
            f"{tx - rx} of {count(tx, 'TX queue')} of its peer {name} bypass its "
            f"native program: {count(rx, 'real RX queue')} here",
            (("real_num_rx_queues", rx), ("peer_real_num_tx_queues", tx)),
            KernelAnswer("veth_xmit"),
            context.set_channels(peer, tx=rx),
            fix_effect=context.lost_with_queues(peer, device, tx=rx),
        )
        return context.unless_torn(symptom)
    features = need(peer.features.features, "peer_features")
    if not features & ALL_TSO:
        return None
    return context.unless_torn(
        Symptom(
            f"its peer {name} has TSO: what it sends bypasses the native program",
            (("peer_features & NETIF_F_ALL_TSO", f"{features & ALL_TSO:#x}"),),
            KernelAnswer("veth_skb_is_eligible_for_gro"),
            # veth_xdp_set() takes TSO from what the peer may have.
            context.attach_again(device),
            fix_effect=ATTACHES_AGAIN,
        )
    )


def _fix_napi(context: Context, device: Device, peer: Device) -> Tuple[str, ...]:
    # Since v5.13 GRO alone makes NAPI run; what tells it here is a newer change.
    wanted = device.features.wanted
    if not gro_is_safe(context, peer, device):
        return ()
    if device.driver.set_channels is not True or isinstance(wanted, Unreadable):
        return ()
    if wanted & _GRO:
        return ()
    return context.fixes.ethtool_feature(device.ref, "gro", True)


def _tx_errors(queues: Sequence[XdpQueue]) -> Maybe[Optional[int]]:
    # None: this kernel does not count them.
    errors = 0
    for queue in queues:
        if queue.tx_errors is None or isinstance(queue.tx_errors, Unreadable):
            return queue.tx_errors
        errors += queue.tx_errors
    return errors


def _tx_lost(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not context.is_native(device):
        return None
    if not is_up(device) or not is_up(peer, "peer_"):
        return None
    receivers = need(peer.xdp.queues, "peer_rq") or ()
    if any(need(q.prog_id, "peer_rq[].xdp_prog") is not None for q in receivers):
        return None
    napi = napi_queues(peer, "peer_")
    # Since v5.13 frames get into the ring of a NAPI that runs for GRO alone.
    waiting = tuple(q.queue for q in receivers if q.waiting is True)
    unsure = next(
        (q.waiting for q in receivers if isinstance(q.waiting, Unreadable)), None
    )
    queues = need(device.xdp.queues, "rq")
    errors = _tx_errors(queues or ())
    lost = isinstance(errors, int) and errors > 0
    name = context.name(peer, device)
    undecided = None
    severity = INFO
    if waiting:
        severity = ERROR
        what = (
            f"what its native program sent by XDP_TX waits in RX queue "
            f"{number_list(waiting)} of its peer {name}, and nothing takes it"
        )
    elif lost:
        # It may have been long ago, by another program.
        severity = WARNING
        assert isinstance(errors, int)
        what = f"its native program has lost {count(errors, 'packet')} by XDP_TX so far"
    else:
        what = "what its native program sends by XDP_TX would be lost"
    if not waiting and unsure is not None:
        severity = INFO
        undecided = f"peer_rq[].xdp_ring could not be read: {unsure.reason}"
    elif not waiting and isinstance(errors, Unreadable):
        undecided = f"rq[].stats.vs.xdp_tx_err could not be read: {errors.reason}"
    return Symptom(
        f"{what}: {name} has no native program",
        (
            (
                "rq[].stats.vs.xdp_tx_err",
                "not counted by this kernel" if errors is None else errors,
            ),
            ("peer_rq[].xdp_prog != NULL", 0),
            ("peer_rq[].napi != NULL", len(napi)),
            ("peer_rq[].xdp_ring waits", waiting or unsure or ()),
        ),
        KernelAnswer("veth_xdp_flush", None)
        if napi
        else KernelAnswer("veth_xdp_xmit", "ENXIO"),
        severity=severity,
        undecided=undecided,
    )


def _redirect_targets(context: Context) -> Iterator[End]:
    # veths in a namespace where some other pair's device, or a device of another kind,
    # has a native program that may redirect to them.
    for end in context.veths:
        device, peer = end.device, end.peer
        there = context.native_in(device.netns)
        if isinstance(peer, Device) and there - {device.net_device, peer.net_device}:
            yield end


def _redirect(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not is_up(device) or not is_up(peer, "peer_"):
        return None
    act = need(device.features.xdp, "xdp_features")
    napi = napi_queues(peer, "peer_")
    refuses = act is not None and not act & _NDO_XMIT
    if napi and not refuses:
        return None
    name = context.name(peer, device)
    if napi:
        why = "its xdp_features have no NDO_XMIT"
        fix: Tuple[str, ...] = ()
    else:
        why = f"its peer {name} has no NAPI"
        fix = _fix_napi(context, peer, device)
    if refuses:
        answer = KernelAnswer("__xdp_enqueue", "EOPNOTSUPP")
    else:
        answer = KernelAnswer("veth_xdp_xmit", "ENXIO")
    return Symptom(
        f"XDP_REDIRECT to it is lost, and native programs run in its namespace: {why}",
        (
            ("xdp_features", None if act is None else f"{act:#x}"),
            ("peer_rq[].napi != NULL", len(napi)),
        ),
        answer,
        fix,
    )


RULES: Tuple[Rule, ...] = (
    Rule(
        id="xdp-queue-without-program",
        severity=ERROR,
        title="some RX queues run no program, though one is attached",
        predicate=(
            "native program && flags & IFF_UP && i < real_num_rx_queues && "
            "rq[i].xdp_prog == NULL && rq[i].napi != NULL. It is undecided, and an "
            "info, while somebody holds rtnl_mutex."
        ),
        sees=(
            "A program that drops or counts does not get part of the packets since "
            "`ethtool -L` gave the device more RX queues. Nothing is logged."
        ),
        fix=(
            "Take the new queues away again, or, if the peer sends to them, detach the "
            "program and attach it again; no program runs meanwhile."
        ),
        why=(
            "veth_set_channels() (drivers/net/veth.c) of v5.15 to v7.1, and of "
            "6.12.107, starts NAPI on the new queues with veth_enable_xdp_range() and "
            "does not set their xdp_prog; veth_xdp_rcv() passes a packet on where "
            "there is none. Fixed in v7.2 and in some stable kernels, such as 6.1.192."
        ),
        subjects=lambda context: context.native,
        check=_without_program,
    ),
    Rule(
        id="xdp-stale-program",
        severity=WARNING,
        title="queues that are not in use still name a program",
        predicate=(
            "kind is veth && real_num_rx_queues <= i < num_rx_queues && "
            "rq[i].xdp_prog != NULL"
        ),
        sees=(
            "Nothing, until `ethtool -L` gives the device more RX queues: then a "
            "program that was detached, and may be freed, runs on their packets. They "
            "are dropped for no reason, or the kernel crashes in veth_xdp_rcv()."
        ),
        fix=(
            "Leave rx as it is; make the pair anew, or boot a fixed kernel, before it "
            "is raised. Only as long as that very program is attached as many RX "
            "queues as before are safe."
        ),
        why=(
            "veth_set_channels() (drivers/net/veth.c) of v5.15 to v7.1, and of "
            "6.12.107, stops NAPI on queues that go (veth_disable_xdp_range()) and "
            "leaves their xdp_prog, which counts no reference. Fixed kernels clear it "
            "(v7.2, 6.1.192)."
        ),
        subjects=lambda context: context.veths,
        check=_stale,
    ),
    Rule(
        id="xdp-queue-overflow",
        severity=ERROR,
        title="packets bypass a native program",
        predicate=(
            "native program && (peer->real_num_tx_queues > real_num_rx_queues || "
            "peer->features & NETIF_F_ALL_TSO). It is undecided, and an info, while "
            "somebody holds rtnl_mutex."
        ),
        sees=(
            "The program does not get packets of the peer's TX queues from "
            "real_num_rx_queues on; or, with TSO on the peer, hardly any."
        ),
        fix=(
            "Give the peer as many TX queues as the device has RX queues. Against TSO, "
            "detach the program and attach it again: that takes TSO from the peer. For "
            "a moment no program runs."
        ),
        why=(
            "veth_xmit() (drivers/net/veth.c) takes rq[N] for TX queue N if N < "
            "real_num_rx_queues, else the packet goes to netif_rx(), where no native "
            "program is. It also wants veth_skb_is_eligible_for_gro() since v5.13, "
            "which a sender with TSO is not. veth_xdp_set(), veth_set_channels() and "
            "veth_fix_features() are to keep both from happening."
        ),
        subjects=lambda context: context.native,
        check=_overflow,
    ),
    Rule(
        id="xdp-tx-lost",
        severity=ERROR,
        title="XDP_TX is lost: the peer has no native program",
        predicate=(
            "native program && both are up && every peer rq[i].xdp_prog == NULL. It "
            "is an error if an XDP frame waits in a peer rq[i].xdp_ring whose NAPI is "
            "not scheduled; a warning if some rq[i].stats.vs.xdp_tx_err > 0, which "
            "counts what was lost so far, by whichever program; else an info."
        ),
        sees=(
            "Packets for which the program returns XDP_TX vanish. `ethtool -S` counts "
            "xdp_tx_errors if the peer has no NAPI at all; if its NAPI runs for GRO "
            "alone, it counts xdp_tx as if all were well."
        ),
        fix=(
            "Attach a native program to the peer; one that returns XDP_PASS will do. "
            "GRO at the peer does not help."
        ),
        why=(
            "veth_xdp_xmit() (drivers/net/veth.c) puts frames into a ring of the "
            "receiving end, which is there only with NAPI: with a native program or, "
            "since v5.13, with GRO. Otherwise it answers ENXIO, and "
            "veth_xdp_flush_bq() drops the frames. veth_xdp_flush() then wakes the "
            "receiver only if its rq has an xdp_prog: with GRO alone the frames stay "
            "in the ring until something else schedules that NAPI, and 256 fill it "
            "(measured on 6.1, 6.12 and 7.3: 0 of 8 came back). XDP_REDIRECT takes "
            "another way, for which GRO is enough: see xdp-redirect-not-ready."
        ),
        subjects=lambda context: context.native,
        check=_tx_lost,
    ),
    Rule(
        id="xdp-redirect-not-ready",
        severity=INFO,
        title="XDP_REDIRECT to it is lost",
        predicate=(
            "kind is veth && both ends are up && a device of its namespace other than "
            "the two has a native program && (every peer rq[i].napi == NULL || "
            "!(xdp_features & NETDEV_XDP_ACT_NDO_XMIT), since v6.3)"
        ),
        sees=(
            "Packets that a native program redirects to this device vanish; "
            "tracepoint xdp:xdp_redirect_err or xdp:xdp_devmap_xmit tells."
        ),
        fix=(
            "Switch GRO on at the peer (since v5.13), or attach a native program "
            "there that returns XDP_PASS. The device needs as many RX queues as its "
            "peer has TX queues."
        ),
        why=(
            "__xdp_enqueue() (kernel/bpf/devmap.c) asks for NETDEV_XDP_ACT_NDO_XMIT "
            "since v6.3, which veth_set_xdp_features() (drivers/net/veth.c) gives to "
            "a device whose peer has a program or wants GRO, and no more TX queues "
            "than the device has RX queues. veth_xdp_xmit() then needs NAPI at the "
            "peer, as in xdp-tx-lost. A generic program's redirect does not need it."
        ),
        subjects=_redirect_targets,
        check=_redirect,
    ),
)
