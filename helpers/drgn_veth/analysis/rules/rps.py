# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules on receive packet steering."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...core.english import per_queue
from ...core.unreadable import Maybe, Unreadable
from ...model import Device, RecordsRxQueue, RpsQueue
from ..remedies import rps_mask
from .base import (
    INFO,
    WARNING,
    Context,
    End,
    Evidence,
    KernelAnswer,
    Rule,
    Symptom,
    count,
    cpu_words,
    name_of,
    need,
    real_queues,
    rps_words,
)

__all__ = ("RULES",)


def _queues(device: Device, whose: str = "") -> Tuple[RpsQueue, ...]:
    return need(device.rps, f"{whose}_rx[]")


def _is_recorded(context: Context, device: Device) -> Maybe[bool]:
    # Whether veth_xmit() writes the RX queue into what a device receives.
    kernel = context.snapshot.kernel
    records = None if kernel is None else kernel.records_rx_queue
    if records is None:
        return Unreadable("the code was not read")
    if isinstance(records, Unreadable):
        return records
    if records is not RecordsRxQueue.WITH_XDP:
        return records is RecordsRxQueue.ALWAYS
    queues = device.xdp.queues
    if isinstance(queues, tuple) and queues:
        if all(isinstance(queue.prog_id, int) for queue in queues):
            return True
    return Unreadable("it is called for RX queues with a program, possibly for all")


def _used_count(rx: int, tx: int) -> int:
    # TX queue 0 is taken for rx-0, as if none was recorded, TX queue N for rx-(N-1).
    return max(1, min(rx, tx - 1))


def _used(
    context: Context,
    device: Device,
    peer: Maybe[Optional[Device]],
    whose: str = "",
) -> Tuple[RpsQueue, ...]:
    # The RX queues whose masks steer anything.
    queues = _queues(device, whose)
    if device.kind != "veth" or not isinstance(peer, Device):
        return queues
    # One mask that all have steers whichever are used.
    if len({queue.cpus for queue in queues}) < 2:
        return queues
    rx = need(device.queues.rx.real, f"{whose}real_num_rx_queues")
    of_peer = "" if whose else "peer_"
    tx = need(peer.queues.tx.real, f"{of_peer}real_num_tx_queues")
    if _is_recorded(context, device) is False:
        return queues[: _used_count(rx, tx)]
    # TX queue N is taken for rx-N, or may be.
    return queues[: min(rx, tx)]


def _union(queues: Sequence[RpsQueue]) -> Tuple[int, ...]:
    # Of all masks that could be read.
    cpus: Set[int] = set()
    for queue in queues:
        if isinstance(queue.cpus, tuple):
            cpus.update(queue.cpus)
    return tuple(sorted(cpus))


def _has_rps(queues: Sequence[RpsQueue], whose: str = "") -> bool:
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


def _severity(device: Device, peer: Device) -> str:
    # Nothing is steered where nothing is received.
    for flags in (device.flags, peer.flags):
        if not isinstance(flags, Unreadable) and "UP" not in flags:
            return INFO
    return WARNING


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
    if lost <= 0:
        return None
    queues = _queues(device)
    if _has_rps(queues):
        what = "RPS"
        evidence: Evidence = (("rps_map", rps_words(queues)),)
    elif _has_rfs(context, device):
        what = "RFS"
        evidence = (
            ("rps_flow_table", _flow_words(queues)),
            ("rps_sock_flow_table", context.target.rps_sock_flow_entries),
        )
    else:
        return None
    message = None
    if rx > 1:
        message = (
            f"{name_of(device)} received packet on queue {rx}, but number of RX "
            f"queues is {rx}"
        )
    return Symptom(
        f"{what} leaves out what comes from {lost} of {count(tx, 'TX queue')} of its "
        f"peer {context.name(peer, device)}: {count(rx, 'real RX queue')} here",
        (
            ("real_num_rx_queues", rx),
            ("peer_real_num_tx_queues", tx),
            *evidence,
        ),
        KernelAnswer("get_rps_cpu", None, message),
        context.set_channels(peer, tx=rx),
        _severity(device, peer),
        fix_effect=context.lost_with_queues(peer, device, tx=rx),
    )


def _flow_words(queues: Sequence[RpsQueue]) -> str:
    return per_queue(
        (
            queue.queue,
            "?"
            if isinstance(queue.flow_entries, Unreadable)
            else str(queue.flow_entries or ""),
        )
        for queue in queues
    )


