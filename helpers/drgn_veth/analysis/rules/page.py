# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text of the rules, for a terminal and as a page (docs/rules.md)."""

from collections.abc import Iterator, Sequence
import errno
import os
import textwrap

from .. import rules
from .finding import severity_word
from .rule import KINDS, Rule, Sign

__all__ = ("explain", "markdown")

_WIDTH = 88  # of the page
_SCREEN = 80  # columns, unless a terminal has others

_INTRO = """\
<!-- Made by `python -m drgn_veth.analysis.rules`. -->

# Diagnostic rules

What you see, and the rules that look for its cause. `drgn-veth explain` takes an errno,
a part of a message, or a rule, and says more.

"""

_ABOUT = """\
`drgn-veth` applies these rules to what it has read. It shows their findings below
its table, worst first; its JSON has every finding in `findings`. `drgn-veth explain
RULE` prints what this page says about one rule.

- An **error**: something is broken now. `--check` exits 1 if there is one.
- A **warning**: something will hurt traffic in the current setup.
- A **note** is worth knowing, but nothing is broken by it now: what would refuse native
  XDP on a veth that does not run it yet, for one. `--notes` shows all notes, one
  entry per rule; `--rule RULE` shows every finding of a rule. In JSON they are `info`.

If a value that a rule needs could not be read, the rule reports a note with the value
and the reason (`undecided` in the JSON). The screen counts these separately. They do
not make `--check` exit 1; it only names their rules on standard error. Rules ignore a
device that is being torn down or moved, because it is not on the list of its namespace.
The exception is device-stuck-unregistering, which looks at such devices only.

Evidence uses the names of the kernel's struct members; names that begin with `peer_`
are those of the peer.

Run the commands in a shell on the host; each one enters the right network namespace.
There is no command if none would help, or if the namespace cannot be entered.

- A command after "fix:" fixes the finding (`fix` in the JSON). A line before it names
  side effects ("the fix lowers the MTU of ...", `fix_effect`). If many devices have the
  same error or warning, the screen shows one command for all of them.
- A command after "to undo it" fixes nothing: it undoes a state that may be intended,
  and the line says what is lost (`undo`).
- "a native attach would then fail with ..." says how the kernel still refuses native
  XDP after these commands (`then`), as `drgn-veth attach` predicts.

## All rules, worst first
"""


def _parts(rule: Rule) -> Sequence[tuple[str, str]]:
    return (
        ("What you see", rule.sees),
        ("What to do", rule.fix),
        ("Why", rule.why),
    )


def explain(rule: Rule, width: int = _SCREEN) -> str:
    """
    Return the text of a rule, for a terminal.

    :param width: Columns
    """
    lines = _wrapped(
        f"{rule.id} ({severity_word(rule.severity)}): {rule.title}", width=width
    )
    for name, text in (("When", rule.predicate), *_parts(rule)):
        lines += ["", f"{name}:"]
        lines += _wrapped(text, "  ", width)
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str = "", width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


#: What a kind of symptom is called.
_KINDS = {
    "errno": "errno of an attach or a command",
    "message": "kernel message with it",
    "log": "line in the kernel's log",
    "counter": "counter",
    "seen": "what else you see",
}


def _in_table(sign: Sign) -> str:
    if sign.kind == "errno":
        number: int = getattr(errno, sign.text)
        return f"`{sign.text}`: {os.strerror(number)}"
    return f"`{sign.text}`" if sign.kind in ("message", "log") else sign.text


def _symptoms() -> Iterator[str]:
    yield from ("| | symptom | rule |", "|---|---|---|")
    for kind in KINDS:
        found: dict[str, list[str]] = {}
        for rule in rules.RULES:
            for sign in rule.symptoms:
                if sign.kind == kind:
                    of_sign = found.setdefault(_in_table(sign), [])
                    of_sign.append(f"[{rule.id}](#{rule.id})")
        name = _KINDS[kind]
        for text in sorted(found):
            yield f"| {name} | {text} | {', '.join(found[text])} |"
            name = ""


def _section(rule: Rule) -> Iterator[str]:
    severity = severity_word(rule.severity)
    yield from ("", f"## {rule.id}", "", f"**{severity}**: {rule.title}.", "")
    yield from _wrapped(rule.predicate, "    ")
    for name, text in _parts(rule):
        yield ""
        yield from _wrapped(f"**{name}.** {text}")


def markdown() -> str:
    """Return docs/rules.md."""
    lines = ["| rule | worst severity | |", "|---|---|---|"]
    for rule in rules.RULES:
        severity = severity_word(rule.severity)
        lines.append(f"| [{rule.id}](#{rule.id}) | {severity} | {rule.title} |")
    for rule in rules.RULES:
        lines.extend(_section(rule))
    parts = (_INTRO, "\n".join(_symptoms()), _ABOUT, "\n".join(lines))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)
