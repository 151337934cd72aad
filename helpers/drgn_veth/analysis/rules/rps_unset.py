# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about what RPS and RFS do not steer, since something is not set."""

from typing import Optional

from ...core.english import number_list, plural
from ...model import Device
from ..need import need_of_kernel
from ..remedies import Remedy
from .context import Context, End
from .finding import INFO, WARNING, KernelAnswer, Symptom, Undo
from .rule import Rule, Sign
from .steering import flow_words, has_rps, receives, rps_queues, same_masks, unsteered
from .values import real_queues, rps_words

__all__ = ("RULES",)

_ENTRIES = 32768  # as Documentation/networking/scaling.rst suggests
_SYSCTL = "net.core.rps_sock_flow_entries"


def _without_mask(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    peer = context.peer(end)
    if peer is None or not has_rps(rps_queues(device)):
        return None
    lost, missing = unsteered(context, device, peer)
    rx, tx = real_queues(device, peer)
    asked = min(tx, rx + 1)
    if missing and asked > 1 and (not lost or len(lost) + len(missing) == asked):
        raise missing[0]
    if not lost or len(lost) == asked:
        return None  # If none is steered: rps-queue-off-by-one.
    fed = sorted(set(lost.values()))
    return Symptom(
        f"RPS does not steer packets from {plural('TX queue', len(lost))} "
        f"{number_list(lost)} ({'at least ' * bool(missing)}"
        f"{len(lost)} of {tx}) of peer "
        f"{context.name(peer, device)}: the kernel takes them for packets of rx-"
        f"{number_list(fed)}, which {'has' if len(fed) == 1 else 'have'} no mask",
        (
            ("real_num_rx_queues", rx),
            ("peer_real_num_tx_queues", tx),
            ("rps_map", rps_words(rps_queues(device))),
        ),
        KernelAnswer("get_rps_cpu"),
        same_masks(context, device, rps_queues(device)),
        WARNING if receives(device, peer) else INFO,
    )


def _flows(device: Device) -> tuple[int, ...]:
    return tuple(
        queue.queue
        for queue in rps_queues(device)
        if isinstance(queue.flow_entries, int) and queue.flow_entries
    )


def _nobody_has_flows(context: Context, device: Device) -> bool:
    # Said once, at the first device that has RPS.
    first = context.first_steered_without_flows
    return first is not None and first.net_device == device.net_device


def _rfs(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    flows = _flows(device)
    entries = need_of_kernel(
        context.target.rps_sock_flow_entries, "rps_sock_flow_table"
    )
    evidence = (
        ("rps_flow_table", flow_words(rps_queues(device))),
        ("rps_sock_flow_table", entries),
    )
    if flows and not entries:
        return Symptom(
            f"RFS does nothing: rx-{number_list(flows)} "
            f"{'has a flow table' if len(flows) == 1 else 'have flow tables'}, but "
            f"the global table is missing ({_SYSCTL} is 0)",
            evidence,
            KernelAnswer("get_rps_cpu"),
            Remedy(
                (f"sysctl -w {_SYSCTL}={_ENTRIES}",),
                "turns RFS on for every RX queue that has a flow table",
            ),
        )
    if entries and not flows and _nobody_has_flows(context, device):
        return Symptom(
            "RFS does nothing: no RX queue of any device has a flow table "
            f"(rps_flow_cnt), although {_SYSCTL} is {entries}",
            evidence,
            KernelAnswer("get_rps_cpu"),
            severity=INFO,
            undo=Undo("which frees the global table", (f"sysctl -w {_SYSCTL}=0",)),
        )
    return None


RULES: tuple[Rule, ...] = (
    Rule(
        id="rps-queue-without-mask",
        severity=WARNING,
        title="RPS masks on only some RX queues leave out TX queues",
        predicate=(
            "kind is veth && some _rx[i].rps_map && some TX queue of the peer counts "
            "as an RX queue without a rps_map (with a rps_sock_flow_table: and without "
            "a rps_flow_table), and some does not. It is a note if an end is down."
        ),
        sees=(
            "RPS is set, yet the flows of some TX queues stay on the CPU that sent "
            "them: masks were written before queues were added, or to rx-0 alone. A "
            "new RX queue has no mask, or net.core.rps_default_mask."
        ),
        fix=(
            "Give every rx-N the same mask. The command writes the union of all masks "
            "to every RX queue, including those without one."
        ),
        why=(
            "get_rps_cpu() (net/core/dev.c) looks at the map of one RX queue, the one "
            "that skb->queue_mapping names: rx-0 for TX queue 0, rx-(N-1) for TX queue "
            "N, or rx-N where veth_xmit() records it (rps-queue-off-by-one). "
            "Without a map there, the packet is not steered. For TX queues that map to "
            "no RX queue, see rps-queue-out-of-range."
        ),
        symptoms=(Sign("seen", "RPS is set, yet some flows stay on one CPU"),),
        subjects=lambda context: (
            end for end in context.steered if end.device.kind == "veth"
        ),
        check=_without_mask,
    ),
    Rule(
        id="rfs-half-set",
        severity=WARNING,
        title="RFS is half set, and does nothing",
        predicate=(
            "some _rx[i].rps_flow_table && !rps_sock_flow_table; or, as a note, "
            "rps_sock_flow_table && some RPS, but no _rx[i].rps_flow_table at all"
        ),
        sees=(
            "Packets do not follow the thread that reads them, although RFS seems to "
            "be on."
        ),
        fix=(
            "RFS needs both tables: sysctl net.core.rps_sock_flow_entries, once for "
            "the machine, and rps_flow_cnt of each RX queue. The command sets the "
            "first."
        ),
        why=(
            "get_rps_cpu() (net/core/dev.c) looks up the flow in rps_sock_flow_table, "
            "which says where it is read, and in the flow table of the RX queue. If "
            "one of the two is missing, it goes by the mask alone."
        ),
        symptoms=(Sign("seen", "RFS has no effect"),),
        subjects=lambda context: context.steered,
        check=_rfs,
    ),
)
