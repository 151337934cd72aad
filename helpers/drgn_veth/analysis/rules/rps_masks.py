# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about which RPS mask steers a packet."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ...core import messages
from ...core.english import count, cpu_words, number_list, plural
from ...core.unreadable import Maybe, Unreadable
from ...model import RpsQueue
from ..names import name_of
from ..need import need
from ..path.steering import first_skipped, used_count
from .context import Context, End
from .finding import (
    INFO,
    WARNING,
    Evidence,
    KernelAnswer,
    Symptom,
)
from .rule import Rule, Sign
from .steering import (
    flow_words,
    has_rfs,
    has_rps,
    is_recorded,
    receives,
    rps_queues,
    same_masks,
    unsteered,
)
from .values import real_queues, rps_words

__all__ = ("RULES",)


def _steered_veths(context: Context) -> Iterator[End]:
    return (end for end in context.steered if end.device.kind == "veth")


def _out_of_range(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    rx, tx = real_queues(device, peer)
    first = first_skipped(rx)
    lost = tx - first
    if lost <= 0:
        return None
    queues = rps_queues(device)
    if has_rps(queues):
        what = "RPS"
        evidence: Evidence = (("rps_map", rps_words(queues)),)
    elif has_rfs(context, device):
        what = "RFS"
        evidence = (
            ("rps_flow_table", flow_words(queues)),
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
        f"{what} skips packets from {plural('TX queue', lost)} "
        f"{number_list(range(first, tx))} ({lost} of {tx}) of peer "
        f"{context.name(peer, device)}: only {count(rx, 'RX queue')} here",
        (
            ("real_num_rx_queues", rx),
            ("peer_real_num_tx_queues", tx),
            *evidence,
        ),
        KernelAnswer("get_rps_cpu", None, message),
        context.fixes.set_channels(peer, device, tx=rx),
        WARNING if receives(device, peer) else INFO,
    )


def _words(cpus: tuple[int, ...]) -> str:
    return cpu_words(cpus) if cpus else "no RPS"


class _Unused(NamedTuple):
    """A mask that steers nothing, and another one that steers packets."""

    queue: int
    cpus: tuple[int, ...]
    used: int
    used_cpus: tuple[int, ...]


def _unused(queues: Sequence[RpsQueue], used: int) -> Maybe[Optional[_Unused]]:
    missing: Optional[Unreadable] = None
    masks: dict[tuple[int, ...], int] = {}
    for queue in queues[:used]:
        if isinstance(queue.cpus, Unreadable):
            missing = missing or queue.cpus
        else:
            masks.setdefault(queue.cpus, queue.queue)
    # Two are enough: at least one of them differs.
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


def _off_by_one(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None:
        return None
    recorded = is_recorded(context, device)
    if recorded is True:
        return None  # Each mask is used for the TX queue of its number.
    rx, tx = real_queues(device, peer)
    queues = rps_queues(device)
    severity = WARNING if receives(device, peer) else INFO
    missing: Optional[Unreadable] = None
    differing: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []
    for n in range(1, min(rx, tx, len(queues))):
        meant, taken = queues[n].cpus, queues[n - 1].cpus
        if isinstance(meant, Unreadable):
            missing = missing or meant
        elif isinstance(taken, Unreadable):
            missing = missing or taken
        elif meant != taken:
            differing.append((n, meant, taken))
    if differing:
        # A queue without a mask of its own does less harm: name it last.
        n, meant, taken = next((one for one in differing if one[1]), differing[0])
        summary = (
            f"rx-{n - 1} ({_words(taken)}), not rx-{n} ({_words(meant)}), steers "
            f"packets from TX queue {n} of peer {context.name(peer, device)}"
        )
        if not meant:
            if recorded is False and unsteered(context, device, peer).rx_of_tx:
                return None  # rps-queue-without-mask says more.
            severity = INFO
    else:
        unused = _unused(queues, used_count(rx, tx))
        if missing is not None and not isinstance(unused, _Unused):
            need(missing, "rps_map")
        found = need(unused, "rps_map")
        if found is None:
            return None
        summary = (
            f"the mask of rx-{found.queue} ({_words(found.cpus)}) steers nothing: peer "
            f"{context.name(peer, device)} has {count(tx, 'real TX queue')}, and "
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
    fix = same_masks(context, device, queues)
    return symptom._replace(severity=severity, fix=fix)


RULES: tuple[Rule, ...] = (
    Rule(
        id="rps-queue-out-of-range",
        severity=WARNING,
        title="RPS skips packets from its peer's higher TX queues",
        predicate=(
            "kind is veth && peer->real_num_tx_queues >= real_num_rx_queues + 2 && "
            "some _rx[i].rps_map (or, with a rps_sock_flow_table, "
            "_rx[i].rps_flow_table). It is a note if an end is down."
        ),
        sees=(
            "RPS is set, yet some flows stay on one CPU: each flow keeps its TX queue. "
            "If the device has more than one RX queue, the kernel logs, once per boot, "
            "`NAME received packet on queue N, but number of RX queues is M`; with one "
            "RX queue it logs nothing."
        ),
        fix=(
            "Give the peer as many TX queues as the device has RX queues: the command "
            "does that. Or give the device more RX queues, each with a mask."
        ),
        why=(
            "Nothing on the way through veth resets skb->queue_mapping. The sender "
            "writes the TX queue into it, counted from 0; the receiving side reads the "
            "same field as the RX queue plus 1, with 0 for none. So "
            "netif_get_rxqueue() and get_rps_cpu() (net/core/dev.c) take TX queue N "
            "for RX queue N - 1. If the device has no such queue, get_rps_cpu() gives "
            "up: the packet stays on its CPU, without RPS or RFS. This affects all TX "
            "queues from real_num_rx_queues + 1 on. The message is a WARN_ONCE, and "
            "requires more than one RX queue."
        ),
        symptoms=(
            Sign("log", messages.RPS_QUEUE),
            Sign("seen", "RPS is set, yet some flows stay on one CPU"),
        ),
        subjects=_steered_veths,
        check=_out_of_range,
    ),
    Rule(
        id="rps-queue-off-by-one",
        severity=WARNING,
        title="RPS masks differ, and each applies to the next TX queue",
        predicate=(
            "kind is veth && veth_xmit() does not write the RX queue into a packet && "
            "(1 <= n < peer->real_num_tx_queues && n < real_num_rx_queues && "
            "_rx[n].rps_map != _rx[n - 1].rps_map || k >= 1 && k + 1 >= "
            "peer->real_num_tx_queues && _rx[k].rps_map && it differs from that of "
            "some RX queue that is used: _rx[0], and _rx[i] with i + 1 < "
            "peer->real_num_tx_queues). It is a note if an end is down, or if only "
            "RX queues without a mask are affected. If the code of veth_xmit() "
            "could not be read, this is undecided and a note."
        ),
        sees=(
            "The mask of rx-N does not apply to the peer's TX queue N: the mask of "
            "rx-(N-1) does. The mask of rx-0 serves two TX queues. The mask of any "
            "other rx-K serves none if the peer has no TX queue K+1: a mask on rx-1, "
            "for example, if the peer has one or two TX queues."
        ),
        fix=(
            "Give every rx-N the same mask. The command writes the union of all masks "
            "to every RX queue, including those without one."
        ),
        why=(
            "As in rps-queue-out-of-range: the receiving side reads skb->queue_mapping "
            "as the RX queue plus 1 (get_rps_cpu(), net/core/dev.c), but veth leaves "
            "the number of the TX queue in it. Some kernels write the RX queue plus 1, "
            "by skb_record_rx_queue() in veth_xmit() (drivers/net/veth.c): v4.19 to "
            "v5.11 if the RX queue has a native program; v5.12 to v5.16, and stable "
            "kernels of that time, always. On these kernels, each mask applies to the "
            "TX queue with the same number, and the rule finds nothing. The code of "
            "veth_xmit() shows which kernel this is."
        ),
        symptoms=(
            Sign(
                "seen",
                "the RPS mask of rx-N does not apply to TX queue N of the peer",
            ),
        ),
        subjects=_steered_veths,
        check=_off_by_one,
    ),
)