def _words(cpus: Tuple[int, ...]) -> str:
    return cpu_words(cpus) if cpus else "no RPS"


class _Unused(NamedTuple):
    """A mask that nothing uses, and another one that is used."""

    queue: int
    cpus: Tuple[int, ...]
    used: int
    used_cpus: Tuple[int, ...]


def _unused(queues: Sequence[RpsQueue], used: int) -> Maybe[Optional[_Unused]]:
    missing: Optional[Unreadable] = None
    masks: Dict[Tuple[int, ...], int] = {}
    for queue in queues[:used]:
        if isinstance(queue.cpus, Unreadable):
            missing = missing or queue.cpus
        else:
            masks.setdefault(queue.cpus, queue.queue)
    # Two are enough: one of them is another one.
    some = list(masks.items())[:2]
    unsure: Optional[Unreadable] = None
    for queue in queues[used:]:
        if isinstance(queue.cpus, Unreadable):
            unsure = unsure or queue.cpus
        elif queue.cpus:
            for cpus, number in some:
                if cpus != queue.cpus:
                    return _Unused(queue.queue, queue.cpus, number, cpus)
            unsure = unsure or missing
    return unsure


def _same_masks(
    context: Context, device: Device, queues: Sequence[RpsQueue]
) -> Tuple[Tuple[str, ...], Optional[str]]:
    # The command that gives all RX queues one mask, and what it does besides. One that
    # could not be read would be lost.
    if any(isinstance(queue.cpus, Unreadable) for queue in queues):
        return (), None
    cpus = _union(queues)
    effect = (
        f"writes {rps_mask(cpus)} ({cpu_words(cpus)}), the union of all masks, to "
        f"each of {count(len(queues), 'RX queue')}"
    )
    return context.fixes.rps_all(device.ref, cpus), effect


