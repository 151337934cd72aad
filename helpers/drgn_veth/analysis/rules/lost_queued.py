# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about full queues of the core: qdiscs and backlogs, as counters say."""

from collections.abc import Iterable, Iterator
from typing import Optional

from ...core.english import count, cpu_words
from ...model import CpuStats, Device
from ..names import name_of
from ..need import need, need_of_kernel
from .context import Context, End
from .finding import INFO, KernelAnswer, Symptom
from .rule import Rule, Sign

__all__ = ("RULES",)

#: So many devices are named.
_NAMED = 3


def _with_qdisc(context: Context) -> Iterator[End]:
    for device in context.snapshot.devices:
        if device.off_list is None and device.qdisc_stats is not None:
            yield context.end(device)


def _qdisc(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    stats = need(device.qdisc_stats, "qdisc->qstats")
    if stats is None or stats.drops == 0:
        return None
    holds = f"; it holds {count(stats.qlen, 'packet')} now" if stats.qlen else ""
    veth = device.veth
    if veth is not None and isinstance(veth.stopped, tuple) and veth.stopped:
        holds += "; TX queues are stopped: rings of its peer were full"
    return Symptom(
        f"its qdisc {need(device.qdisc, 'qdisc')} has dropped "
        f"{count(stats.drops, 'packet')} so far{holds}",
        (("drops", stats.drops), ("qlen", stats.qlen), ("backlog", stats.backlog)),
        KernelAnswer("__dev_xmit_skb"),
    )


def _one_device(context: Context) -> Iterable[End]:
    # What is about the kernel is looked at once.
    return map(context.end, context.snapshot.devices[:1])


def _steered_to(context: Context, cpus: frozenset[int]) -> list[Device]:
    found = []
    for end in context.steered:
        rps = end.device.rps
        masks = [one.cpus for one in rps] if isinstance(rps, tuple) else []
        if any(isinstance(mask, tuple) and cpus & set(mask) for mask in masks):
            found.append(end.device)
    return found


def _losers(cpus: Iterable[CpuStats]) -> list[tuple[int, int]]:
    name = "softnet_data.dropped"
    lost = [(one.cpu, need_of_kernel(one.dropped, name)) for one in cpus]
    return [(cpu, number) for cpu, number in lost if number]


def _limited(cpus: Iterable[CpuStats]) -> int:
    values = [one.flow_limit_count for one in cpus]
    return sum(value for value in values if isinstance(value, int))


def _backlog(context: Context, end: End) -> Optional[Symptom]:
    cpus = need_of_kernel(context.snapshot.cpus, "softnet_data") or ()
    losers = _losers(cpus)
    if not losers:
        return None
    where = tuple(cpu for cpu, _ in losers)
    lost = sum(number for _, number in losers)
    text = f"the backlog of {cpu_words(where)} has dropped {count(lost, 'packet')}"
    limited = _limited(cpus)
    if limited:
        text += f", {limited} by the flow limit"
    steered = _steered_to(context, frozenset(where))
    if steered:
        names = ", ".join(name_of(one) for one in steered[:_NAMED])
        more = len(steered) - _NAMED
        names += f" and {count(more, 'more device')}" if more > 0 else ""
        text += f"; RPS of {names} steers packets there"
    holds = [(one.cpu, one.backlog) for one in cpus if one.cpu in where]
    return Symptom(
        text,
        (
            ("softnet_data.dropped", tuple(f"CPU {cpu}: {n}" for cpu, n in losers)),
            ("flow_limit count", limited),
            ("backlog now", tuple(f"CPU {cpu}: {n}" for cpu, n in holds)),
        ),
        KernelAnswer("enqueue_to_backlog"),
        everywhere=True,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="qdisc-drops",
        severity=INFO,
        title="a qdisc has dropped packets",
        predicate="drops of the root qdisc > 0; of mq, those of its children",
        sees="`tc -s qdisc` counts dropped.",
        fix=(
            "`tc -s qdisc` and `tc -s filter` show which: a full queue (the rate that "
            "the qdisc allows, or a device that takes packets too slowly; a longer "
            "queue only delays them), fq_codel, which drops what has waited too long, "
            "the limit of a flow of fq, netem, RED, or a filter that polices."
        ),
        why=(
            "__dev_xmit_skb() (net/core/dev.c) gives each packet to the root qdisc, "
            "which drops it, or another one, when its limit is reached, or when its "
            "algorithm or a filter says so. If rings of a veth's peer are full, "
            "veth_xmit() stops the TX queue (since v6.16), and the qdisc fills."
        ),
        symptoms=(Sign("counter", "dropped of a qdisc (tc -s qdisc)"),),
        subjects=_with_qdisc,
        check=_qdisc,
    ),
    Rule(
        id="backlog-overflow",
        severity=INFO,
        title="the backlog of a CPU was full",
        predicate="softnet_data.dropped > 0 of some CPU that is online",
        sees=(
            "The second column of /proc/net/softnet_stat grows, and rx_dropped of the "
            "device whose packet it was."
        ),
        fix=(
            "Spread packets over more CPUs by RPS, and keep generic XDP programs off "
            "the CPU. net.core.netdev_max_backlog allows a longer backlog. The flow "
            "limit (net.core.flow_limit_cpu_bitmap) drops packets of one large flow "
            "before the others."
        ),
        why=(
            "netif_rx() and RPS put packets into the backlog of a CPU. "
            "enqueue_to_backlog() (net/core/dev.c) drops a packet if more than "
            "netdev_max_backlog wait, if skb_flow_limit() says that its flow has too "
            "many of them, or if the device has been set down meanwhile. A veth "
            "without NAPI receives everything through it."
        ),
        symptoms=(
            Sign("counter", "dropped of a CPU (/proc/net/softnet_stat)"),
            Sign("seen", "packets vanish between a veth and the IP stack"),
        ),
        subjects=_one_device,
        check=_backlog,
    ),
)
