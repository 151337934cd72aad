# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A comparison as a table
-----------------------

Grouped by namespace and device; ``+`` came, ``-`` went, ``~`` changed. Devices to which
the same happened are one entry.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
import sys
from typing import NamedTuple, Optional

from ..analysis.compare.records import (
    CAME,
    CHANGED,
    WENT,
    Comparison,
    DeviceChange,
    FindingChange,
    NamespaceChange,
    Unknown,
)
from ..analysis.rules.finding import INFO, severity_word
from ..core.english import count
from ..core.unreadable import Maybe
from . import compare_words as words
from .style import PLAIN, Style
from .width import flow, width, wrap
from .words import cell

__all__ = ("Source", "table")

_COLORS = {"+": "green", "-": "red", "~": "yellow"}


class _Most(NamedTuple):
    # What a table lists at most.
    names: int  # of devices to which the same happened
    entries: int  # of a namespace
    namespaces: int


_FEW = _Most(5, 40, 100)
_ALL = _Most(sys.maxsize, sys.maxsize, sys.maxsize)


class Source(NamedTuple):
    """Where a side comes from."""

    name: str  #: as the user called it
    read: Optional[int] = None  #: seconds since 1970, of a running kernel


class _Entry(NamedTuple):
    # What happened to a device.
    mark: str
    head: str  # after the names
    body: tuple[tuple[str, str], ...]  # a heading and a text
    findings: tuple[FindingChange, ...]


def _lines(text: str, style: Style, indent: int, rest: int) -> list[str]:
    return wrap(text, style.width, " " * indent, " " * rest)


def _marked(text: str, mark: str, style: Style, indent: int) -> list[str]:
    # A text behind a mark.
    first, *others = _lines(f"{mark} {text}", style, indent, indent + 4)
    start = " " * indent
    painted = style.paint(mark, _COLORS[mark], "bold")
    return [start + painted + first[len(start) + len(mark) :], *others]


