# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about frames that a native XDP program sends and that are lost."""

from collections.abc import Sequence
from typing import Optional

from ...core.english import count, number_list
from ...core.unreadable import Maybe, Unreadable
from ...model import XdpQueue
from ..need import need
from .context import Context, End
from .finding import (
    ERROR,
    INFO,
    WARNING,
    KernelAnswer,
    Symptom,
)
from .rule import Rule, Sign
from .values import is_up, napi_queues

__all__ = ("RULES",)


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
            "packets that its native program sent by XDP_TX wait in RX queue "
            f"{number_list(waiting)} of peer {name}, and nothing processes them"
        )
    elif lost:
        # Another program may have lost them, long ago.
        severity = WARNING
        assert isinstance(errors, int)
        what = f"XDP_TX has lost {count(errors, 'packet')} so far"
    else:
        what = "packets that its native program sends by XDP_TX would be lost"
    if not waiting and unsure is not None:
        severity = INFO
        undecided = f"peer_rq[].xdp_ring could not be read: {unsure.reason}"
    elif not waiting and isinstance(errors, Unreadable):
        undecided = f"rq[].stats.vs.xdp_tx_err could not be read: {errors.reason}"
    return Symptom(
        f"{what}: peer {name} has no native program",
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


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-tx-lost",
        severity=ERROR,
        title="XDP_TX is lost: the peer has no native program",
        predicate=(
            "native program && both ends are up && every peer rq[i].xdp_prog == NULL. "
            "It is an error if an XDP frame waits in a peer rq[i].xdp_ring whose NAPI "
            "is not scheduled. It is a warning if some rq[i].stats.vs.xdp_tx_err > 0, "
            "which counts all losses so far, whichever program caused them. Otherwise "
            "it is a note."
        ),
        sees=(
            "Packets for which the program returns XDP_TX vanish. `ethtool -S` counts "
            "xdp_tx_errors if the peer has no NAPI at all; if the peer's NAPI runs for "
            "GRO alone, it counts xdp_tx although the packets are lost."
        ),
        fix=(
            "Attach a native program to the peer; one that returns XDP_PASS is enough. "
            "GRO on the peer does not help."
        ),
        why=(
            "veth_xdp_xmit() (drivers/net/veth.c) puts frames into a ring of the "
            "receiving end. That ring exists only with NAPI: with a native program or, "
            "since v5.13, with GRO. Without it, veth_xdp_xmit() returns ENXIO, and "
            "veth_xdp_flush_bq() drops the frames. veth_xdp_flush() then wakes the "
            "receiver only if its rq has an xdp_prog: with GRO alone, the frames stay "
            "in the ring until something else schedules that NAPI, and 256 frames fill "
            "it (measured on 6.1, 6.12 and 7.3: 0 of 8 frames came back). XDP_REDIRECT "
            "takes another path, for which GRO is enough: see xdp-redirect-not-ready."
        ),
        symptoms=(
            Sign("counter", "xdp_tx_errors (ethtool -S)"),
            Sign("seen", "packets for which a program returns XDP_TX vanish"),
        ),
        subjects=lambda context: context.native,
        check=_tx_lost,
    ),
)
