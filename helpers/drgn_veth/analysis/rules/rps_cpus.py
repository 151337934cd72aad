# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about which packets RPS steers, and what runs on its CPUs."""

from typing import Optional

from ...core.english import number_list
from ..need import need
from .context import Context, End
from .finding import (
    INFO,
    KernelAnswer,
    Symptom,
)
from .rule import Rule, Sign
from .steering import has_rps, rps_queues, steered_cpus, used
from .values import rps_words

__all__ = ("RULES",)


def _which_end(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if end.peer is None or not has_rps(rps_queues(device)):
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    queues = used(context, device, peer)
    if not has_rps(queues) or not steered_cpus(context, queues):
        return None  # No CPU is online: rps-cpu-offline.
    theirs = used(context, peer, device, "peer_")
    mine, other = rps_words(queues), rps_words(theirs)
    if mine == other:
        for queue in (*queues, *theirs):
            need(queue.cpus, "rps_map")
        return None
    if has_rps(theirs, "peer_") and device.net_device not in context.first_ends:
        return None  # Reported once, for the other end.
    return Symptom(
        f"its RPS ({mine}) steers what peer {context.name(peer, device)} sends; the "
        f"peer's RPS ({other or 'none'}) steers what this end sends",
        (("rps_map", mine), ("peer_rps_map", other)),
        KernelAnswer("get_rps_cpu"),
    )


def _generic_cpu(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    program = need(device.xdp.generic, "xdp_state[XDP_MODE_SKB]")
    if program is None:
        return None
    queues = used(context, device, end.peer)
    if not has_rps(queues):
        return None
    cpus = steered_cpus(context, queues)
    if not cpus:
        return None
    return Symptom(
        "its generic program runs on the CPUs that RPS picks "
        f"({number_list(cpus)}), or on the receiving CPU if RPS skips the "
        "packet",
        (("prog_id", program.id), ("rps_map", rps_words(queues))),
        KernelAnswer("__netif_receive_skb_core"),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="rps-which-end",
        severity=INFO,
        title="RPS differs between the two ends: each serves one direction",
        predicate=(
            "_rx[].rps_map of one end of a pair != that of the other end; for a veth, "
            "only RX queues that are used count (rps-queue-off-by-one)"
        ),
        sees=(
            "Packets in one direction are spread over CPUs; those in the other "
            "direction are not, or are spread over other CPUs. A mask on the host's "
            "end does nothing for what the host sends into the container."
        ),
        fix=(
            "Nothing to do, unless the mask is on the wrong end: it belongs on the end "
            "that receives."
        ),
        why=(
            "RPS belongs to the receiver: veth_forward_skb() (drivers/net/veth.c) and "
            "netkit_xmit() (drivers/net/netkit.c) set skb->dev to the peer and hand "
            "the packet to netif_rx(), which calls get_rps_cpu() (net/core/dev.c) with "
            "the peer's _rx[]."
        ),
        symptoms=(Sign("seen", "RPS spreads packets of one direction only"),),
        subjects=lambda context: context.steered,
        check=_which_end,
    ),
    Rule(
        id="generic-xdp-cpu",
        severity=INFO,
        title="a generic XDP program runs on the CPUs that RPS picks",
        predicate="xdp_state[XDP_MODE_SKB] && some _rx[i].rps_map",
        sees=(
            "The generic program runs, and takes CPU time, on the CPUs to which RPS "
            "sends the packets. It cannot relieve these CPUs by dropping packets "
            "early."
        ),
        fix=(
            "Nothing to do. In native mode, the program runs before RPS, on the CPU "
            "that sends."
        ),
        why=(
            "__netif_receive_skb_core() (net/core/dev.c) calls do_xdp_generic() after "
            "netif_rx() or netif_receive_skb() has called get_rps_cpu(), so it runs on "
            "the CPU that RPS picked. veth_poll() (drivers/net/veth.c) runs a native "
            "program earlier, on the CPU that scheduled it."
        ),
        symptoms=(Sign("seen", "a generic program takes CPU time on the CPUs of RPS"),),
        subjects=lambda context: context.steered,
        check=_generic_cpu,
    ),
)