def _names(names: Sequence[Maybe[str]], most: int) -> str:
    shown = ", ".join(map(cell, names[:most]))
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def _pairs(body: Sequence[tuple[str, str]], style: Style, indent: int) -> list[str]:
    # Headings of one width, and texts beside them.
    column = max((width(heading) for heading, _ in body), default=0)
    lines = []
    for heading, text in body:
        blank = " " * (column - width(heading) + 2)
        start = f"{' ' * indent}{heading}{blank}"
        rest = min(len(start), style.width // 2)
        lines += wrap(text, style.width, start, " " * rest)
    return lines


def _finding_lines(finding: FindingChange, style: Style, indent: int) -> list[str]:
    mark = words.MARKS[finding.change]
    text = f"{severity_word(finding.severity)}[{finding.rule}] {finding.summary}"
    if finding.change == CHANGED:
        severities = " -> ".join(map(severity_word, finding.changes[0][1:]))
        text = f"[{finding.rule}] {severities}: {finding.summary}"
    if finding.undecided is not None:
        text += f" (undecided: {finding.undecided})"
    return _marked(cell(text), mark, style, indent)


def _entry(device: Optional[DeviceChange], findings: Sequence[FindingChange]) -> _Entry:
    if device is None:
        return _Entry(words.MARKS[CHANGED], "", (), tuple(findings))
    body = tuple(
        (words.key_words(one.key), words.change(one)) for one in device.changes
    )
    head = words.summary(device.values) if device.values else ""
    return _Entry(words.MARKS[device.change], head, body, tuple(findings))


class _Group:
    # What happened in a namespace.
    def __init__(self) -> None:
        self.namespaces: list[NamespaceChange] = []
        self.devices: dict[Maybe[Optional[str]], list[DeviceChange]] = {}
        self.findings: dict[Maybe[Optional[str]], list[FindingChange]] = {}

    def _folded(self) -> list[tuple[_Entry, list[Maybe[Optional[str]]]]]:
        entries: list[tuple[_Entry, list[Maybe[Optional[str]]]]] = []
        alike: dict[object, list[Maybe[Optional[str]]]] = {}
        # What came or went with its namespace is in one line, unless it is special.
        whole = any(one.change != CHANGED for one in self.namespaces)
        for name in dict.fromkeys([*self.devices, *self.findings]):
            found = self.findings.get(name, [])
            devices: list[Optional[DeviceChange]] = [*self.devices.get(name, [])]
            for device in devices or [None]:
                if whole and device is not None and not found:
                    if not _has_program(device):
                        continue
                entry = _entry(device, found)
                found = []
                said = [(f.change, f.rule, f.summary) for f in entry.findings]
                key = (entry.mark, entry.head, entry.body, tuple(said))
                if key in alike:
                    alike[key].append(name)
                else:
                    alike[key] = [name]
                    entries.append((entry, alike[key]))
        return entries

    def lines(self, label: str, style: Style, most: _Most) -> Iterator[str]:
        """Yield the lines of the namespace."""
        changes = [one for one in self.namespaces if one.change == CHANGED]
        for one in self.namespaces:
            if one.change != CHANGED:
                mark = words.MARKS[one.change]
                text = (
                    f"namespace {cell(label)} with {count(len(one.devices), 'device')}"
                )
                text += f": {_names(one.devices, most.names)}" if one.devices else ""
                yield from _marked(text, mark, style, 0)
        if len(changes) == len(self.namespaces):
            for line in wrap(cell(label) or "?", style.width):
                yield style.paint(line, "bold")
        for one in changes:
            yield from _marked("this namespace", "~", style, 2)
            body = [(words.key_words(c.key), words.change(c)) for c in one.changes]
            yield from _pairs(body, style, 6)
        entries = self._folded()
        if len(entries) > most.entries:
            entries.sort(key=lambda entry: entry[0].mark != "~")
        for entry, names in entries[: most.entries]:
            text = _names(names, most.names)  # type: ignore[arg-type]
            if entry.head:
                text += f"  {entry.head}"
            yield from _marked(text, entry.mark, style, 2)
            yield from _pairs(entry.body, style, 6)
            for finding in entry.findings:
                yield from _finding_lines(finding, style, 6)
        more = sum(len(names) for _, names in entries[most.entries :])
        if more:
            text = f"and {count(more, 'device')} more: --all, or name some"
            yield from _lines(text, style, 2, 4)


def _has_program(device: DeviceChange) -> bool:
    modes = ("generic", "driver", "offload")
    return any(device.values.get(f"xdp.{mode}") is not None for mode in modes)


def _groups(
    comparison: Comparison, findings: Iterable[FindingChange]
) -> dict[str, _Group]:
    found: dict[str, _Group] = {}

    def group(label: str) -> _Group:
        return found.setdefault(label, _Group())

    for namespace in comparison.namespaces:
        group(namespace.netns).namespaces.append(namespace)
    for device in comparison.devices:
        group(device.netns).devices.setdefault(device.name, []).append(device)
    for finding in findings:
        if finding.device is not None:
            inside = group(finding.device.netns).findings
            inside.setdefault(finding.device.name, []).append(finding)
    order = sorted(found, key=lambda label: (label != "host", label))
    return {label: found[label] for label in order}


def _head(
    comparison: Comparison, sources: tuple[Source, Source], style: Style
) -> Iterator[str]:
    targets = (comparison.a, comparison.b)
    for side, source, target in zip("AB", sources, targets):
        parts = [f"{side}  {cell(source.name)}"]
        parts += words.target_words(target, source.read)
        first, *others = flow(parts, style.width, rest="   ")
        yield style.paint(side, "bold") + first[1:]
        yield from others
    if comparison.same_boot is not None:
        said = "both seem to be from the same boot"
        if not comparison.same_boot:
            said = "different boots: MAC and link-local addresses are not compared"
        yield from _lines(said, style, 3, 3)


def _number(noun: str, changes: Iterable[str], same: int = 0) -> str:
    numbers = Counter(changes)
    said = [f"{numbers[one]} {one}" for one in (CAME, WENT, CHANGED) if numbers[one]]
    said += [f"{same} in both"] * bool(same)
    return f"{noun}: {', '.join(said)}" if said else ""


def _totals(comparison: Comparison, notes: int) -> str:
    shown = [one for one in comparison.findings if one.severity != INFO]
    same = sum(n for severity, n in comparison.unchanged.items() if severity != INFO)
    parts = [
        "" if comparison.differ else "no difference",
        _number("kernel", [CHANGED] * len(comparison.target)),
        _number("namespaces", (one.change for one in comparison.namespaces)),
        _number("devices", (one.change for one in comparison.devices)),
        _number("pairs", (one.change for one in comparison.pairs)),
        _number("findings", (one.change for one in shown), same) or "findings: none",
        f"notes: {notes} more, which --notes shows" if notes else "",
    ]
    return "; ".join(filter(None, parts))


def _where(unknown: Unknown) -> str:
    if unknown.netns is None:
        return "the kernel"
    if unknown.name is None:
        return f"namespace {cell(unknown.netns)}"
    return f"{cell(unknown.name)} ({cell(unknown.netns)})"


def _unknown(unknown: Sequence[Unknown]) -> str:
    first = unknown[0]
    sides = Counter(one.side for one in unknown)
    where = [
        f"{number} in {side.upper() if side != 'both' else 'A and B'}"
        for side, number in sorted(sides.items())
    ]
    return (
        f"not known, so not compared: {', '.join(where)}; the first is "
        f"{words.key_words(first.key)} of {_where(first)}: {cell(first.why)}; "
        "--format json lists all"
    )


def _spaced(parts: Iterable[list[str]]) -> Iterator[str]:
    # An empty line between two parts, unless both have one line.
    before = 0
    for lines in parts:
        if before:
            yield "\n" if before == len(lines) == 1 else "\n\n"
        yield "\n".join(lines)
        before = len(lines)


def table(
    comparison: Comparison,
    sources: tuple[Source, Source],
    style: Style = PLAIN,
    notes: bool = False,
    everything: bool = False,
) -> str:
    """
    Return a comparison as text, no wider than the screen.

    :param sources: Of the report before and of the one after
    :param notes: Whether to show findings that are only notes
    :param everything: Whether to list all, however much that is
    """
    most = _ALL if everything else _FEW
    shown = [one for one in comparison.findings if notes or one.severity != INFO]
    parts = [list(_head(comparison, sources, style))]
    kernel = [(words.key_words(c.key), words.change(c)) for c in comparison.target]
    about = [finding for finding in shown if finding.device is None]
    if kernel or about:
        lines = [style.paint("kernel", "bold")]
        lines += _pairs([(f"~ {key}", text) for key, text in kernel], style, 2)
        for finding in about:
            lines += _finding_lines(finding, style, 2)
        parts.append(lines)
    groups = _groups(comparison, shown)
    for label in list(groups)[: most.namespaces]:
        parts.append(list(groups[label].lines(label, style, most)))
    more = len(groups) - most.namespaces
    if more > 0:
        text = f"and {count(more, 'namespace')} more: --all, or --netns NETNS"
        parts.append(_lines(text, style, 0, 2))
    end = _lines(
        _totals(comparison, len(comparison.findings) - len(shown)), style, 0, 2
    )
    if comparison.unknown:
        end += _lines(_unknown(comparison.unknown), style, 0, 2)
    return "".join([*_spaced(parts), "\n\n", "\n".join(end), "\n"])