def _off_by_one(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.kind != "veth":
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    recorded = _is_recorded(context, device)
    if recorded is True:
        return None  # Each mask is used for the TX queue of its number.
    rx, tx = real_queues(device, peer)
    queues = _queues(device)
    severity = _severity(device, peer)
    missing: Optional[Unreadable] = None
    differing: List[Tuple[int, Tuple[int, ...], Tuple[int, ...]]] = []
    for n in range(1, min(rx, tx, len(queues))):
        meant, taken = queues[n].cpus, queues[n - 1].cpus
        if isinstance(meant, Unreadable):
            missing = missing or meant
        elif isinstance(taken, Unreadable):
            missing = missing or taken
        elif meant != taken:
            differing.append((n, meant, taken))
    if differing:
        # A queue that was to be left alone is the lesser evil.
        n, meant, taken = next((one for one in differing if one[1]), differing[0])
        summary = (
            f"packets of TX queue {n} of its peer {context.name(peer, device)} are "
            f"steered by rx-{n - 1} ({_words(taken)}), not by rx-{n} ({_words(meant)})"
        )
        if not meant:
            severity = INFO
    else:
        unused = _unused(queues, _used_count(rx, tx))
        if missing is not None and not isinstance(unused, _Unused):
            need(missing, "rps_map")
        found = need(unused, "rps_map")
        if found is None:
            return None
        summary = (
            f"the mask of rx-{found.queue} ({_words(found.cpus)}) steers nothing: its "
            f"peer {context.name(peer, device)} has {count(tx, 'real TX queue')}, and "
            f"rx-{found.used}, which is used, has {_words(found.used_cpus)}"
        )
    symptom = Symptom(
        summary,
        (
            ("real_num_rx_queues", rx),
            ("peer_real_num_tx_queues", tx),
            ("rps_map", rps_words(queues)),
        ),
        KernelAnswer("get_rps_cpu"),
    )
    if isinstance(recorded, Unreadable):
        return symptom._replace(
            severity=INFO,
            undecided="whether masks are off by one depends on skb_record_rx_queue() "
            f"in the code of veth_xmit(): {recorded.reason}",
        )
    fix, effect = _same_masks(context, device, queues)
    return symptom._replace(severity=severity, fix=fix, fix_effect=effect)


def _which_end(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if end.peer is None or not _has_rps(_queues(device)):
        return None
    peer = context.peer(end)
    if peer is None:
        return None
    queues = _used(context, device, peer)
    if not _has_rps(queues):
        return None
    theirs = _used(context, peer, device, "peer_")
    mine, other = rps_words(queues), rps_words(theirs)
    if mine == other:
        for queue in (*queues, *theirs):
            need(queue.cpus, "rps_map")
        return None
    if _has_rps(theirs, "peer_") and device.net_device not in context.first_ends:
        return None  # Said once, of the other end.
    return Symptom(
        f"its RPS ({mine}) steers what its peer {context.name(peer, device)} sends; "
        "what it sends itself is steered by that of its peer "
        f"({other or 'none'})",
        (("rps_map", mine), ("peer_rps_map", other)),
        KernelAnswer("get_rps_cpu"),
    )


def _generic_cpu(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    # tun_get_user() runs a generic program itself, before RPS.
    if device.xdp.generic is None or device.kind == "tun":
        return None
    program = need(device.xdp.generic, "xdp_state[XDP_MODE_SKB]")
    if program is None:
        return None
    queues = _used(context, device, end.peer)
    if not _has_rps(queues):
        return None
    return Symptom(
        f"its generic program runs after RPS: on {cpu_words(_union(queues))}, and "
        "where a packet is not steered on the CPU that has it",
        (("prog_id", program.id), ("rps_map", rps_words(queues))),
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
            "_rx[i].rps_flow_table). It is an info if an end is down."
        ),
        sees=(
            "RPS is set, and some flows stay on one CPU all the same: each flow keeps "
            "its TX queue. With more than one RX queue the log has, once for each "
            "boot, `NAME received packet on queue N, but number of RX queues is M`; "
            "with one it has nothing."
        ),
        fix=(
            "Give the peer as many TX queues as the device has RX queues: the command "
            "does that. Or give the device more RX queues, each with a mask."
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
            "kind is veth && veth_xmit() does not write the RX queue into a packet && "
            "(1 <= n < peer->real_num_tx_queues && n < "
            "real_num_rx_queues && _rx[n].rps_map != _rx[n - 1].rps_map || k >= 1 && k "
            "+ 1 >= peer->real_num_tx_queues && _rx[k].rps_map && it is not the same "
            "as that of some RX queue that is used: _rx[0], and _rx[i] with i + 1 < "
            "peer->real_num_tx_queues). It is an info if an end is down, or if each "
            "queue whose own mask is not used has no mask. It is undecided, and an "
            "info, if the code of veth_xmit() cannot be read."
        ),
        sees=(
            "The mask of rx-N does nothing for TX queue N of the peer: that of "
            "rx-(N-1) is taken. That of rx-0 serves two TX queues, and that of rx-K, "
            "but for rx-0, none if the peer has no TX queue K+1: such as a mask on "
            "rx-1 where the peer has one or two TX queues."
        ),
        fix=(
            "Give every rx-N the same mask. The command writes the union of all masks "
            "to every RX queue, including those without one."
        ),
        why=(
            "As in rps-queue-out-of-range: the receiving side takes "
            "skb->queue_mapping for the RX queue plus 1 (get_rps_cpu(), "
            "net/core/dev.c), and veth leaves the TX queue's number in it. Some "
            "kernels write the RX queue plus 1: skb_record_rx_queue() in veth_xmit() "
            "(drivers/net/veth.c), from v4.19 to v5.11 where the RX queue has a native "
            "program, from v5.12 to v5.16 and in stable kernels of that time always. "
            "There each mask is used for the TX queue of its number, and nothing is "
            "found. "
            "The code of veth_xmit() tells which kernel this is."
        ),
        subjects=lambda context: context.steered,
        check=_off_by_one,
    ),
    Rule(
        id="rps-which-end",
        severity=INFO,
        title="RPS differs between the two ends: each serves one direction",
        predicate=(
            "_rx[].rps_map of one end of a pair != that of the other end; of a veth "
            "those of RX queues that are used (rps-queue-off-by-one)"
        ),
        sees=(
            "Packets of one direction are spread over CPUs, those of the other are "
            "not, or over other CPUs. A mask on the host's end does nothing for what "
            "the host sends into the container."
        ),
        fix=(
            "Nothing to do, unless the mask is on the wrong end: it belongs on the "
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
            "Nothing to do. In native mode the program runs before RPS, on the CPU "
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
