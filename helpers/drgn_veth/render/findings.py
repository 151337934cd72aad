# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Findings on a screen
--------------------

Errors and warnings, worst first; and what is called a note on a screen, and ``info`` in
the JSON.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import (
    Callable,
    Optional,
)

from ..analysis.held import NO_WAY_IN
from ..analysis.remedies import lowers, lowers_which
from ..analysis.rules.finding import (
    INFO,
    WAY_IN,
    Finding,
    Then,
    Undo,
    Value,
    severity_word,
)
from ..analysis.shell_loop import combined
from ..core.unreadable import Unreadable
from ..model import DeviceRef
from . import words
from .commands import command, one_line
from .escape import for_terminal
from .native import names, refusal_words
from .style import PLAIN, Style
from .width import width, wrap

__all__ = ("findings", "in_full", "notes")

_INDENT = "  "
# More findings of one rule than this are one entry, with the names of the first.
_APART = 3
_NAMES = 5
_COMMANDS = 5
_LOWERED = 8  # names of devices
_LOOP = 1000  # characters of a command for many
_REASONS = 10


_COLOURS = {"error": ("red", "bold"), "warning": ("yellow", "bold")}


def _device(ref: Optional[DeviceRef]) -> str:
    if ref is None:
        return "the kernel"
    return f"{words.cell(ref.name)} ({words.netns(ref)})"


def _title(severity: str, rule: str) -> str:
    return f"{severity_word(severity)}[{rule}]"


def _wrapped(text: str, style: Style, first: str = _INDENT) -> list[str]:
    shown = style.shown(for_terminal(text))
    return wrap(shown, style.width, first, f"{_INDENT}  " if first else _INDENT)


def _headed(severity: str, rule: str, said: str, style: Style) -> list[str]:
    title = _title(severity, rule)
    lines = _wrapped(f"{title} {said}", style, "")
    if lines[0].startswith(title):
        painted = style.paint(title, *_COLOURS.get(severity, ("cyan",)))
        lines[0] = painted + lines[0][len(title) :]
    return lines


def _commands(commands: Sequence[str], mark: str, style: Style) -> Iterator[str]:
    # The first is marked, the others are below it.
    for i, text in enumerate(commands):
        yield from command(text, " " * len(mark) if i else mark, style)


def _undo(undo: Undo, style: Style) -> Iterator[str]:
    said = f"to undo it, {undo.effect}:"
    if len(undo.commands) == 1:
        line = f"{_INDENT}{style.shown(for_terminal(said))} "
        line += one_line(undo.commands[0], style)
        if width(line) <= style.width:
            yield line
            return
    yield from _wrapped(said, style)
    yield from _commands(undo.commands, _INDENT * 2, style)


def _then(then: Then, style: Style) -> Iterator[str]:
    answer = then.answer
    message = "" if answer.message is None else f' "{answer.message}"'
    said = (
        f"a native attach would then fail with {answer.errno}{message}: {then.because}"
    )
    yield from _wrapped(said, style)


def _cure(finding: Finding, style: Style) -> Iterator[str]:
    if finding.fix_effect is not None:
        yield from _wrapped(f"the fix {finding.fix_effect}:", style)
    yield from _commands(finding.fix, f"{_INDENT}fix: ", style)
    if finding.undo is not None:
        yield from _undo(finding.undo, style)
    if finding.then is not None:
        yield from _then(finding.then, style)


def _value(value: Value) -> str:
    if isinstance(value, tuple):
        cells = list(map(words.cell, value))
        between = "; " if any(" " in cell for cell in cells) else " "
        return between.join(cells) or "none"
    return words.cell(value, "none") or "none"


def _compared(finding: Finding, style: Style) -> Iterator[str]:
    parts = [f"{name} {_value(v)}" for name, v in finding.evidence if name != WAY_IN]
    if parts:
        said = ", ".join(parts)
        yield from _wrapped(f"compared: {said}", style)
    kernel = finding.kernel
    if kernel is not None and kernel.function:
        parts = [f"{kernel.function}()"]
        if kernel.errno is not None:
            parts.append(refusal_words(kernel.errno, kernel.message))
        elif kernel.message is not None:
            parts.append(f'"{kernel.message}"')
        yield from _wrapped(f"kernel: {': '.join(parts)}", style)


def _way_in(finding: Finding, style: Style) -> Iterator[str]:
    for name, way in finding.evidence:
        if name == WAY_IN and isinstance(way, str):
            yield from command(way, f"{_INDENT}{WAY_IN}: ", style)
        elif name == WAY_IN:
            yield from _wrapped(f"{WAY_IN}: none; {NO_WAY_IN}", style)


def _whole(finding: Finding, style: Style, evidence: bool = False) -> Iterator[str]:
    said = f"{_device(finding.device)}: {finding.summary}"
    yield from _headed(finding.severity, finding.rule, said, style)
    if finding.undecided is not None:
        yield from _wrapped(f"undecided: {finding.undecided}", style)
    if evidence:
        yield from _compared(finding, style)
    yield from _way_in(finding, style)
    yield from _cure(finding, style)


def _lowered(group: Sequence[Finding]) -> Sequence[str]:
    # Of which devices the fixes lower the MTU, none if some do something else.
    one_place = len({f.device.netns for f in group if f.device is not None}) == 1
    found: dict[str, None] = {}
    for finding in group:
        which = lowers_which(finding.fix_effect or "")
        if which is None or finding.device is None:
            return ()
        for name in which:
            # A name without a namespace is in that of the finding.
            if not one_place and not name.endswith(")"):
                name += f" ({words.netns(finding.device)})"
            found[name.replace(" (netns ", " (")] = None
    return list(found)


