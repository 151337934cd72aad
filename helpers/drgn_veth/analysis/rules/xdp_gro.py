# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about GRO behind a native program."""

from typing import Optional

from ...core.netdev_features import NETIF_F_ALL_TSO, NETIF_F_GRO
from ..need import need
from ..remedies import Remedy
from .context import Context, End
from .finding import INFO, KernelAnswer, Symptom
from .rule import Rule, Sign

__all__ = ("RULES",)


def _gro_off(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not context.is_native(device):
        return None
    features = need(device.features.features, "features")
    if features & NETIF_F_GRO:
        return None
    theirs = need(peer.features.features, "peer_features")
    return Symptom(
        f"peer {context.name(peer, device)} sends TCP in packets of its MTU, and "
        "nothing merges them behind the native program: GRO is off",
        (
            ("features & NETIF_F_GRO", 0),
            ("peer_features & NETIF_F_ALL_TSO", f"{theirs & NETIF_F_ALL_TSO:#x}"),
        ),
        KernelAnswer("veth_xdp_rcv"),
        Remedy(context.fixes.ethtool_feature(device.ref, "gro", True)),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-gro-off",
        severity=INFO,
        title="GRO is off behind a native program",
        predicate="kind is veth && native program && !(features & NETIF_F_GRO)",
        sees=(
            "TCP through the pair is several times slower than without the program, "
            "even if that returns XDP_PASS for every packet."
        ),
        fix="Turn GRO on: the command does that.",
        why=(
            "A native program looks at single packets, so veth_xdp_set() "
            "(drivers/net/veth.c) clears NETIF_F_GSO_SOFTWARE on the peer: the stack "
            "segments TCP there. What the program passes goes to "
            "napi_gro_receive(), which merges the segments again if the device has "
            "NETIF_F_GRO. Before v5.13, a new veth has it on. From v5.13 to v6.8, an "
            "attach turns it on; later kernels, and stable kernels of that time, leave "
            "it as it is: off."
        ),
        symptoms=(
            Sign("seen", "TCP is slow through a native program that returns XDP_PASS"),
        ),
        subjects=lambda context: context.native,
        check=_gro_off,
    ),
)
