# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Explanations
------------

What an errno or a message of an XDP attach means, in general and on one kernel: which
checks give it, what they compare, how to fix it, and which devices meet it.
"""

from collections.abc import Iterator, Sequence
import errno as _errno
import os
from typing import NamedTuple, Optional

from ..analysis.attach.drivers import DRIVERS
from ..analysis.attach.predictor import MODES
from ..analysis.attach.question import errno_name
from ..analysis.explain.check import Check
from ..analysis.explain.checks import function_in, is_made
from ..analysis.explain.met import Met, Undecided
from ..analysis.explain.topics import Topic, errnos
from ..analysis.rules import RULES
from ..analysis.rules.finding import SEVERITIES, Finding, severity_word
from ..analysis.rules.page import explain as rule_page
from ..analysis.rules.rule import Rule, Sign
from ..core.english import count
from ..core.unreadable import Unreadable
from ..model import Kernel
from . import words
from .commands import command, hint
from .escape import for_terminal
from .style import PLAIN, Style
from .width import KEEP, wrap

__all__ = ("Here", "index", "rules_of", "topic")

_LABEL = 10  # columns of the names of facts
_MOST_CHECKS = 3
_MOST = 12  # devices that are shown with their numbers
_MOST_NAMES = 60  # and that are named
_WIDEST_RULE = 88
_OFFLOAD = ("offload",)


class Here(NamedTuple):
    """What was found on one kernel."""

    name: str  #: its release
    kernel: Optional[Kernel]  #: None: it is older than v5.9
    met: Sequence[Met]
    undecided: Undecided
    findings: Sequence[Finding] = ()  #: if a rule is explained


def _fact(name: str, text: str, style: Style, indent: int = 2) -> Iterator[str]:
    first = " " * indent + name.ljust(_LABEL)
    lines = wrap(text, style.width, first, " " * len(first))
    if lines and name:
        head = " " * indent + style.paint(name, "bold")
        lines[0] = head + lines[0][indent + len(name) :]
    yield from lines


def _modes(check: Check) -> str:
    if check.modes == MODES:
        text = "each mode"
    elif check.modes == ("default", "driver"):
        text = "driver (native), and no mode: that means driver mode if the driver has "
        text += "ndo_bpf. Generic mode does not reach this check"
    elif check.modes == ("default", "generic"):
        text = "generic, and no mode if the driver has no ndo_bpf"
    else:
        text = ", ".join(check.modes)
    return text if check.via is None else f"{text}; only by {check.via}"


def _kernels(check: Check, here: Optional[Here]) -> str:
    if here is None or here.kernel is None:
        return check.kernels
    made = is_made(check, here.kernel)
    name = for_terminal(here.name)
    if isinstance(made, Unreadable):
        return f"{check.kernels}; {name}: unknown, {for_terminal(made.reason)}"
    return f"{check.kernels}; {name} {'has it' if made else 'does not have it'}"


def rules_of(check: Check) -> list[str]:
    """Return the rules that have a check's message among their symptoms."""
    sign = Sign("message", check.message or "")
    return [rule.id for rule in RULES if sign in rule.symptoms]


def _check(check: Check, here: Optional[Here], style: Style) -> Iterator[str]:
    function = function_in(check, None if here is None else here.kernel)
    name = f"{function}(), {check.place}: {check.errno}"
    yield from wrap(name, style.width, rest="  ")
    message = "no message" if check.message is None else f'"{check.message}"'
    yield from _fact("says", message, style)
    yield from _fact("compares", check.compares, style)
    yield from _fact("modes", _modes(check), style)
    yield from _fact("kernels", _kernels(check, here), style)
    yield from _fact("to fix", check.mend, style)
    rules = rules_of(check)
    if rules:
        yield from _fact("rule", ", ".join(rules), style)
    if not check.predicted:
        why = "drgn-veth does not predict it: no dump shows what it depends on"
        yield from _fact("devices", why, style)
    elif here is not None and here.kernel is not None:
        yield from _devices([one for one in here.met if one.check is check], style)


def _name(met: Met) -> str:
    device = met.device
    return f"{words.cell(device.name)}{KEEP}({words.netns(device.ref)})"


def _how(met: Met) -> str:
    # In which modes, by which way, with which programs.
    text = ", ".join(met.modes)
    if len(met.vias) == 1 and met.check.via is None:
        text += f" by {met.vias[0]}"
    if len(met.frags) == 1:
        text += " with fragments" if met.frags[0] else " without fragments"
    if met.after:
        text += f", after {', '.join(met.after)}"
    return text


def _detail(met: Met, style: Style) -> Iterator[str]:
    yield from wrap(f"{_name(met)}: {_how(met)}", style.width, "    ", "      ")
    yield from wrap(for_terminal(met.because), style.width, "      ", "      ")
    if met.after:
        return  # Other commands come first.
    if met.fix_effect is not None:
        effect = for_terminal(f"this {met.fix_effect}:")
        yield from wrap(effect, style.width, "      ", "      ")
    for fix in met.fix:
        yield from command(fix, "      $ ", style)
    if _has_way_out(met):
        yield from wrap(_WAY_OUT, style.width, "      ", "      ")


