# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about what an XDP program sees of a packet, and what it sends on."""

from collections.abc import Iterator
from typing import Optional

from ...core.english import plural
from ...core.netdev_features import (
    NETIF_F_ALL_TSO,
    NETIF_F_HW_CSUM,
    NETIF_F_HW_VLAN_CTAG_TX,
)
from ...core.uapi import ARPHRD_ETHER, ARPHRD_LOOPBACK
from ...core.unreadable import Unreadable
from ...model import Device, XdpProgram
from ..need import need, need_of_kernel
from .context import Context, End
from .finding import INFO, KernelAnswer, Symptom, Undo
from .poll import gro_is_safe
from .rule import Rule, Sign

__all__ = ("RULES",)

# By the protocol of a VLAN: what ethtool calls the offload.
_OFFLOADS = {"802.1Q": "txvlan", "802.1ad": "tx-vlan-stag-hw-insert"}


def _program(device: Device) -> Optional[XdpProgram]:
    # The program that runs on what it receives, native or generic.
    for program, mode in (
        (device.xdp.driver, "DRV"),
        (device.xdp.generic, "SKB"),
    ):
        found = need(program, f"xdp_state[XDP_MODE_{mode}]")
        if found is not None:
            return found
    return None


def _generic(device: Device) -> Optional[XdpProgram]:
    return need(device.xdp.generic, "xdp_state[XDP_MODE_SKB]")


def _peer_features(peer: Device) -> int:
    return need(peer.features.features, "peer_features")


def _vlans_on(context: Context, device: Device) -> Iterator[tuple[Device, str]]:
    for ref in need(device.uppers, "peer_adj_list.upper"):
        upper = context.by_address.get(ref.net_device)
        if upper is None or upper.kind != "vlan":
            continue
        vlan = need(upper.vlan, "vlan_dev_priv")
        if vlan is not None:
            yield upper, need(vlan.protocol, "vlan_dev_priv.vlan_proto")


def _offload(context: Context, protocol: str) -> int:
    if protocol == "802.1Q":
        return NETIF_F_HW_VLAN_CTAG_TX
    return need_of_kernel(context.kernel.vlan_stag_tx, "NETIF_F_HW_VLAN_STAG_TX")


