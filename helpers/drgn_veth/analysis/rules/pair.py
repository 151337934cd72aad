# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about the two ends of a pair."""

from typing import Optional

from ...core import messages
from ..attach.ask import decision
from ..remedies import Remedy
from .context import Context, End
from .finding import (
    ERROR,
    WARNING,
    KernelAnswer,
    Symptom,
)
from .rule import Rule, Sign
from .values import is_up

__all__ = ("RULES",)


def _peer_down(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not is_up(device) or is_up(peer, "peer_"):
        return None
    return Symptom(
        f"it is up, but its peer {context.name(peer, device)} is down: no carrier, no "
        "traffic",
        (
            ("flags & IFF_UP", 1),
            ("peer_flags & IFF_UP", 0),
            ("operstate", device.operstate),
        ),
        None,
        Remedy(context.fixes.up(peer.ref)),
    )


def _no_peer(context: Context, end: End) -> Optional[Symptom]:
    refusal = decision("veth-peer")
    return context.unless_torn(
        Symptom(
            "this veth has no peer",
            (("peer", None),),
            KernelAnswer(refusal.function, refusal.errno, refusal.message),
        )
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="peer-down",
        severity=WARNING,
        title="the device is up, but its peer is down",
        predicate="kind is veth or netkit && flags & IFF_UP && !(peer->flags & IFF_UP)",
        sees=(
            "The device has no carrier (NO-CARRIER; operstate LOWERLAYERDOWN, or DOWN "
            "on newer kernels if the peer is in another namespace), and the peer "
            "receives nothing that it sends."
        ),
        fix="Set the peer up, in its own namespace.",
        why=(
            "veth_open() and veth_close() (drivers/net/veth.c), and netkit_open() and "
            "netkit_close() (drivers/net/netkit.c), set the carrier of both ends; it "
            "is on only while both ends are up. When a device moves to another "
            "namespace, the kernel sets it down and leaves it down."
        ),
        symptoms=(Sign("seen", "NO-CARRIER, operstate LOWERLAYERDOWN or DOWN"),),
        subjects=lambda context: context.paired,
        check=_peer_down,
    ),
    Rule(
        id="no-peer",
        severity=ERROR,
        title="a veth without a peer",
        predicate=(
            "kind is veth && priv->peer == NULL && the device is on its namespace's "
            "list. While a task holds rtnl_mutex, this is undecided and a note."
        ),
        sees=(
            "No carrier. The device drops every packet that it sends; `ip link set up` "
            "and an attach of native XDP fail with ENOTCONN."
        ),
        fix="No command gives the device a peer: delete it and create the pair again.",
        why=(
            "veth_newlink() (drivers/net/veth.c) sets the peer of both ends once both "
            "are registered; veth_dellink() clears both before it unregisters them. "
            "Both run under rtnl_mutex. At any other time, a registered veth has a "
            "peer. (A netkit device can be created without one.)"
        ),
        symptoms=(
            Sign("errno", "ENOTCONN"),
            Sign("message", messages.VETH_PEER),
            Sign("seen", "NO-CARRIER, and ip link set up fails"),
        ),
        subjects=lambda context: context.orphans,
        check=_no_peer,
    ),
)
