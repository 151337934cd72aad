# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The tables of a page
--------------------

Findings, pairs, devices, namespaces, and the answers to XDP attaches, as HTML. Each
name of a device is a button that shows it in the picture.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from ...analysis.attach.predictor import MODES
from ...analysis.rules.finding import INFO, SEVERITIES, Finding, severity_word
from ...core.english import count
from ...core.unreadable import Unreadable
from ...model import Device, DeviceRef, Snapshot
from .. import netns, words
from ..attempts import Attempt
from .markup import element, text
from .records import outcomes, ways

__all__ = (
    "attach_table",
    "devices_table",
    "findings_list",
    "is_long",
    "later",
    "namespaces_table",
    "pairs_table",
)

_MOST_NAMES = 24
# More of something start folded, and become markup when they are opened.
_LONG = 60

#: Where each device is in ``Snapshot.devices``, by address.
Index = Mapping[int, int]


def _button(ref: DeviceRef, index: Index, said: Optional[str] = None) -> str:
    said = words.cell(ref.name) if said is None else said
    place = index.get(ref.net_device)
    if place is None:
        return text(said)
    return element("button", text(said), type="button", class_="go", data_go=f"{place}")


def is_long(number: int) -> bool:
    """Return whether something starts folded, since there is so much of it."""
    return number > _LONG


def later(markup: str, number: int) -> str:
    """
    Return what is folded: if there is much, its markup for the page's script, so that
    the page opens at once.
    """
    return element("noscript", markup) if is_long(number) else markup


def _table(
    heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], class_: str = ""
) -> str:
    # Rows: the devices that each is about, and its cells as markup.
    head = "".join(element("th", text(one), scope="col") for one in heads)
    body = (
        element("tr", *(element("td", cell) for cell in cells), data_of=of or None)
        for of, cells in rows
    )
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", head)),
            element("tbody", *body),
            class_=class_ or None,
        ),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label="table",
    )


def _lines(texts: Iterable[str]) -> str:
    return element("br").replace("</br>", "").join(map(text, texts)) or "-"


def _queues(device: Device) -> str:
    rx, tx = device.queues
    return f"{words.queue_count(rx)}, {words.queue_count(tx)}"


_END = ("device", "state, MTU", "RX, TX queues", "XDP", "RPS")


def _end(device: Device, index: Index) -> list[str]:
    where = element("span", text(words.netns(device.ref)), class_="where")
    return [
        f"{_button(device.ref, index)} {where}",
        text(f"{words.state(device)} {words.cell(device.mtu)}"),
        text(_queues(device)),
        _lines(words.xdp(device)),
        text(words.rps(device) or "-"),
    ]


def pairs_table(snapshot: Snapshot, index: Index) -> str:
    """Return the pairs, both ends side by side."""

    def end(ref: DeviceRef) -> list[str]:
        place = index.get(ref.net_device)
        if place is not None:
            return _end(snapshot.devices[place], index)
        return [text(words.reference(ref)), *["?"] * 4]

    def of(*refs: DeviceRef) -> str:
        return " ".join(
            str(index[ref.net_device]) for ref in refs if ref.net_device in index
        )

    rows = (
        (of(pair.a, pair.b), [text(words.cell(pair.kind)), *end(pair.a), *end(pair.b)])
        for pair in snapshot.pairs
    )
    return _table(["kind", *_END, *_END], rows, "pairs")


_DEVICE = (
    *(
        "namespace",
        "index",
        "device",
        "kind",
        "state",
        "MTU",
        "RX, TX queues",
        "master",
    ),
    *("peer", "XDP", "RPS", "addresses"),
)


def _ref(ref: object, index: Index) -> str:
    if isinstance(ref, DeviceRef):
        return _button(ref, index, words.reference(ref))
    return text(words.cell(ref, "-"))


def devices_table(snapshot: Snapshot, index: Index) -> str:
    """Return all devices."""
    rows = (
        (
            str(i),
            [
                text(words.netns(device.ref)),
                text(words.cell(device.ifindex)),
                _button(device.ref, index),
                text(words.cell(device.kind, "-")),
                text(words.state(device)),
                text(words.cell(device.mtu)),
                text(_queues(device)),
                _ref(device.master, index),
                _ref(device.peer, index),
                _lines(words.xdp(device)),
                text(words.rps(device) or "-"),
                "?"
                if isinstance(device.addresses, Unreadable)
                else _lines(map(words.cell, device.addresses)),
            ],
        )
        for i, device in enumerate(snapshot.devices)
    )
    return _table(_DEVICE, rows)


