# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be known of the rules, for a terminal and as a page (docs/rules.md)."""

import textwrap
from typing import Iterator, List, Sequence, Tuple

from .. import rules
from .rule import Rule

__all__ = ("explain", "markdown")

_WIDTH = 88

_INTRO = """\
<!-- Made by `python -m drgn_veth.analysis.rules`. -->

# The rules of diagnosis

`veth_report.py` applies them to what it has read, and shows what they find under its
table, worst first; its JSON has all of them in `findings`. `--explain RULE` prints what
is said here of one.

- An **error** is something that is broken now. `--check` exits 1 if there is one.
- A **warning** is something that will hurt the traffic that is set up now.
- An **info** matters only once somebody wants what it is about, such as native XDP on
  a veth that runs none. On the screen the infos of one rule are folded to their number
  and an example (`--findings all` unfolds them).

A rule that cannot be decided since a value could not be read says so, as an info, with
the value and the reason (`undecided` in the JSON). These are counted apart on the
screen, and do not make `--check` exit 1: it names those rules on standard error. A
device that is being torn down or moved, and so is on no list of its namespace, is not
looked at.

Evidence has the names of the kernel's struct members; those that begin with `peer_` are
the peer's.

Commands are for a shell of the host, and run in the right network namespace. There is
none where no command helps, or where nothing leads into the namespace.

- A command after `$` fixes the finding (`fix` in the JSON). A line before it names side
  effects ("this lowers the MTU of ...", `fix_effect`).
- A command after "to undo it" fixes nothing: it undoes a state that may be just what
  somebody wanted, and the line says what is lost (`undo`).
- "a native attach would then fail with ..." is how the kernel still refuses native XDP
  once these commands were run (`then`), as predicted by `xdp_attach.py`.

## All rules, worst first
"""


def _parts(rule: Rule) -> Sequence[Tuple[str, str]]:
    return (
        ("What you see", rule.sees),
        ("What to do", rule.fix),
        ("Why", rule.why),
    )


def explain(rule: Rule) -> str:
    """Return what is to be known of a rule, for a terminal."""
    lines = _wrapped(f"{rule.id} ({rule.severity}): {rule.title}")
    for name, text in (("When", rule.predicate), *_parts(rule)):
        lines += ["", f"{name}:"]
        lines += _wrapped(text, "  ")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str = "") -> List[str]:
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
