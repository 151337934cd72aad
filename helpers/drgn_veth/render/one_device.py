# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One device in full
------------------

Whose it is, both ends of its pair side by side, what the kernel would answer to an XDP
attach, and what is wrong.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Optional

from ..analysis.attach.predictor import MODES, Predictor, TooOldError
from ..analysis.attach.question import DRV, Answer
from ..analysis.native import chain
from ..analysis.rules.finding import INFO, Finding
from ..analysis.rules.leaked import ABOUT_NAMESPACES
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, Snapshot
from . import findings, head, native, words
from .attempts import outcome, to_mend
from .commands import command
from .device_facts import FACTS, Known
from .escape import for_terminal
from .grid import Column, grid
from .report import joined
from .style import PLAIN, Style
from .whose import whose
from .width import wrap

__all__ = ("devices_in_full",)

_LABEL = 12


def _name(device: Device) -> str:
    return f"{words.cell(device.name)} ({words.netns(device.ref)})"


def _facts(
    device: Device, peer: Optional[Device], known: Known, style: Style
) -> list[str]:
    ends = [device] if peer is None else [device, peer]
    columns = [Column("", _LABEL)]
    columns.append(Column(_name(device), 20, indent="  "))
    if peer is not None:
        columns.append(Column(f"peer {_name(peer)}", 20, indent="  "))
    rows = []
    for label, tell in FACTS:
        cells = ["\n".join(tell(end, known)) for end in ends]
        if any(cells):
            rows.append([label, *(cell or "-" for cell in cells)])
    lines = grid(columns, rows, style)
    if peer is None and isinstance(device.peer, DeviceRef):
        said = f"peer {words.reference(device.peer)} was not found"
        lines += wrap(style.shown(said), style.width, rest="  ")
    elif isinstance(device.peer, Unreadable):
        why = for_terminal(device.peer.reason)
        lines += wrap(style.shown(f"peer could not be read: {why}"), style.width)
    return lines


def _because(answer: Answer) -> str:
    where = f"{answer.function}(): " if answer.function else ""
    return f"{where}{for_terminal(answer.because)}"


def _told(answer: Answer) -> str:
    name = outcome(answer)
    if not isinstance(answer.errno, int) or not answer.errno:
        return name
    return f"{name}: {native.refusal(answer.errno, answer.message)}"


def _answer(mode: str, answer: Answer, style: Style) -> Iterator[str]:
    indent = " " * _LABEL
    first = f"{mode:<{_LABEL}}"
    for line in to_mend(len(chain(answer))):
        yield f"{first}{line}"
        first = indent
    for i, one in enumerate(chain(answer)):
        told = style.shown(_told(one))
        start = f"{indent}then " if i else first
        lines = wrap(told, style.width, start, indent)
        name = outcome(one)
        colour = "green" if name == "ok" else "red"
        yield lines[0].replace(name, style.paint(name, colour), 1)
        yield from lines[1:]
        because = style.shown(_because(one))
        yield from wrap(because, style.width, indent, indent)
        if one.fix_effect is not None:
            effect = style.shown(f"the fix {for_terminal(one.fix_effect)}:")
            yield from wrap(effect, style.width, indent, indent)
        for text in one.fix:
            yield from command(text, f"{indent}fix: ", style)


def _same(answer: Answer, other: Answer) -> bool:
    seen = [[(one.errno, one.message) for one in chain(a)] for a in (answer, other)]
    return seen[0] == seen[1]


def _answers(device: Device, predictor: Predictor, style: Style) -> list[str]:
    lines = [style.paint(f"{'XDP ATTACH':<{_LABEL}}ANSWER", "bold")]
    answers = {mode: predictor.attach(device, mode) for mode in MODES}
    default = answers.pop("default")
    meant = "driver" if device.driver.ndo_bpf is True else "generic"
    if _same(default, answers[meant]):
        has = "has" if meant == "driver" else "has no"
        said = f"as {meant}: its driver {has} ndo_bpf"
        lines += wrap(said, style.width, f"{'default':<{_LABEL}}", " " * _LABEL)
    else:
        lines += _answer("default", default, style)
    for mode, answer in answers.items():
        lines += _answer(mode, answer, style)
    return lines


def _is_said(
    finding: Finding, device: Device, refusals: set[tuple[str, Optional[str]]]
) -> bool:
    kernel = finding.kernel
    if finding.severity != INFO or finding.device != device.ref or kernel is None:
        return False
    return (kernel.errno, kernel.message) in refusals


def _is_about(
    finding: Finding, ends: Collection[int], places: Collection[Maybe[int]]
) -> bool:
    # What is about a namespace is attached to only one of its devices.
    ref = finding.device
    if ref is None:
        return False
    if ref.net_device in ends:
        return True
    return finding.rule in ABOUT_NAMESPACES and ref.netns in places


def _one(
    device: Device,
    known: Known,
    predictor: Optional[Predictor],
    found: Sequence[Finding],
    style: Style,
) -> Iterator[list[str]]:
    peer = device.peer
    other = known.devices.get(peer.net_device) if isinstance(peer, DeviceRef) else None
    yield list(whose(_name(device), known.namespaces.get(device.netns), style))
    if other is not None and other.netns != device.netns:
        name = f"peer {_name(other)}"
        yield list(whose(name, known.namespaces.get(other.netns), style))
    yield _facts(device, other, known, style)
    if predictor is not None:
        yield _answers(device, predictor, style)
    ends = {device.net_device, *(() if other is None else (other.net_device,))}
    places = {device.netns, *(() if other is None else (other.netns,))}
    mine = [f for f in found if _is_about(f, ends, places)]
    if predictor is not None:
        # The answers say it already.
        answer = predictor.attach(device, DRV)
        refusals = {(outcome(one), one.message) for one in chain(answer)}
        mine = [f for f in mine if not _is_said(f, device, refusals)]
    yield findings.in_full(mine, style) or ["no findings, no notes"]


def devices_in_full(
    devices: Sequence[Device],
    whole: Snapshot,
    found: Sequence[Finding],
    style: Style = PLAIN,
) -> str:
    """
    Return all that is known of some devices.

    :param whole: All that there is
    :param found: All findings
    """
    known = Known(whole)
    predictor: Optional[Predictor] = None
    parts = [head.target(whole, style), head.blocked(whole, style)]
    try:
        predictor = Predictor(whole)
    except TooOldError as e:
        parts.append(wrap(f"no answers to an XDP attach: {e}", style.width))
    for device in devices:
        parts += _one(device, known, predictor, found, style)
    return joined(parts)