def namespaces_table(snapshot: Snapshot) -> str:
    """Return the namespaces, without columns that have nothing."""
    cells = [
        [[line for line in column.lines(one) if line] for column in netns.COLUMNS]
        for one in snapshot.namespaces
    ]
    used = [i for i, _ in enumerate(netns.COLUMNS) if any(row[i] for row in cells)]
    heads = [netns.COLUMNS[i] for i in used]
    return _table(
        [column.name.replace("_", " ") for column in heads],
        (("", [_lines(row[i]) for i in used]) for row in cells),
    )


def _several(devices: Sequence[Device], index: Index) -> str:
    names = " ".join(
        _button(
            device.ref, index, f"{words.cell(device.name)} ({words.netns(device.ref)})"
        )
        for device in devices
    )
    if len(devices) <= _MOST_NAMES:
        return names
    said = element("summary", text(count(len(devices), "device")))
    return element("details", said, names)


def _said(told: Mapping[str, Sequence[Attempt]]) -> tuple[str, ...]:
    # The answers in a mode, and which ways get each if there are several.
    if len(told) == 1:
        return tuple(told)
    return tuple(f"{answer} {ways(same)}" for answer, same in told.items())


def attach_table(attempts: Iterable[Attempt], index: Index) -> str:
    """
    Return the answers to XDP attaches: a column for each mode, a row for the devices of
    a kind that get the same.
    """
    devices: dict[int, Device] = {}
    told: dict[tuple[int, str], dict[str, list[Attempt]]] = {}
    for attempt in attempts:
        address = attempt.device.net_device
        devices[address] = attempt.device
        said = told.setdefault((address, attempt.mode), {})
        said.setdefault(outcomes(attempt.answer), []).append(attempt)
    groups: dict[tuple[tuple[str, ...], ...], list[Device]] = {}
    for address, device in devices.items():
        answers = [_said(told.get((address, mode), {})) for mode in MODES]
        groups.setdefault(((words.cell(device.kind, "-"),), *answers), []).append(
            device
        )

    def cell(said: Sequence[str]) -> str:
        return element(
            "span", _lines(said), class_="ok" if said == ("ok",) else "refused"
        )

    rows = (
        (
            " ".join(str(index.get(one.net_device, "")) for one in same),
            [*map(cell, said), text(kind[0]), _several(same, index)],
        )
        for (kind, *said), same in groups.items()
    )
    return _table([*MODES, "kind", "devices"], rows, "attach")


def _commands(commands: Sequence[str]) -> str:
    return element("pre", text("\n".join(commands))) if commands else ""


def _finding(finding: Finding, index: Index) -> str:
    said = [element("p", text(finding.summary))]
    if finding.undecided is not None:
        said.append(element("p", text(f"undecided: {finding.undecided}")))
    if finding.fix:
        effect = finding.fix_effect
        said.append(
            element("p", "to fix it:" if effect is None else text(f"this {effect}:"))
        )
        said.append(_commands(finding.fix))
    if finding.undo is not None:
        said.append(element("p", text(f"to undo it, {finding.undo.effect}:")))
        said.append(_commands(finding.undo.commands))
    if finding.then is not None:
        answer = finding.then.answer
        quoted = "" if answer.message is None else f' "{answer.message}"'
        then = (
            f"a native attach would then fail with {answer.errno}{quoted}: "
            f"{finding.then.because}"
        )
        said.append(element("p", text(then)))
    ref = finding.device
    where = "the kernel" if ref is None else _button(ref, index, words.reference(ref))
    of = "" if ref is None else str(index.get(ref.net_device, ""))
    return element(
        "article",
        element(
            "h3",
            element("span", severity_word(finding.severity), class_="severity"),
            " ",
            where,
            " ",
            element("code", text(finding.rule)),
        ),
        *said,
        class_=f"finding {finding.severity}",
        data_of=of or None,
    )


def _notes(notes: Sequence[Finding], index: Index, summary: str) -> Iterator[str]:
    # By rule, folded.
    rules: dict[str, list[Finding]] = {}
    for finding in notes:
        rules.setdefault(finding.rule, []).append(finding)
    for rule, found in rules.items():
        yield element(
            "details",
            element(
                "summary",
                element("code", text(rule)),
                text(f" {count(len(found), summary)}: {found[0].summary}"),
            ),
            later("".join(_finding(one, index) for one in found), len(found)),
        )


def findings_list(findings: Sequence[Finding], index: Index) -> str:
    """Return the findings, worst first; notes and what is undecided are folded."""
    decided = [finding for finding in findings if finding.undecided is None]
    worse = [finding for finding in decided if finding.severity != INFO]
    parts = [_finding(finding, index) for finding in worse]
    if not worse:
        parts.append(element("p", "No errors and no warnings."))
    notes = [finding for finding in decided if finding.severity == INFO]
    parts += _notes(notes, index, "note")
    undecided = [finding for finding in findings if finding.undecided is not None]
    undecided.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    parts += _notes(undecided, index, "undecided finding")
    return "".join(parts)
