# SPDX-License-Identifier: LGPL-2.1-or-later
"""
RPS, RFS and XPS of each queue
------------------------------

A paragraph for each device; neighbouring queues that have the same share a line.
"""

from collections.abc import Iterable, Iterator

from ..core.english import count, cpu_words, number_list
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, RpsQueue, Target, XpsQueue
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


def _device(device: Device, style: Style) -> Iterator[str]:
    for line in wrap(words.reference(device.ref), style.width):
        yield style.paint(line, "bold")
    rps, xps = device.rps, device.xps
    lines = []
    if isinstance(rps, Unreadable):
        lines.append(f"rx{words.UNKNOWN}: {words.cell(str(rps.reason))}")
    else:
        lines += _runs("rx", ((queue.queue, _rx(queue)) for queue in rps))
    if isinstance(xps, Unreadable):
        lines.append(f"tx{words.UNKNOWN}: {words.cell(str(xps.reason))}")
    else:
        lines += _runs("tx", ((queue.queue, _tx(queue)) for queue in xps))
    for line in lines:
        yield from wrap(line, style.width, _INDENT, _INDENT * 3)


def queues(devices: Iterable[Device], target: Target, style: Style = PLAIN) -> str:
    """Return what steers packets on some devices: of each queue that is in use."""
    head = (
        f"CPUs online: {_numbers(target.online_cpus)}; "
        f"rps_sock_flow_entries: {words.cell(target.rps_sock_flow_entries)}"
    )
    lines = wrap(head, style.width)
    for device in devices:
        lines += ["", *_device(device, style)]
    return "\n".join(lines)
