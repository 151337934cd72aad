# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on receive packet steering."""

from typing import Optional, Set, Tuple

from ..model import Device, RpsQueue, Unreadable
from ..ranges import number_list
from .base import (
    INFO,
    WARNING,
    Context,
    End,
    KernelAnswer,
    Rule,
    Symptom,
    count,
    name_of,
    need,
    real_queues,
    rps_words,
)

__all__ = ("RULES",)


def _queues(device: Device, whose: str = "") -> Tuple[RpsQueue, ...]:
    return need(device.rps, f"{whose}_rx[]")


def _union(device: Device) -> Tuple[int, ...]:
    # Of all masks that could be read.
    cpus: Set[int] = set()
    for queue in _queues(device):
        if isinstance(queue.cpus, tuple):
            cpus.update(queue.cpus)
    return tuple(sorted(cpus))


def _has_rps(device: Device, whose: str = "") -> bool:
    queues = _queues(device, whose)
    if any(isinstance(queue.cpus, tuple) and queue.cpus for queue in queues):
        return True
    for queue in queues:
        need(queue.cpus, f"{whose}rps_map")
    return False


def _has_rfs(context: Context, device: Device) -> bool:
    entries = context.target.rps_sock_flow_entries
    flows = [queue.flow_entries for queue in _queues(device)]
    if not entries or not any(flows):
        return False
    need(entries, "rps_sock_flow_table")
    return any(need(flow, "rps_flow_table") for flow in flows)


