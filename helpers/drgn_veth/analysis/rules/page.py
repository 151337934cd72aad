# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text of the rules, for a terminal and as a page (docs/rules.md)."""

from collections.abc import Iterator, Sequence
import textwrap

from .. import rules
from .rule import Rule

__all__ = ("explain", "markdown")

_WIDTH = 88

_INTRO = """\
<!-- Made by `python -m drgn_veth.analysis.rules`. -->

# The rules of diagnosis

`veth_report.py` applies these rules to what it has read. It shows their findings below
its table, worst first; its JSON has every finding in `findings`. `--explain RULE`
prints what this page says about one rule.

- An **error**: something is broken now. `--check` exits 1 if there is one.
- A **warning**: something will hurt the traffic that is set up now.
- A **note** matters only if you plan to use a feature, such as native XDP on a veth
  that does not run it yet. `--notes` shows all notes, those of one rule as one;
  `--rule RULE` shows each one of a rule. The JSON calls them `info`.

If a value that a rule needs could not be read, the rule reports an info with the value
and the reason (`undecided` in the JSON). The screen counts these separately. They do
not make `--check` exit 1, but it names their rules on standard error. Rules ignore a
device that is being torn down or moved: it is not on the list of its namespace.

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
  XDP after these commands (`then`), as `xdp_attach.py` predicts.

## All rules, worst first
"""


def _parts(rule: Rule) -> Sequence[tuple[str, str]]:
    return (
        ("What you see", rule.sees),
        ("What to do", rule.fix),
        ("Why", rule.why),
    )


def explain(rule: Rule) -> str:
    """Return the text of a rule, for a terminal."""
    lines = _wrapped(f"{rule.id} ({rule.severity}): {rule.title}")
    for name, text in (("When", rule.predicate), *_parts(rule)):
        lines += ["", f"{name}:"]
        lines += _wrapped(text, "  ")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _section(rule: Rule) -> Iterator[str]:
    yield from ("", f"## {rule.id}", "", f"**{rule.severity}**: {rule.title}.", "")
    yield from _wrapped(rule.predicate, "    ")
    for name, text in _parts(rule):
        yield ""
        yield from _wrapped(f"**{name}.** {text}")


def markdown() -> str:
    """Return docs/rules.md."""
    lines = ["| rule | worst severity | |", "|---|---|---|"]
    for rule in rules.RULES:
        lines.append(f"| [{rule.id}](#{rule.id}) | {rule.severity} | {rule.title} |")
    for rule in rules.RULES:
        lines.extend(_section(rule))
    return _INTRO + "\n" + "\n".join(lines) + "\n"
