# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about packets that a native XDP program does not receive."""

from typing import Optional

from ...core.english import count, number_list
from ...core.unreadable import Maybe, Unreadable
from ...model import Device
from ..need import need
from ..path.veth_xmit import sender_has_tso
from ..remedies import Remedy
from .context import Context, End
from .finding import (
    ERROR,
    WARNING,
    KernelAnswer,
    Symptom,
)
from .rule import Rule, Sign
from .values import is_up, real_queues, same

__all__ = ("RULES",)


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
    last = bare == list(range(bare[0], len(queues)))
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
            _fix_without_program(context, end, bare[0], last),
        )
    )


def _fix_without_program(context: Context, end: End, first: int, last: bool) -> Remedy:
    device = end.device
    peer = end.peer
    # If the peer does not send to the queues, removing them again is best.
    if last and first and isinstance(peer, Device):
        tx = peer.queues.tx.real
        if not isinstance(tx, Unreadable) and tx <= first:
            return context.fixes.set_channels(device, device, rx=first)
    return context.attach_again(device)


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
    return context.unless_torn(
        Symptom(
            f"unused rx-{number_list(queues)} still have a program: once in use again, "
            "they run it, even if it was freed",
            (
                ("real_num_rx_queues", rx.real),
                (
                    "rq[].xdp_prog",
                    tuple(f"rx-{one.queue}: {one.prog:#x}" for one in stale),
                ),
                (
                    "_xdp_prog",
                    attached if isinstance(attached, Unreadable) else f"{attached:#x}",
                ),
            ),
            KernelAnswer("veth_set_channels"),
        )
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
            f"packets from {tx - rx} of "
            f"{context.of_peer(count(tx, 'TX queue'), peer, device)} bypass the native "
            f"program: only {count(rx, 'real RX queue')} here",
            (("real_num_rx_queues", rx), ("peer_real_num_tx_queues", tx)),
            KernelAnswer("veth_xmit"),
            context.fixes.set_channels(peer, device, tx=rx),
        )
        return context.unless_torn(symptom)
    tso = need(sender_has_tso(peer), "peer_features")
    if not tso:
        return None
    return context.unless_torn(
        Symptom(
            f"peer {name} has TSO: its packets bypass the native program",
            (("peer_features & NETIF_F_ALL_TSO", f"{tso:#x}"),),
            KernelAnswer("veth_skb_is_eligible_for_gro"),
            # veth_xdp_set() disables TSO on the peer.
            context.attach_again(device),
        )
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-queue-without-program",
        severity=ERROR,
        title="some RX queues run no program, though one is attached",
        predicate=(
            "native program && flags & IFF_UP && i < real_num_rx_queues && "
            "rq[i].xdp_prog == NULL && rq[i].napi != NULL. While a task holds "
            "rtnl_mutex, this is undecided and a note."
        ),
        sees=(
            "After `ethtool -L` has added RX queues to the device, a program that "
            "drops or counts packets misses some of them. Nothing is logged."
        ),
        fix=(
            "Remove the new queues again. If the peer sends to them, detach the "
            "program and attach it again; no program runs in between."
        ),
        why=(
            "veth_set_channels() (drivers/net/veth.c) of v5.15 to v7.1, and of "
            "6.12.107, starts NAPI on the new queues with veth_enable_xdp_range(), but "
            "does not set their xdp_prog; without one, veth_xdp_rcv() passes packets "
            "on. Fixed in v7.2 and in some stable kernels, such as 6.1.192."
        ),
        symptoms=(Sign("seen", "a program misses packets after ethtool -L"),),
        subjects=lambda context: context.native,
        check=_without_program,
    ),
    Rule(
        id="xdp-stale-program",
        severity=WARNING,
        title="unused queues still have a program",
        predicate=(
            "kind is veth && real_num_rx_queues <= i < num_rx_queues && "
            "rq[i].xdp_prog != NULL. While a task holds rtnl_mutex, this is undecided "
            "and a note."
        ),
        sees=(
            "Nothing, until `ethtool -L` adds RX queues to the device. Then a program "
            "that was detached, and may be freed, runs on their packets: they are "
            "dropped for no apparent reason, or the kernel crashes in veth_xdp_rcv()."
        ),
        fix=(
            "Do not raise the number of RX queues until you have created the pair "
            "again or booted a fixed kernel. It is safe to go back to the earlier "
            "number of RX queues only while that same program is attached."
        ),
        why=(
            "veth_set_channels() (drivers/net/veth.c) of v5.15 to v7.1, and of "
            "6.12.107, stops NAPI on removed queues (veth_disable_xdp_range()) but "
            "leaves their xdp_prog, which holds no reference. Fixed kernels clear it "
            "(v7.2, 6.1.192)."
        ),
        symptoms=(
            Sign(
                "seen",
                "crashes in veth_xdp_rcv(), or lost packets, after ethtool -L",
            ),
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
            "peer->features & NETIF_F_ALL_TSO). While a task holds rtnl_mutex, this is "
            "undecided and a note."
        ),
        sees=(
            "The program does not see packets from the peer's TX queues numbered "
            "real_num_rx_queues and above; if the peer has TSO, it sees hardly any."
        ),
        fix=(
            "Give the peer as many TX queues as the device has RX queues. If the peer "
            "has TSO, detach the program and attach it again: that disables TSO on the "
            "peer. No program runs in between."
        ),
        why=(
            "For TX queue N, veth_xmit() (drivers/net/veth.c) uses rq[N] if N < "
            "real_num_rx_queues; otherwise the packet goes to netif_rx(), which runs "
            "no native program. Since v5.13, veth_xmit() uses rq[N] only if "
            "veth_skb_is_eligible_for_gro() holds, which is false if the sender has "
            "TSO. veth_xdp_set(), veth_set_channels() and veth_fix_features() should "
            "prevent both."
        ),
        symptoms=(Sign("seen", "a native program does not see all packets"),),
        subjects=lambda context: context.native,
        check=_overflow,
    ),
)