def _out_of_range(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.kind != "veth":
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    rx, tx = real_queues(device, peer)
    # TX queue N is taken for RX queue N - 1.
    lost = tx - rx - 1
    if lost <= 0 or not (_has_rps(device) or _has_rfs(context, device)):
        return None
    fix: Tuple[str, ...] = ()
    if peer.driver.set_channels is True:
        fix = context.fixes.channels(peer.ref, "tx", rx)
    message = None
    if rx > 1:
        message = (
            f"{name_of(device)} received packet on queue {rx}, but number of RX "
            f"queues is {rx}"
        )
    return Symptom(
        f"RPS leaves out what comes from {lost} of {count(tx, 'TX queue')} of its peer "
        f"{name_of(peer)}: {count(rx, 'real RX queue')} here",
        (
            ("real_num_rx_queues", rx),
            ("peer_real_num_tx_queues", tx),
            ("rps_map", rps_words(device)),
        ),
        KernelAnswer("get_rps_cpu", None, message),
        fix,
    )


def _words(cpus: Tuple[int, ...]) -> str:
    return f"CPUs {number_list(cpus)}" if cpus else "no RPS"


def _off_by_one(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.kind != "veth":
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    rx, tx = real_queues(device, peer)
    queues = _queues(device)
    missing: Optional[Unreadable] = None
    for n in range(1, min(rx, tx, len(queues))):
        meant, taken = queues[n].cpus, queues[n - 1].cpus
        if isinstance(meant, Unreadable):
            missing = missing or meant
        elif isinstance(taken, Unreadable):
            missing = missing or taken
        elif meant != taken:
            return Symptom(
                f"packets of TX queue {n} of its peer {name_of(peer)} are steered by "
                f"rx-{n - 1} ({_words(taken)}), not by rx-{n} ({_words(meant)})",
                (
                    ("real_num_rx_queues", rx),
                    ("peer_real_num_tx_queues", tx),
                    ("rps_map", rps_words(device)),
                ),
                KernelAnswer("get_rps_cpu"),
                context.fixes.rps_all(device.ref, _union(device)),
            )
    if missing is not None:
        need(missing, "rps_map")
    return None


def _which_end(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if end.peer is None or not _has_rps(device):
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    mine, other = rps_words(device), rps_words(peer)
    if mine == other:
        return None
    if _has_rps(peer, "peer_") and device.net_device not in context.first_ends:
        return None  # Said once, of the other end.
    return Symptom(
        f"its RPS ({mine}) steers what its peer {name_of(peer)} sends; what it sends "
        f"itself is steered by that of its peer ({other or 'none'})",
        (("rps_map", mine), ("peer_rps_map", other)),
        KernelAnswer("get_rps_cpu"),
    )


def _generic_cpu(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    # tun_get_user() runs a generic program itself, before RPS.
    if device.xdp.generic is None or device.kind == "tun":
        return None
    program = need(device.xdp.generic, "xdp_state[XDP_MODE_SKB]")
    if program is None or not _has_rps(device):
        return None
    return Symptom(
        f"its generic program runs after RPS: on CPUs {number_list(_union(device))}, "
        "and where a packet is not steered on the CPU that has it",
        (("prog_id", program.id), ("rps_map", rps_words(device))),
        KernelAnswer("__netif_receive_skb_core"),
    )


RULES: Tuple[Rule, ...] = (
    Rule(
        id="rps-queue-out-of-range",
        severity=WARNING,
        title="RPS leaves out packets of its peer's higher TX queues",
        predicate=(
            "kind is veth && peer->real_num_tx_queues >= real_num_rx_queues + 2 && "
            "some _rx[i].rps_map (or, with a rps_sock_flow_table, "
            "_rx[i].rps_flow_table)"
        ),
        sees=(
            "RPS is set, and some flows stay on one CPU all the same: each flow keeps "
            "its TX queue. With more than one RX queue the log has, once for each "
            "boot, `NAME received packet on queue N, but number of RX queues is M`; "
            "with one it has nothing."
        ),
        fix=(
            "Give the peer as many TX queues as the device has RX queues; or the "
            "device more RX queues, each with a mask."
        ),
        why=(
            "Nothing on the way through veth resets skb->queue_mapping. The sender "
            "writes the TX queue into it, counted from 0; the receiving side reads "
            "the same field as the RX queue plus 1, 0 for none. So "
            "netif_get_rxqueue() and get_rps_cpu() (net/core/dev.c) take TX queue N "
            "for RX queue N - 1. If the device has no such queue, get_rps_cpu() gives "
            "up: the packet stays on the CPU that it is on, and neither RPS nor RFS "
            "sees it. That is so for all TX queues from real_num_rx_queues + 1 on. "
            "The warning is a WARN_ONCE, and asks for more than one RX queue first."
        ),
        subjects=lambda context: context.steered,
        check=_out_of_range,
    ),
    Rule(
        id="rps-queue-off-by-one",
        severity=WARNING,
        title="RPS masks differ, and each is used for the next TX queue",
        predicate=(
            "kind is veth && 1 <= n < peer->real_num_tx_queues && n < "
            "real_num_rx_queues && _rx[n].rps_map != _rx[n - 1].rps_map"
        ),
        sees=(
            "The mask of rx-N does nothing for TX queue N of the peer: that of "
            "rx-(N-1) is taken. That of rx-0 serves two TX queues, and that of the "
            "last RX queue none if the peer has no more TX queues."
        ),
        fix=(
            "Give every rx-N the same mask; the command sets all to the CPUs of all "
            "masks."
        ),
        why=(
            "As in rps-queue-out-of-range: the receiving side takes "
            "skb->queue_mapping for the RX queue plus 1 (get_rps_cpu(), "
            "net/core/dev.c), and veth leaves the TX queue's number in it. v5.11 to "
            "v5.16 write the RX queue plus 1 for some or all packets "
            "(skb_record_rx_queue() in veth_xmit(), drivers/net/veth.c), unless their "
            "distribution has taken it out: there masks are used as they are "
            "numbered, and this finding is wrong."
        ),
        subjects=lambda context: context.steered,
        check=_off_by_one,
    ),
    Rule(
        id="rps-which-end",
        severity=INFO,
        title="RPS differs between the two ends: each serves one direction",
        predicate="_rx[].rps_map of one end of a pair != that of the other end",
        sees=(
            "Packets of one direction are spread over CPUs, those of the other are "
            "not, or over other CPUs. A mask on the host's end does nothing for what "
            "the host sends into the container."
        ),
        fix=(
            "None is needed, unless the mask is on the wrong end: it belongs on the "
            "one that receives."
        ),
        why=(
            "RPS is a matter of who receives: veth_forward_skb() (drivers/net/veth.c) "
            "and netkit_xmit() (drivers/net/netkit.c) make the peer skb->dev and hand "
            "the packet to netif_rx(), which asks get_rps_cpu() (net/core/dev.c) with "
            "the peer's _rx[]."
        ),
        subjects=lambda context: context.steered,
        check=_which_end,
    ),
    Rule(
        id="generic-xdp-cpu",
        severity=INFO,
        title="a generic XDP program runs on the CPUs of RPS",
        predicate="xdp_state[XDP_MODE_SKB] && some _rx[i].rps_map",
        sees=(
            "The generic program runs, and takes CPU time, where RPS sends the "
            "packets. It cannot take load off these CPUs by dropping early."
        ),
        fix=(
            "None is needed. In native mode the program runs before RPS, on the CPU "
            "that sends."
        ),
        why=(
            "do_xdp_generic() is called in __netif_receive_skb_core() "
            "(net/core/dev.c), after netif_rx() or netif_receive_skb() has asked "
            "get_rps_cpu(): on the CPU that RPS chose. veth_poll() "
            "(drivers/net/veth.c) runs a native program before, on the CPU that "
            "scheduled it. tun runs generic programs in tun_get_user(), before RPS."
        ),
        subjects=lambda context: context.steered,
        check=_generic_cpu,
    ),
)
