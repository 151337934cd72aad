# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The path of packets
-------------------

A table of steps in the kernel's order: those of all queues first, those of some queues,
and those of all again.
"""

from collections.abc import Iterator, Sequence
from typing import Optional

from ..analysis.path.records import Flow, Path, Step, few
from ..core.english import count, plural
from ..model import DeviceRef
from .escape import for_terminal
from .grid import Column, Row, grid
from .style import PLAIN, Style
from .width import KEEP, wrap
from .words import cell, netns

__all__ = ("path",)

_COLUMNS = (
    Column("QUEUES", least=6),
    Column("STEP", least=4),
    Column("WHAT HAPPENS", least=20, indent="  "),
)
_ALSO = "also: "  # what happens as well, and not instead
#: Steps whose text does not say at which device they are.
_NAMELESS = ("generic", "tc-ingress", "tc-egress", "vlan", "rps", "rfs", "cpu")


def _device(ref: DeviceRef) -> str:
    return f"{cell(ref.name)}{KEEP}({netns(ref)})"


def _is_quiet(step: Step) -> bool:
    # It says that nothing happens.
    if step.kind in ("native", "generic"):
        return step.numbers.get("prog_id") is None
    return (
        step.kind == "gro"
        and step.numbers.get("on") is False
        and step.text == "GRO off"
    )


def _same(steps: Sequence[Optional[Step]]) -> bool:
    first = steps[0]
    return first is not None and all(
        one is not None
        and (one.kind, one.function, one.device, one.text, one.alternatives)
        == (first.kind, first.function, first.device, first.text, first.alternatives)
        for one in steps
    )


def _common(flows: Sequence[Sequence[Step]]) -> tuple[int, int]:
    # How many steps all have first, and last.
    least = min(map(len, flows))
    first = 0
    while first < least and _same([steps[first] for steps in flows]):
        first += 1
    last = 0
    while last < least - first and _same([steps[-1 - last] for steps in flows]):
        last += 1
    return first, last


def _text(step: Step, known: Sequence[int], told: set[object]) -> str:
    where = ""
    if step.kind in _NAMELESS and step.device.net_device not in known:
        where = f"{cell(step.device.name)}: "
    function = f"({step.function})" if step.function else ""
    lines = [f"{where}{for_terminal(step.text)} {function}".rstrip()]
    if told.isdisjoint(_alternatives(step)):
        lines += map(_alternative, step.alternatives)
    told.update(_alternatives(step))
    return "\n".join(lines)


def _alternative(text: str) -> str:
    word, found, rest = text.partition(_ALSO)
    return (
        f"{_ALSO.strip()}{KEEP}{for_terminal(rest)}"
        if found and not word
        else (f"or:{KEEP}{for_terminal(text)}")
    )


def _alternatives(step: Step) -> set[object]:
    # What is told once in a table.
    if not step.alternatives:
        return set()
    return {(step.kind, step.device.net_device, step.alternatives)}


def _queues(flow: Flow) -> str:
    if flow.tx_queues:
        return f"tx{KEEP}{few(flow.tx_queues)}"
    if flow.rx_queues:
        return f"rx{KEEP}{few(flow.rx_queues)}"
    return "all"


def _rows(
    label: str, steps: Sequence[Step], known: Sequence[int], told: set[object]
) -> Iterator[Row]:
    for step in steps:
        yield label, step.kind, _text(step, known, told)
        label = ""


def _ended(flow: Flow) -> list[Step]:
    # The steps, and the end if the last step does not tell it.
    steps = [step for step in flow.steps if not _is_quiet(step)]
    if steps and steps[-1].kind == "stack":
        return steps
    where = steps[-1].device if steps else DeviceRef(None, None, "", 0)  # type: ignore[arg-type]
    return [*steps, Step("end", "", where, flow.ends)]


def _table(shown: Path, style: Style) -> list[str]:
    told: set[object] = set()
    known = [shown.device.net_device]
    if shown.peer is not None:
        known.append(shown.peer.net_device)
    flows = [(flow, _ended(flow)) for flow in shown.flows]
    if not flows:
        return []
    if len(flows) == 1:
        flow, steps = flows[0]
        return grid(_COLUMNS, list(_rows(_queues(flow), steps, known, told)), style)
    first, last = _common([steps for _, steps in flows])
    some = flows[0][1]
    rows = list(_rows("all", some[:first], known, told))
    for flow, steps in flows:
        rows += _rows(_queues(flow), steps[first : len(steps) - last], known, told)
    rows += _rows("then", some[len(some) - last :], known, told)
    return grid(_COLUMNS, rows, style)


def _head(shown: Path, cpu: Optional[int]) -> str:
    queues = sorted(
        {one for flow in shown.flows for one in (*flow.tx_queues, *flow.rx_queues)}
    )
    which = "TX" if shown.sends else "RX"
    verb = "sends" if shown.sends else "receives"
    text = f"{_device(shown.device)} {verb}"
    if queues == list(range(len(queues))):
        text += f" on {count(len(queues), f'{which} queue')}" if queues else ""
    else:
        text += f" on {plural(f'{which} queue', len(queues))} {few(queues)}"
    if cpu is not None:
        text += f" from CPU {cpu}" if shown.sends else f" on CPU {cpu}"
    if shown.peer is not None:
        text += f" -> {_device(shown.peer)}"
    return text


def _lines(shown: Path, style: Style, cpu: Optional[int]) -> Iterator[str]:
    for line in wrap(_head(shown, cpu), style.width, rest="  "):
        yield style.paint(line, "bold")
    yield ""
    yield from _table(shown, style)
    ends = [one for one in shown.following if not one.flows]
    if ends:
        yield ""
    for one in ends:
        text = f"{_device(one.device)}: {for_terminal(one.ends)}"
        yield from wrap(text, style.width, rest="  ")
    for one in shown.following:
        if one.flows:
            yield ""
            yield from _lines(one, style, None)


def path(shown: Path, style: Style = PLAIN, cpu: Optional[int] = None) -> str:
    """
    Return a path as text.

    :param cpu: The CPU that was asked for
    """
    return "\n".join(_lines(shown, style, cpu)) + "\n"
