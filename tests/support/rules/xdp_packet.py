# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rules in xdp_packet.py."""

from typing import Any

from drgn_veth.analysis.rules.finding import KernelAnswer, Undo
from drgn_veth.model import Features, Snapshot, Vlan

from tests.support.rules.case import DRV, SKB, Case
from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    NIC,
    PROGRAM,
    TSO,
    Changes,
    device,
    generic,
    kernel,
    native,
    pair,
)

__all__ = ("CASES", "OLD_TAG")

_CSUM, _CTAG, _STAG, _OLD_STAG = 1 << 3, 1 << 7, 1 << 45, 1 << 44
_VLAN = device(HOST, 7, "vlan5", kind="vlan", vlan=Vlan(5, "802.1Q"))


def _with(features: Any) -> Changes:
    return {"features": Features(features, 0, None)}


def _tagged(features: Any, end: Changes, vlan: Any = _VLAN.vlan) -> Snapshot:
    """veth0 has a VLAN device, eth0 a program."""
    upper = _VLAN._replace(vlan=vlan)
    return pair({**_with(features), "uppers": (upper.ref,)}, end, upper)


def _old(found: Snapshot) -> Snapshot:
    """Before v5.6, NETIF_F_HW_VLAN_STAG_TX was another bit."""
    return found._replace(kernel=kernel(vlan_stag_tx=_OLD_STAG))


#: An 802.1ad tag that is hidden, before v5.6.
OLD_TAG = _old(_tagged(_OLD_STAG, native(), Vlan(5, "802.1ad")))

#: It calls no bpf_redirect().
_STAYS = PROGRAM._replace(redirects=False)
_TUN = NIC._replace(name="tun0", kind="tun", type=65534)

CASES: dict[str, Case] = {
    "xdp-hidden-vlan-tag": Case(
        _tagged(_CTAG | _STAG, native()),
        "info",
        "eth0",
        "its program does not see the VLAN tags of what peer veth0 (netns host) sends "
        "for VLAN device vlan5: the peer's TX VLAN offload keeps them out of the "
        "packet",
        (
            ("prog_id", 7),
            ("vlan_proto", ("802.1Q",)),
            ("peer_features", f"{_CTAG | _STAG:#x}"),
        ),
        KernelAnswer("__vlan_hwaccel_put_tag"),
        (),
        [
            _tagged(_STAG, native()),
            _tagged(_CTAG, {}),
            _tagged(_CTAG, native(), Vlan(5, "802.1ad")),
            _old(_tagged(_STAG, native(), Vlan(5, "802.1ad"))),
            pair({**_with(_CTAG), "uppers": (BR0.ref,)}, generic(), BR0),
        ],
        [
            (
                _tagged(BAD, native()),
                "peer_features",
                {"xdp-gro-off", "xdp-queue-overflow", "xdp-unfinished-checksum"},
            ),
            (_tagged(_CTAG, generic(), BAD), "vlan_dev_priv"),
            (_tagged(_CTAG, native(), Vlan(5, BAD)), "vlan_dev_priv.vlan_proto"),
            (
                _tagged(_STAG, native(), Vlan(5, "802.1ad"))._replace(
                    kernel=kernel(vlan_stag_tx=BAD)
                ),
                "NETIF_F_HW_VLAN_STAG_TX",
            ),
            (
                pair({"uppers": BAD}, native()),
                "peer_adj_list.upper",
                {"xdp-upper-program"},
            ),
        ],
        undo=Undo(
            "which has veth0 (netns host) put tags into packets",
            ("ethtool -K veth0 txvlan off",),
        ),
    ),
    "xdp-no-ethernet-header": Case(
        pair(None, None, _TUN._replace(**generic())),
        "info",
        "tun0",
        "what its generic program sees does not begin with an Ethernet header: the "
        "device has none (type 65534)",
        (("prog_id", 7), ("type", 65534)),
        KernelAnswer("bpf_prog_run_generic_xdp"),
        (),
        [
            pair(None, None, _TUN),
            pair(None, None, _TUN._replace(**generic(), type=1)),
            pair(None, None, _TUN._replace(**generic(), type=772)),
        ],
        [
            (pair(None, None, _TUN._replace(**generic(), type=BAD)), "type"),
            (
                pair(None, None, _TUN._replace(**generic(BAD))),
                "xdp_state[XDP_MODE_SKB]",
                SKB,
            ),
        ],
    ),
    "generic-xdp-big-packets": Case(
        pair(_with(TSO), generic()),
        "info",
        "eth0",
        "its generic program gets TCP segments that peer veth0 (netns host) sends in "
        "packets of up to 64 KB, and the kernel copies each of them first",
        (
            ("prog_id", 7),
            ("prog_frags", "no"),
            ("peer_features & NETIF_F_ALL_TSO", f"{TSO:#x}"),
            ("mtu", 1500),
        ),
        KernelAnswer("netif_receive_generic_xdp"),
        (),
        [
            pair(_with(0), generic()),
            pair(_with(TSO), native()),
            pair({**_with(TSO), **generic()}, _with(0)),
        ],
        [
            (pair(_with(BAD), generic()), "peer_features"),
            (
                pair(_with(TSO), generic(BAD)),
                "xdp_state[XDP_MODE_SKB]",
                SKB | {"xdp-hidden-vlan-tag", "xdp-mode-conflict"},
            ),
        ],
        undo=Undo(
            "which has veth0 (netns host) send TCP in packets of its MTU",
            ("ethtool -K veth0 tso off",),
        ),
    ),
    "xdp-unfinished-checksum": Case(
        pair({**native(), **_with(_CSUM)}, native()),
        "info",
        "eth0",
        "packets that a local process sends on peer veth0 (netns host) reach its "
        "native program without their checksums: if it sends them on by XDP_TX or "
        "XDP_REDIRECT, they stay wrong",
        (("peer_features & NETIF_F_HW_CSUM", 1),),
        KernelAnswer("veth_xdp_rcv_skb"),
        (),
        [
            pair({**native(), **_with(0)}, native()),
            pair(_with(_CSUM), native(program=_STAYS)),
            pair(_with(_CSUM), native(program=_STAYS._replace(maps=(4,)))),
            pair(_with(_CSUM), native(program=PROGRAM._replace(redirects=BAD))),
            pair({**native(), **_with(_CSUM)}, generic()),
        ],
        [
            (
                pair({**native(), **_with(BAD)}, native()),
                "peer_features",
                {"xdp-gro-off", "xdp-queue-overflow"},
            ),
            (
                pair({**native(), **_with(_CSUM)}, native(program=BAD)),
                "xdp_state[XDP_MODE_DRV]",
                DRV,
            ),
            (
                pair(_with(_CSUM), native(program=_STAYS._replace(maps=BAD))),
                "used_maps",
                {"xdp-redirect-not-ready", "xskmap-without-socket"},
            ),
        ],
        undo=Undo(
            "which has veth0 (netns host) compute checksums before it sends",
            ("ethtool -K veth0 tx off",),
        ),
    ),
}