_WAY_OUT = "generic mode would be accepted: xdpgeneric"


def _has_way_out(met: Met) -> bool:
    native = {"default", "driver"}.intersection(met.modes)
    return bool(native) and met.generic_ok and not met.after


def _names(found: Sequence[Met], most: int = _MOST_NAMES) -> str:
    return _list(list(dict.fromkeys(map(_name, found))), most)


def _list(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _devices(found: Sequence[Met], style: Style) -> Iterator[str]:
    now = [one for one in found if not one.after]
    later = [one for one in found if one.after]
    there = len({id(one.device) for one in now})
    text = f"{count(there, 'device')} here meet{'s' * (there == 1)} it now"
    if all(one.modes == _OFFLOAD for one in now):
        text += ", for offload"
    yield from _fact("devices", text if there else "none here meets it now", style)
    yield from _shown(now, style)
    if later:
        there = len({id(one.device) for one in later})
        verb = "is" if there == 1 else "are"
        text = f"{count(there, 'device')} {verb} refused earlier and would meet it next"
        yield from _fact("", text, style)
        yield from _shown(later, style)
        call = f"{style.calls.attach} DEVICE"
        yield from hint("all commands, in order", call, style, "    ", "      ")


def _shown(found: Sequence[Met], style: Style) -> Iterator[str]:
    # Those of which the kernel says the same are one entry.
    same: dict[tuple[str, str, tuple[str, ...]], list[Met]] = {}
    for one in found:
        same.setdefault((_how(one), one.because, one.fix), []).append(one)
    left: list[Met] = []
    for i, group in enumerate(same.values()):
        if i >= _MOST:
            left += group
        elif len(group) == 1:
            yield from _detail(group[0], style)
        else:
            text = f"{_names(group)}: {_how(group[0])}"
            yield from wrap(text, style.width, "    ", "      ")
            because = for_terminal(group[0].because)
            yield from wrap(because, style.width, "      ", "      ")
            if all(map(_has_way_out, group)):
                yield from wrap(_WAY_OUT, style.width, "      ", "      ")
    if left:
        yield from wrap(f"and also {_names(left)}", style.width, "    ", "      ")


def _head(topic: Topic, style: Style) -> Iterator[str]:
    if topic.errno is not None:
        name = errno_name(topic.errno)
        title = f"{name} ({topic.errno}): {os.strerror(topic.errno)}"
    else:
        title = for_terminal(f"{topic.message!r}")
    for line in wrap(title, style.width, rest="  "):
        yield style.paint(line, "bold")


def _summary(topic: Topic, here: Optional[Here]) -> str:
    if not topic.checks:
        known = ", ".join(DRIVERS)
        return (
            "No check of an XDP attach that drgn-veth knows returns it. The driver has "
            f"the final say: drgn-veth knows what {known} answer; the ndo_bpf of "
            "another driver may return any errno."
        )
    number = len(topic.checks)
    what = "it" if topic.errno is not None else "this message"
    text = f"{number} checks in the kernel return {what}."
    if number == 1:
        text = f"One check in the kernel returns {what}."
    if here is None:
        return text
    if here.kernel is None:
        name = for_terminal(here.name)
        return f"{text} (in general; {name} is older than v5.9: it differs)"
    mine = [one for one in here.met if one.check in topic.checks]
    return f"{text} On {for_terminal(here.name)}, {_would_get(mine)}."


def _others(number: int) -> str:
    return f"{number} {'other is' if number == 1 else 'others are'}"


def _would_get(mine: Sequence[Met]) -> str:
    # Nobody asks for offload unless the network card is made for it.
    asked = [one for one in mine if one.modes != _OFFLOAD]
    now = [one for one in asked if not one.after]
    there = {id(one.device) for one in now}
    later = [one for one in asked if id(one.device) not in there]
    text = "no device would get it now"
    if now:
        text = f"{count(len(there), 'device')} would get it now: {_names(now, _MOST)}"
    seen = there | {id(one.device) for one in later}
    if later:
        more = _others(len(seen) - len(there)) if now else count(len(seen), "device")
        more = more if now else f"{more} {'is' if len(seen) == 1 else 'are'}"
        text += f"; {more} refused earlier and would get it next: "
        text += _names(later, _MOST)
    rest = {id(m.device) for m in mine if m.modes == _OFFLOAD and not m.after} - there
    if rest:
        more = f"{len(rest)} more" if now else count(len(rest), "device")
        text += f"; for offload, {more} would"
    return text


_IN_SHORT = (
    "No device here meets these now; explain with a part of the message says more:"
)


def _sorted(
    topic: Topic, here: Optional[Here]
) -> tuple[Sequence[Check], Sequence[Check]]:
    # Of many checks, those that no device meets are told in short.
    if here is None or here.kernel is None or len(topic.checks) <= _MOST_CHECKS:
        return topic.checks, ()
    there = {one.check.key for one in here.met}
    in_full = [check for check in topic.checks if check.key in there]
    in_full.sort(key=lambda check: check.modes == _OFFLOAD)
    return in_full, [check for check in topic.checks if check.key not in there]


def _short(check: Check, here: Optional[Here], style: Style) -> Iterator[str]:
    function = function_in(check, None if here is None else here.kernel)
    said = check.compares if check.message is None else f'"{check.message}"'
    yield from wrap(f"{function}(): {said}", style.width, "  ", "    ")


def _uncertain(here: Here, style: Style) -> Iterator[list[str]]:
    drivers, unread = here.undecided
    if drivers:
        listed = ", ".join(
            f"{for_terminal(name)} ({count(number, 'device')})"
            for name, number in sorted(drivers.items())
        )
        yield wrap(
            "Up to the driver, which drgn-veth does not know, and which may return any "
            f"errno in driver mode: {listed}.",
            style.width,
        )
    if unread:
        yield hint(
            f"Unknown for {count(unread, 'device')} in driver mode: a value, or the "
            "kernel's code, could not be read. Which",
            f"{style.calls.attach} DEVICE",
            style,
        )


def _found_on(found: Sequence[Finding]) -> str:
    # How many devices, and which.
    refs = list(dict.fromkeys(finding.device for finding in found))
    if None in refs:
        return "all devices"
    names = [f"{words.cell(ref.name)}{KEEP}({words.netns(ref)})" for ref in refs if ref]
    return f"{count(len(names), 'device')}: {_list(names, _MOST)}"


def _found(rule: Rule, here: Here, style: Style) -> Iterator[str]:
    # What a rule finds on one kernel.
    mine = [finding for finding in here.findings if finding.rule == rule.id]
    sure = [finding for finding in mine if finding.undecided is None]
    unsure = [finding for finding in mine if finding.undecided is not None]
    where = f"On {for_terminal(here.name)}, this rule "
    text = f"finds {_found_on(sure)}." if sure else "finds no device here."
    if unsure:
        text += f" It cannot decide on {_found_on(unsure)}."
    if mine:
        call = f"{style.calls.report} --rule {rule.id}"
        narrow = style._replace(width=min(style.width, _WIDEST_RULE))
        yield from hint(f"{where}{text} Each of them", call, narrow)
        return
    yield from wrap(where + text, min(style.width, _WIDEST_RULE))


def topic(topic: Topic, style: Style = PLAIN, here: Optional[Here] = None) -> str:
    """
    Return what is known about an errno, a message or a rule.

    :param here: What was found on one kernel, None without one
    """
    if topic.rule is not None:
        page = rule_page(topic.rule, min(style.width, _WIDEST_RULE))
        if here is None:
            return page
        return "\n".join([page, *_found(topic.rule, here, style)]) + "\n"
    lines = [*_head(topic, style), ""]
    if topic.checks or not topic.rules:
        lines += wrap(_summary(topic, here), style.width)
    in_full, in_short = _sorted(topic, here)
    for check in in_full:
        lines += ["", *_check(check, here, style)]
    if in_short:
        lines += ["", *wrap(_IN_SHORT, style.width)]
    for check in in_short:
        lines += _short(check, here, style)
    if here is not None and here.kernel is not None and topic.errno is not None:
        for said in _uncertain(here, style):
            lines += ["", *said]
    told = {rule for check in topic.checks for rule in rules_of(check)}
    others = [rule for rule in topic.rules if rule.id not in told]
    if others:
        lines += ["", "Rules that look for it:"] if topic.checks else ["Rules:"]
        for rule in others:
            lines += wrap(f"{rule.id}: {rule.title}", style.width, "  ", "    ")
        lines += hint("what one means", f"{style.calls.explain} RULE", style)
    return "\n".join(lines) + "\n"


def index(style: Style = PLAIN) -> str:
    """Return all errnos and rules that can be explained, a line each."""
    lines = [style.paint("errnos of an XDP attach", "bold")]
    wide = max(map(len, errnos()))
    for name, checks in errnos().items():
        number: int = getattr(_errno, name)
        text = f"{os.strerror(number)}: {count(len(checks), 'check')}"
        first = f"  {name.ljust(wide)}  "
        lines += wrap(text, style.width, first, " " * len(first))
    for severity in SEVERITIES:
        word = severity_word(severity)
        what = (
            f"rules whose worst finding is {'an' if word[0] in 'aeiou' else 'a'} {word}"
        )
        lines += ["", style.paint(what, "bold")]
        for rule in RULES:
            if rule.severity == severity:
                text = f"{rule.id}: {rule.title}"
                lines += wrap(text, style.width, "  ", "    ")
    lines += ["", *wrap(_ASK, style.width)]
    return "\n".join(lines) + "\n"


_ASK = (
    "Ask for one of these, for what strerror() says (No space left on device), or for "
    "part of a kernel message. With a dump, the answer names the devices that meet it."
)
