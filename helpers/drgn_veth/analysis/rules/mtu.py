# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about the MTU."""

from typing import Optional

from ...core import messages
from ...core.uapi import ETH_MAX_MTU
from ...core.unreadable import Unreadable
from ...model import Device
from ..losses import outgrows, sent_losses
from ..need import CannotTell, need
from .context import Context, End
from .finding import (
    INFO,
    WARNING,
    Evidence,
    KernelAnswer,
    Symptom,
    kernel_answer,
    remedy,
)
from .rule import Rule, Sign
from .values import is_up, same

__all__ = ("RULES",)


def _limit_and_mtu(context: Context, peer: Device) -> tuple[int, int]:
    return context.max_mtu(peer, False), need(peer.mtu, "peer_mtu")


def _peer_mtu(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    try:
        refusal = context.refusal(device, "veth-mtu")
    except CannotTell:
        # As evidence names it.
        _limit_and_mtu(context, peer)
        raise
    if refusal is None or context.is_native(device):
        return None
    most, mtu = _limit_and_mtu(context, peer)
    summary = (
        f"native XDP would be refused: peer {context.name(peer, device)} has MTU "
        f"{mtu}, the limit is {most}"
    )
    evidence: Evidence = (("peer_mtu", mtu), ("max_mtu", most))
    if context.kernel.xdp_frags:
        with_frags = context.max_mtu(peer, True)
        evidence = (*evidence, ("max_mtu with frags", with_frags))
        summary += f" ({with_frags} for a program that supports fragments)"
    return Symptom(
        summary,
        evidence,
        kernel_answer(refusal),
        remedy(refusal),
        then=context.then(device, refusal),
    )


def _is_stale(context: Context, end: End) -> bool:
    try:
        return _stale(context, end) is not None
    except CannotTell:
        return False


def _frozen(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not context.is_native(device):
        return None
    most = need(peer.max_mtu, "peer_max_mtu")
    if most >= ETH_MAX_MTU or _is_stale(context, end):
        return None
    return Symptom(
        f"its native program limits {context.of_peer('MTU', peer, device)} to {most}",
        (("peer_max_mtu", most), ("peer_mtu", peer.mtu)),
        KernelAnswer("dev_validate_mtu", "EINVAL", "mtu greater than device maximum"),
    )


def _stale(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    program = need(device.xdp.driver, "xdp_state[XDP_MODE_DRV]")
    if peer is None or program is None:
        return None
    frags = need(program.frags, "xdp_has_frags")
    right = context.max_mtu(peer, frags)
    most = need(peer.max_mtu, "peer_max_mtu")
    if most == right:
        return None
    mtu = need(peer.mtu, "peer_mtu")
    supports = "supports" if frags else "does not support"
    peer_name = context.name(peer, device)
    fix = context.attach_again(device, lowered=mtu > right)
    if mtu > right:
        # In one command: otherwise the kernel might refuse the attach, and the program
        # would be lost. The peer's MTU need not be as small as the device's own.
        if not isinstance(device.mtu, Unreadable) and device.mtu < right:
            device = device._replace(mtu=right)
        fix = context.fixes.lower_both_mtus(device, peer, right).and_then(fix)
        summary = (
            f"peer {peer_name} has MTU {mtu}, but the native program {supports} "
            f"fragments: the limit should be {right}"
        )
    else:
        summary = (
            f"an earlier program limited {context.of_peer('MTU', peer, device)} to "
            f"{most}; this one {supports} fragments: the limit should be {right}"
        )
    return Symptom(
        summary,
        (
            ("xdp_has_frags", frags),
            ("peer_max_mtu", most),
            ("max_mtu", right),
            ("peer_mtu", mtu),
        ),
        KernelAnswer("veth_xdp_set"),
        fix,
        severity=WARNING if mtu > right else INFO,
    )


def _mismatch(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or same(device.mtu, peer.mtu):
        return None
    if not is_up(device) or not is_up(peer, "peer_"):
        return None
    mtu, other = need(device.mtu, "mtu"), need(peer.mtu, "peer_mtu")
    if outgrows(device, peer) is not True:
        return None
    dropped = 0 if device.veth is None else device.veth.dropped
    lost = _lost(device, peer)
    return Symptom(
        f"its MTU is {mtu}, but peer {context.name(peer, device)} has {other}: larger "
        + (
            f"packets are lost in one direction, up to {lost} so far"
            if lost
            else "packets would be lost in one direction"
        ),
        (("mtu", mtu), ("peer_mtu", other), ("dropped", dropped)),
        KernelAnswer("__is_skb_forwardable"),
        context.fixes.lower_mtu(device, other),
        severity=WARNING if lost else INFO,
    )


def _lost(device: Device, peer: Device) -> int:
    # How many packets the peer may have refused. Those that met a full ring are others.
    try:
        losses = sent_losses(device, peer)
    except CannotTell:
        return 0
    if losses is None:
        return 0
    refused = losses.refused
    return losses.dropped if isinstance(refused, Unreadable) else refused


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-peer-mtu",
        severity=INFO,
        title="native XDP refused: the peer's MTU is too large",
        predicate=(
            "kind is veth && no native program && peer->mtu > max_mtu, where max_mtu "
            "is PAGE_SIZE - (XDP_PACKET_HEADROOM + NET_IP_ALIGN) - "
            "peer->hard_header_len - SKB_DATA_ALIGN(sizeof(struct skb_shared_info)), "
            "plus PAGE_SIZE * MAX_SKB_FRAGS for a program that supports fragments"
        ),
        sees=(
            'An attach in native mode, or without a mode, fails with "Numerical result '
            'out of range" (ERANGE). Generic mode works.'
        ),
        fix=(
            "Use a program that supports fragments (section xdp.frags, since v5.18) "
            "and keep the MTU, or lower the MTU. The commands lower it on both ends, "
            "so that neither is too large for the other. If an end is a port of a bond "
            "or team, they lower the MTU of the bond or team, and so of all its ports."
        ),
        why=(
            "A native program sees a packet in one page, with room before and after "
            "it; veth_xdp_set() (drivers/net/veth.c) does not let the peer send more "
            "than fits. The device's own MTU does not matter for its own program. All "
            "numbers come from the target."
        ),
        symptoms=(
            Sign("errno", "ERANGE"),
            Sign("message", messages.VETH_MTU),
        ),
        subjects=lambda context: context.veths,
        check=_peer_mtu,
    ),
    Rule(
        id="mtu-frozen",
        severity=INFO,
        title="the peer's MTU cannot be raised under a native program",
        predicate=(
            "kind is veth && native program && peer->max_mtu < 65535, unless "
            "xdp-max-mtu-stale applies to the device"
        ),
        sees=(
            '`ip link set dev PEER mtu N` fails with "mtu greater than device '
            'maximum" (EINVAL).'
        ),
        fix=(
            "Detach the program, or use one that supports fragments; set the MTU; "
            "attach again."
        ),
        why=(
            "veth_xdp_set() (drivers/net/veth.c) sets max_mtu of the peer when a "
            "program is attached, and resets it to ETH_MAX_MTU when the program is "
            "detached; dev_validate_mtu() (net/core/dev.c) enforces it."
        ),
        symptoms=(
            Sign("errno", "EINVAL"),
            Sign("message", messages.MTU_MAXIMUM),
        ),
        subjects=lambda context: context.native,
        check=_frozen,
    ),
    Rule(
        id="xdp-max-mtu-stale",
        severity=WARNING,
        title="the peer's MTU limit is that of an earlier program",
        predicate=(
            "xdp_state[XDP_MODE_DRV] of a veth && peer->max_mtu != max_mtu as "
            "veth_xdp_set() computes it for this program. It is a warning if peer->mtu "
            "> max_mtu, otherwise a note."
        ),
        sees=(
            "If a program that does not support fragments has replaced one that does, "
            "it sees only the first part of large packets. In the reverse case, the "
            "MTU cannot be raised, although the program would allow it."
        ),
        fix=(
            "Detach the program and attach it again: the kernel then computes "
            "max_mtu again. No program runs in between. If the peer's MTU is too "
            "large for this program, lower it first, or the kernel refuses the "
            "attach: the command does both."
        ),
        why=(
            "veth_xdp_set() (drivers/net/veth.c) of v5.18 to v7.2 sets max_mtu of the "
            "peer only for the first program, and does not update it when another "
            "program replaces that one; v7.3 sets it each time. aux->xdp_has_frags of "
            "a program says whether it supports fragments."
        ),
        symptoms=(
            Sign("message", messages.MTU_MAXIMUM),
            Sign("seen", "a program sees only the first part of large packets"),
        ),
        subjects=lambda context: context.native,
        check=_stale,
    ),
    Rule(
        id="mtu-mismatch",
        severity=WARNING,
        title="the two ends have different MTUs",
        predicate=(
            "kind is veth && both are up && mtu > peer->mtu + 4. It is a warning if "
            "veth_priv.dropped > 0 and the core's rx_dropped of the peer is not 0, "
            "else a note."
        ),
        sees=(
            "Large packets are lost in one direction: rx_dropped of one end and "
            "tx_dropped of the other grow. TCP between the two ends themselves is not "
            "affected, because both announce their MSS and use the smaller one. GSO "
            "packets, which are not segmented yet, pass. UDP packets are lost, and so "
            "are TCP packets that are forwarded to the larger end without GSO: such "
            "connections open, then stall once they send data."
        ),
        fix=(
            "Give both ends the same MTU. The command lowers the larger one. If that "
            "end is a port of a bond or team, the command lowers the MTU of the bond "
            "or team, and so of all its ports."
        ),
        why=(
            "veth_forward_skb() hands a packet to __dev_forward_skb(), which drops it "
            "if __is_skb_forwardable() (include/linux/netdevice.h) finds it longer "
            "than mtu + hard_header_len + 4 of the receiving end; veth_xmit() "
            "(drivers/net/veth.c) then counts it in veth_priv.dropped of the sending "
            "end. That counter also includes packets lost because the peer was down or "
            "its ring was full, and it is never reset. netkit does not compare MTUs."
        ),
        symptoms=(
            Sign("counter", "rx_dropped, tx_dropped (ip -s link)"),
            Sign("seen", "TCP connections open, then stall once they send data"),
        ),
        subjects=lambda context: context.veths,
        check=_mismatch,
    ),
)