def _listed(texts: Sequence[str], most: int) -> str:
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most:,} more"
    *some, last = texts
    return f"{', '.join(some)} and {last}" if some else last


def _effect(group: Sequence[Finding]) -> str:
    # What the commands for many devices do besides, on all of them.
    lowered = _lowered(group)
    if lowered:
        return f"the fix {lowers([_listed(lowered, _LOWERED)])}"
    effects = {finding.fix_effect for finding in group}
    if len(effects) == 1:
        (effect,) = effects
        return "" if effect is None else f"the fix {effect}"
    said = [f for f in group if f.fix_effect is not None]
    each = [f"for {_device(f.device)} {f.fix_effect}" for f in said[:_NAMES]]
    more = len(said) - len(each)
    rest = f"; for {more:,} more: --rule {group[0].rule}" if more > 0 else ""
    return f"the fix {'; '.join(each)}{rest}"


def _many(group: Sequence[Finding], style: Style) -> Iterator[str]:
    # One entry for many devices: the first names, what the first says, one command.
    first = group[0]
    devices = list(dict.fromkeys(finding.device for finding in group))
    who = ", ".join(map(_device, devices[:_NAMES]))
    more = len(devices) - _NAMES
    if more > 0:
        who += f" and {more:,} more"
    said = f"{len(devices):,} devices: {who}"
    yield from _headed(first.severity, first.rule, said, style)
    example = f"{_device(first.device)}: {first.summary}"
    if first.undecided is not None:
        example += f"; undecided: {first.undecided}"
    yield from _wrapped(example, style)
    commands = list(dict.fromkeys(text for f in group for text in f.fix))
    if not commands:
        return
    effect = _effect([finding for finding in group if finding.fix])
    if effect:
        yield from _wrapped(f"{effect}:", style)
    one = combined(commands)
    if one is not None and len(one) <= _LOOP:
        yield from _commands((one,), f"{_INDENT}fix: ", style)
        return
    yield from _commands(commands[:_COMMANDS], f"{_INDENT}fix: ", style)
    rest = len(commands) - _COMMANDS
    if rest > 0:
        yield f"{_INDENT}     and {rest:,} more: --rule {first.rule}"


def _grouped(
    found: Iterable[Finding], key: Callable[[Finding], Hashable]
) -> list[list[Finding]]:
    # Groups in the order of their first members.
    groups: dict[Hashable, list[Finding]] = {}
    for finding in found:
        groups.setdefault(key(finding), []).append(finding)
    return list(groups.values())


def _key(finding: Finding) -> tuple[str, str, bool]:
    return finding.severity, finding.rule, finding.undecided is not None


def _by_rule(found: Sequence[Finding], style: Style, apart: int) -> list[list[str]]:
    entries = []
    for group in _grouped(found, _key):
        if len(group) > apart:
            entries.append(list(_many(group, style)))
        else:
            entries += [list(_whole(finding, style)) for finding in group]
    return entries


def _missing(finding: Finding) -> Optional[str]:
    # Why a finding could not be decided, if it says nothing else.
    if finding.undecided is not None and len(finding.evidence) == 1:
        _, value = finding.evidence[0]
        if isinstance(value, Unreadable):
            return value.reason
    return None


def _undecided(found: Sequence[Finding], style: Style) -> Iterator[list[str]]:
    # One unreadable value, or one reason, may stop many rules on many devices.
    groups = _grouped(found, _missing)
    for group in groups[:_REASONS]:
        such = f"{len(group):,}, such as " if len(group) > 1 else ""
        said = f"undecided: {such}{_device(group[0].device)}: {group[0].undecided}"
        rules = sorted({finding.rule for finding in group})
        start = f"{_INDENT}in "
        listed = names(rules, style.width - len(start), style.ellipsis)
        yield [*_wrapped(said, style, ""), f"{start}{listed}"]
    rest = sum(map(len, groups[_REASONS:]))
    if rest:
        yield _wrapped(f"undecided: {rest:,} more; --rule RULE lists them", style, "")


def _said(entries: Iterable[Iterable[str]]) -> list[str]:
    return [line for lines in entries for line in lines]


def findings(found: Sequence[Finding], style: Style = PLAIN) -> list[str]:
    """
    Return the lines of the errors and warnings; many of one rule are one entry.

    :param found: In the order of :func:`~drgn_veth.analysis.diagnose.diagnose()`
    """
    worse = [finding for finding in found if finding.severity != INFO]
    return _said(_by_rule(worse, style, _APART))


def notes(found: Sequence[Finding], style: Style = PLAIN) -> list[str]:
    """Return the lines of the notes, and of what is undecided."""
    infos = [finding for finding in found if finding.severity == INFO]
    decided = [finding for finding in infos if _missing(finding) is None]
    entries = _by_rule(decided, style, 1)
    rest = [finding for finding in infos if _missing(finding) is not None]
    return _said([*entries, *_undecided(rest, style)])


def in_full(found: Sequence[Finding], style: Style = PLAIN) -> list[str]:
    """Return the lines of each finding, with the values that were compared."""
    return _said(_whole(finding, style, evidence=True) for finding in found)