def _hidden_tag(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    program = _program(device)
    if program is None:
        return None
    vlans = list(_vlans_on(context, peer))
    if not vlans:
        return None
    features = _peer_features(peer)
    hidden = [
        (upper, protocol)
        for upper, protocol in vlans
        if protocol in _OFFLOADS and features & _offload(context, protocol)
    ]
    if not hidden:
        return None
    offloads = sorted({_OFFLOADS[protocol] for _, protocol in hidden})
    names = ", ".join(context.name(upper, peer) for upper, _ in hidden)
    commands = tuple(
        command
        for offload in offloads
        for command in context.fixes.ethtool_feature(peer.ref, offload, False)
    )
    effect = f"which has {context.name(peer, device)} put tags into packets"
    return Symptom(
        "its program does not see the VLAN tags of what peer "
        f"{context.name(peer, device)} sends for {plural('VLAN device', len(hidden))} "
        f"{names}: the peer's TX VLAN offload keeps them out of the packet",
        (
            ("prog_id", program.id),
            ("vlan_proto", tuple(sorted({protocol for _, protocol in hidden}))),
            ("peer_features", f"{features:#x}"),
        ),
        KernelAnswer("__vlan_hwaccel_put_tag"),
        undo=Undo(effect, commands) if commands else None,
    )


def _no_ethernet(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    program = _generic(device)
    if program is None:
        return None
    link = need(device.type, "type")
    if link in (ARPHRD_ETHER, ARPHRD_LOOPBACK):
        return None
    return Symptom(
        "what its generic program sees does not begin with an Ethernet header: the "
        f"device has none (type {link})",
        (("prog_id", program.id), ("type", link)),
        KernelAnswer("bpf_prog_run_generic_xdp"),
    )


def _is_safe_without_tso(context: Context, sender: Device, device: Device) -> bool:
    # Without TSO, what a veth sends takes the ring of its peer if that has NAPI.
    queues = device.xdp.queues
    if isinstance(queues, tuple) and all(queue.napi is False for queue in queues):
        return True
    return gro_is_safe(context, sender, device)


def _big_packets(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    program = _generic(device)
    if program is None:
        return None
    if device.kind == "veth":
        sender, whose = context.peer(end), "peer_"
    elif device.type == ARPHRD_LOOPBACK:
        sender, whose = device, ""
    else:
        return None
    if sender is None:
        return None
    features = need(sender.features.features, f"{whose}features")
    if not features & NETIF_F_ALL_TSO:
        return None
    commands: tuple[str, ...] = ()
    if sender is device or _is_safe_without_tso(context, sender, device):
        commands = context.fixes.ethtool_feature(sender.ref, "tso", False)
    name = context.name(sender, device)
    effect = f"which has {name} send TCP in packets of its MTU"
    source = "sent through it" if sender is device else f"that peer {name} sends"
    return Symptom(
        f"its generic program gets TCP segments {source} in packets of up to 64 KB, "
        "and the kernel copies each of them first",
        (
            ("prog_id", program.id),
            ("prog_frags", _yes_no(program)),
            (f"{whose}features & NETIF_F_ALL_TSO", f"{features & NETIF_F_ALL_TSO:#x}"),
            ("mtu", device.mtu),
        ),
        KernelAnswer("netif_receive_generic_xdp"),
        undo=Undo(effect, commands) if commands else None,
    )


def _yes_no(program: XdpProgram) -> str:
    if isinstance(program.frags, Unreadable):
        return "?"
    return "yes" if program.frags else "no"


def _may_redirect(context: Context, device: Device) -> bool:
    # Whether its own native program is known to call bpf_redirect(), or has a map that
    # leads somewhere.
    program = device.xdp.driver
    if not isinstance(program, XdpProgram):
        return False
    if program.redirects is True:
        return True
    return any(
        one.type in ("devmap", "devmap_hash", "cpumap")
        and need(one.entry_count, "entry_count") > 0
        for one in context.maps(need(program.maps, "used_maps"))
    )


def _unfinished(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not context.is_native(device):
        return None
    features = _peer_features(peer)
    if not features & NETIF_F_HW_CSUM:
        return None
    if not context.is_native(peer) and not _may_redirect(context, device):
        return None  # Without a program there, XDP_TX is lost anyway: xdp-tx-lost.
    name = context.name(peer, device)
    commands = context.fixes.ethtool_feature(peer.ref, "tx", False)
    undo = Undo(f"which has {name} compute checksums before it sends", commands)
    return Symptom(
        f"packets that a local process sends on peer {name} reach its native program "
        "without their checksums: if it sends them on by XDP_TX or XDP_REDIRECT, they "
        "stay wrong",
        (("peer_features & NETIF_F_HW_CSUM", 1),),
        KernelAnswer("veth_xdp_rcv_skb"),
        undo=undo if commands else None,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-hidden-vlan-tag",
        severity=INFO,
        title="a program does not see VLAN tags",
        predicate=(
            "a native or generic program && a VLAN device on the peer && "
            "peer->features & NETIF_F_HW_VLAN_CTAG_TX (802.1Q) or "
            "NETIF_F_HW_VLAN_STAG_TX (802.1ad)"
        ),
        sees=(
            "The program sees packets without their VLAN tag, or without the outer one "
            "of two, as if they were untagged. `ethtool -K NAME rxvlan off` on the "
            "receiving end changes nothing."
        ),
        fix=(
            "Turn the offload off at the end that sends, if the program is to see the "
            "tags: the commands do that."
        ),
        why=(
            "vlan_dev_hard_start_xmit() (net/8021q/vlan_dev.c) calls "
            "__vlan_hwaccel_put_tag(): the tag is in skb->vlan_tci. "
            "validate_xmit_vlan() (net/core/dev.c) puts it into the packet only if the "
            "device that sends does not have the offload. An XDP program looks at the "
            "bytes of the packet alone."
        ),
        symptoms=(Sign("seen", "an XDP program does not see VLAN tags"),),
        subjects=lambda context: (
            end for end in context.programmed if end.peer is not None
        ),
        check=_hidden_tag,
    ),
    Rule(
        id="xdp-no-ethernet-header",
        severity=INFO,
        title="a generic program on a device without Ethernet headers",
        predicate=(
            "xdp_state[XDP_MODE_SKB] && type is neither ARPHRD_ETHER nor "
            "ARPHRD_LOOPBACK"
        ),
        sees=(
            "A program that works elsewhere takes the IP header for an Ethernet "
            "header, and passes or drops everything."
        ),
        fix="Nothing to do if the program is made for such a device.",
        why=(
            "bpf_prog_run_generic_xdp() (net/core/dev.c) sets data to the MAC header. "
            "A tun, ipip, gre, sit or WireGuard device has none, so data is where the "
            "IP header is."
        ),
        symptoms=(Sign("seen", "an XDP program takes IP packets for Ethernet frames"),),
        subjects=lambda context: context.programmed,
        check=_no_ethernet,
    ),
    Rule(
        id="generic-xdp-big-packets",
        severity=INFO,
        title="a generic program gets packets of up to 64 KB",
        predicate=(
            "xdp_state[XDP_MODE_SKB] && the peer of a veth, or lo itself, has some of "
            "NETIF_F_ALL_TSO in its features"
        ),
        sees=(
            "Throughput drops far more than the program explains. Memory allocations "
            "of high order fail, and packets are lost, when memory is fragmented. A "
            "program sees lengths far above the MTU. With a program that supports "
            "fragments, some kernels crash in skb_clone() (seen in v7.0 and v7.1)."
        ),
        fix=(
            "Nothing to do if that is fast enough. Turn TSO off at the end that sends: "
            "the command does that. Or attach the program in native mode, which turns "
            "it off by itself. If the kernel crashes in skb_clone(), load the program "
            "without fragments until the kernel is updated."
        ),
        why=(
            "A packet goes through veth as the stack made it: one of many TCP segments "
            "(GSO), in pages. netif_receive_generic_xdp() (net/core/dev.c) linearizes "
            "it: pskb_expand_head() and skb_linearize() allocate up to 64 KB of "
            "contiguous memory. Newer kernels copy it into fragments if the program "
            "supports fragments (skb_cow_data_for_xdp(), since v6.9). There, a copy "
            "may begin at an odd address, so that its reference count crosses a cache "
            "line. veth_xdp_set() (drivers/net/veth.c) removes NETIF_F_GSO_SOFTWARE "
            "from the peer of a native program."
        ),
        symptoms=(
            Sign("seen", "throughput, above all of TCP, drops with a generic program"),
        ),
        subjects=lambda context: context.programmed,
        check=_big_packets,
    ),
    Rule(
        id="xdp-unfinished-checksum",
        severity=INFO,
        title="a native program sends packets on without checksums",
        predicate=(
            "kind is veth && a native program && peer->features & NETIF_F_HW_CSUM && "
            "(a native program on the peer as well || the program may call "
            "bpf_redirect(), or has a DEVMAP or a CPUMAP with entries)"
        ),
        sees=(
            "ping works, TCP and UDP do not: the receiver counts InCsumErrors "
            "(nstat). Affected are packets that a process on the peer's side sent, and "
            "that the program returned with XDP_TX or redirected."
        ),
        fix=(
            "Nothing to do if the program passes or drops packets, or only sends on "
            "what others have sent. Otherwise turn TX checksum offload off at the end "
            "that sends: the command does that. TSO goes off with it."
        ),
        why=(
            "A veth claims NETIF_F_HW_CSUM, so the stack leaves checksums to it "
            "(CHECKSUM_PARTIAL). As long as the packet stays a sk_buff, its ip_summed "
            "says so. veth_xdp_rcv_skb() (drivers/net/veth.c) makes an xdp_buff of it, "
            "and XDP_TX and XDP_REDIRECT send that: only the bytes are left, with the "
            "sum of the pseudo header in place of the checksum. A CPUMAP makes a new "
            "sk_buff of these bytes."
        ),
        symptoms=(
            Sign("counter", "InCsumErrors (nstat)"),
            Sign("seen", "ping works through XDP_TX or XDP_REDIRECT, TCP does not"),
        ),
        subjects=lambda context: context.native,
        check=_unfinished,
    ),
)
