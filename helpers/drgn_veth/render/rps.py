# SPDX-License-Identifier: LGPL-2.1-or-later
"""
RPS, RFS and XPS of each queue
------------------------------

A paragraph for each device; neighbouring queues that have the same share a line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from ..analysis.path.steering import has_steering, steered_by_own_rps
from ..analysis.rules.sent import Sent
from ..core.english import count, cpu_words, number_list
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Namespace, RpsQueue, Snapshot, Target, XpsQueue
from . import words
from .style import PLAIN, Style
from .width import wrap

__all__ = ("queues", "steers")

_INDENT = " " * 2


def steers(device: Device) -> bool:
    """Return whether a queue of a device has RPS, RFS or XPS, or may have."""
    rps, xps = device.rps, device.xps
    if isinstance(rps, Unreadable) or isinstance(xps, Unreadable):
        return True
    return any(q.cpus or q.flow_entries for q in rps) or any(
        q.cpus or q.rx_queues for q in xps
    )


def _numbers(numbers: Maybe[tuple[int, ...]]) -> str:
    return words.UNKNOWN if isinstance(numbers, Unreadable) else number_list(numbers)


def _cpus(cpus: Maybe[tuple[int, ...]]) -> str:
    return words.UNKNOWN if isinstance(cpus, Unreadable) else cpu_words(cpus)


def _rx(queue: RpsQueue) -> str:
    cpus, flows = queue.cpus, queue.flow_entries
    said = [f"RPS to {_cpus(cpus)}"] if cpus else []
    if isinstance(flows, Unreadable):
        said.append(f"RFS {words.UNKNOWN}")
    elif flows:
        said.append(f"RFS {count(flows, 'flow')}")
    return ", ".join(said) or "no RPS"


def _tx(queue: XpsQueue) -> str:
    said = [f"XPS from {_cpus(queue.cpus)}"] if queue.cpus else []
    if queue.rx_queues:
        said.append(f"XPS from RX queues {_numbers(queue.rx_queues)}")
    return ", ".join(said) or "no XPS"


def _runs(what: str, said: Iterable[tuple[int, str]]) -> Iterator[str]:
    runs: list[tuple[int, int, str]] = []
    for queue, text in said:
        if runs and runs[-1][1:] == (queue - 1, text):
            runs[-1] = (runs[-1][0], queue, text)
        else:
            runs.append((queue, queue, text))
    for first, last, text in runs:
        yield f"{what}{first if first == last else f'{first}-{last}'}: {text}"


def _sent(sent: Sent) -> Iterator[str]:
    # What a veth's peer does with what the veth sends.
    peer = words.reference(sent.peer.ref)
    queues, masks = sent.rx_queues, sent.peer.rps
    if queues == ():
        yield f"what it sends is not steered: no RPS at peer {peer}"
        return
    if isinstance(queues, Unreadable) or isinstance(masks, Unreadable):
        missing = queues if isinstance(queues, Unreadable) else masks
        assert isinstance(missing, Unreadable)
        yield f"what it sends, unknown: {words.cell(str(missing.reason))}"
        return
    real = sent.peer.queues.rx.real
    there = words.UNKNOWN if isinstance(real, Unreadable) else count(real, "RX queue")
    skipped = f"is not steered: peer {peer} has only {there}"
    said = {queue.queue: _rx(queue) for queue in masks}
    runs: list[tuple[str, list[int], set[int]]] = []
    for tx, rx in enumerate(queues):
        text = skipped if rx is None else said.get(rx, words.UNKNOWN)
        if not runs or runs[-1][0] != text:
            runs.append((text, [], set()))
        runs[-1][1].append(tx)
        if rx is not None:
            runs[-1][2].add(rx)
    for text, txs, rxs in runs:
        if rxs:
            taken = f"rx{number_list(sorted(rxs))} of peer {peer}"
            text = f"is steered by {taken}: {text}"
        yield f"what it sends on tx{number_list(txs)} {text}"


def _device(device: Device, sent: Optional[Sent], style: Style) -> Iterator[str]:
    for line in wrap(words.reference(device.ref), style.width):
        yield style.paint(line, "bold")
    rps, xps = device.rps, device.xps
    lines = []
    if isinstance(rps, Unreadable):
        lines.append(f"rx{words.UNKNOWN}: {words.cell(str(rps.reason))}")
    else:
        lines += _runs("rx", ((queue.queue, _rx(queue)) for queue in rps))
    limited = steered_by_own_rps(device)
    if limited is not None and has_steering(device):
        below = "the kernel looks at the masks of the device below"
        lines.append(f"its own RPS steers {limited}: {below}")
    if isinstance(xps, Unreadable):
        lines.append(f"tx{words.UNKNOWN}: {words.cell(str(xps.reason))}")
    else:
        lines += _runs("tx", ((queue.queue, _tx(queue)) for queue in xps))
    if sent is not None:
        lines += _sent(sent)
    for line in lines:
        yield from wrap(line, style.width, _INDENT, _INDENT * 3)


def _head(target: Target) -> str:
    parts = [f"CPUs online: {_numbers(target.online_cpus)}"]
    if target.isolated_cpus:
        parts.append(f"isolated: {_numbers(target.isolated_cpus)}")
    flows = words.cell(target.rps_sock_flow_entries)
    return "; ".join((*parts, f"rps_sock_flow_entries: {flows}"))


def _default_masks(namespaces: Iterable[Namespace]) -> Iterator[str]:
    # None: this kernel has no default mask. Empty: none is set.
    for one in namespaces:
        if one.rps_default_mask:
            cpus = _numbers(one.rps_default_mask)
            label = words.cell(one.label)
            yield f"rps_default_mask of {label}: {cpus}, which its new RX queues get"


def queues(
    devices: Sequence[Device],
    snapshot: Snapshot,
    style: Style = PLAIN,
    sent: Optional[Mapping[int, Sent]] = None,
) -> str:
    """
    Return what steers packets on some devices: of each queue that is in use.

    :param sent: What their peers do with what they send, by ``net_device``
    """
    by_sender = sent or {}
    lines = wrap(_head(snapshot.target), style.width)
    shown = {device.netns_label for device in devices}
    for line in _default_masks(n for n in snapshot.namespaces if n.label in shown):
        lines += wrap(line, style.width, "", _INDENT)
    for device in devices:
        lines += ["", *_device(device, by_sender.get(device.net_device), style)]
    return "\n".join(lines)
