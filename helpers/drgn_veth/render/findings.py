# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Findings on a screen
--------------------

Worst first, at most 120 columns wide. Longer words of commands are not wrapped, so that
you can copy the commands.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
import textwrap
from typing import (
    Callable,
    Optional,
)

from ..analysis.rules.finding import INFO, SEVERITIES, Finding, Then, Undo
from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import DeviceRef
from . import words
from .escape import for_terminal

__all__ = ("findings",)

_WIDTH = 120
_INDENT = " " * 4
# Of more errors or warnings of one rule, the rest is only counted.
_MOST = 10


def _device(ref: Optional[DeviceRef]) -> str:
    if ref is None:
        return "the kernel"
    return f"{words.netns(ref)} {words.cell(ref.ifindex)}: {words.cell(ref.name)}"


def _wrapped(text: str, first: str = "", rest: str = _INDENT) -> list[str]:
    return textwrap.wrap(
        for_terminal(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )


def _shell_words(command: str) -> Iterator[str]:
    # The words of a command as written, with their quotes.
    word = ""
    quote = ""
    escaped = False
    for char in command:
        if char == " " and not quote and not escaped:
            yield word
            word = ""
            continue
        word += char
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char in "'\"" and quote in ("", char):
            # $'...' takes a backslash, '...' does not; shell_quote() makes both.
            quote = "" if quote else char
    yield word


def _command(command: str, mark: str = "$") -> Iterator[str]:
    first = line = f"{_INDENT}{mark}"
    for word in _shell_words(for_terminal(command)):
        if len(line) + len(word) > _WIDTH - len("  \\") and line != first:
            yield f"{line} \\"
            line = f"{_INDENT}   "
        line = f"{line} {word}"
    yield line


def _undo(undo: Undo) -> Iterator[str]:
    # Without "$": these commands fix nothing.
    said = f"to undo it, {undo.effect}:"
    if len(undo.commands) == 1:
        line = f"{_INDENT}{said} {for_terminal(undo.commands[0])}"
        if len(line) <= _WIDTH:
            yield line
            return
    yield from _wrapped(said, _INDENT)
    for command in undo.commands:
        yield from _command(command, "  ")


def _then(then: Then) -> Iterator[str]:
    answer = then.answer
    message = "" if answer.message is None else f' "{answer.message}"'
    said = (
        f"a native attach would then fail with {answer.errno}{message}: {then.because}"
    )
    yield from _wrapped(said, _INDENT)


def _whole(finding: Finding) -> Iterator[str]:
    yield from _wrapped(
        f"{finding.severity:<8} {finding.rule}  {_device(finding.device)}"
    )
    yield from _wrapped(finding.summary, _INDENT)
    if finding.undecided is not None:
        yield from _wrapped(f"undecided: {finding.undecided}", _INDENT)
    if finding.fix_effect is not None:
        yield from _wrapped(f"this {finding.fix_effect}:", _INDENT)
    for command in finding.fix:
        yield from _command(command)
    if finding.undo is not None:
        yield from _undo(finding.undo)
    if finding.then is not None:
        yield from _then(finding.then)


def _missing(finding: Finding) -> Optional[str]:
    # Why a finding could not be decided, if it says nothing else.
    if finding.undecided is not None and len(finding.evidence) == 1:
        _, value = finding.evidence[0]
        if isinstance(value, Unreadable):
            return value.reason
    return None


def _such(group: Sequence[Finding]) -> str:
    such = f"{len(group)}, such as" if len(group) > 1 else "1:"
    return f"{such} {_device(group[0].device)}"


def _folded(group: Sequence[Finding]) -> list[str]:
    first = group[0]
    said = first.summary
    if first.undecided is not None:
        said = f"{said}; undecided: {first.undecided}"
    return _wrapped(f"{first.severity:<8} {first.rule}  {_such(group)}: {said}")


def _names(names: Sequence[str]) -> str:
    # As many as fit in one line.
    line = f"{_INDENT}in {names[0]}"
    for i, name in enumerate(names[1:], 1):
        more = f" and {len(names) - i} more"
        rest = "" if i + 1 == len(names) else f" and {len(names) - i - 1} more"
        if len(f"{line}, {name}{rest}") > _WIDTH:
            return f"{line}{more}"
        line = f"{line}, {name}"
    return line


def _grouped(
    findings: Iterable[Finding], key: Callable[[Finding], Hashable]
) -> list[list[Finding]]:
    # Groups in the order of their first members.
    groups: dict[Hashable, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(key(finding), []).append(finding)
    return list(groups.values())


def _undecided(found: Sequence[Finding]) -> Iterator[str]:
    # One unreadable value, or one reason, may stop many rules on many devices.
    groups = _grouped(found, _missing)
    for group in groups[:_MOST]:
        said = f"{_such(group)}: {group[0].undecided}"
        yield from _wrapped(f"{group[0].severity:<8} undecided  {said}")
        yield _names(sorted({finding.rule for finding in group}))
    rest = sum(map(len, groups[_MOST:]))
    if rest:
        yield f"{INFO:<8} {rest} more undecided; --findings all lists them"


def _key(finding: Finding) -> tuple[str, str, bool]:
    return finding.severity, finding.rule, finding.undecided is not None


def _group(group: Sequence[Finding]) -> Iterator[str]:
    if group[0].severity == INFO and len(group) > 1:
        yield from _folded(group)
        return
    for finding in group[:_MOST]:
        yield from _whole(finding)
    more = len(group) - _MOST
    if more > 0:
        yield (
            f"{group[0].severity:<8} {group[0].rule}  {more} more; --findings all "
            "lists them"
        )


def findings(found: Sequence[Finding], unfold: bool = False) -> str:
    """
    Return findings, "" if there are none.

    :param found: In the order of :func:`~drgn_veth.analysis.diagnose.diagnose()`
    :param unfold: Show each finding, instead of the infos of one rule as a count and an
        example
    """
    if not found:
        return ""
    settled = Counter(f.severity for f in found if f.undecided is None)
    counts = [
        count(settled[severity], severity)
        for severity in SEVERITIES
        if settled[severity]
    ]
    undecided = len(found) - sum(settled.values())
    if undecided:
        counts.append(f"{undecided} undecided")
    lines = [f"found: {', '.join(counts)}; --explain RULE says more", ""]
    if unfold:
        for finding in found:
            lines.extend(_whole(finding))
    else:
        decided = [finding for finding in found if _missing(finding) is None]
        for group in _grouped(decided, _key):
            lines.extend(_group(group))
        lines.extend(_undecided([f for f in found if _missing(f) is not None]))
    return "\n".join(lines)
