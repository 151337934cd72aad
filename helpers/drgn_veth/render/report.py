# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The default screen
------------------

What was looked at, the pairs, what is wrong with them, and what native XDP would meet.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..analysis.native import native_answers, refused
from ..analysis.rules.finding import INFO, Finding
from ..analysis.shown import marks, shown
from ..model import Snapshot
from . import findings, head, native
from .pairs import pairs
from .style import PLAIN, Style
from .width import wrap

__all__ = ("Asked", "around", "joined", "of_rules", "report")

#: Pairs are left out if there are more rows than so many screens.
_SCREENS = 2
_TOO_OLD = (
    "what a native attach would return is not known: before Linux 5.9, other checks "
    "decide"
)
_NOTHING = "no veth or netkit pairs; --all lists devices of every kind"


class Asked(NamedTuple):
    """What a screen is asked to show."""

    notes: bool = False  #: also notes
    all_pairs: bool = False  #: however many there are


_DEFAULT = Asked()


def joined(parts: Iterable[Sequence[str]]) -> str:
    """Return a screen of parts with an empty line between each two."""
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _notes(found: Sequence[Finding], asked: Asked, style: Style) -> list[str]:
    if asked.notes:
        return findings.notes(found, style)
    infos = [finding for finding in found if finding.severity == INFO]
    counts = " and ".join(head.severities(infos))
    if not counts:
        return []
    line = f"{counts}: --notes, or --rule RULE; --explain RULE says what one means"
    return wrap(line, style.width, rest="  ")


def _head(
    kept: Snapshot, whole: Snapshot, found: Sequence[Finding], style: Style
) -> list[list[str]]:
    return [
        [*head.target(whole, style), *head.totals(kept, found, style)],
        head.blocked(whole, style),
    ]


def report(
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
    asked: Asked = _DEFAULT,
    style: Style = PLAIN,
) -> str:
    """
    Return the default screen.

    :param kept: What the filters keep
    :param whole: All that there is
    :param found: The findings on what is kept
    """
    most = None if asked.all_pairs else _SCREENS * style.height
    seen = shown(kept, found, most)
    by_address = {device.net_device: device for device in whole.devices}
    ends = {end.net_device for pair in kept.pairs for end in (pair.a, pair.b)}
    ends.update(end.net_device for row in seen.rows for end in row)
    devices = [device for device in kept.devices if device.net_device in ends]
    answers = native_answers(whole, devices)
    table = pairs(seen, by_address, marks(found), answers, style)
    if not table:
        table = wrap(_NOTHING, style.width, rest="  ")
    return joined(
        [
            *_head(kept, whole, found, style),
            head.legend(kept, seen, style),
            table,
            findings.findings(found, style),
            native.refused(refused(devices, answers), style)
            if answers or not devices
            else wrap(_TOO_OLD, style.width, rest="  "),
            _notes(found, asked, style),
        ]
    )


def around(
    screen: Sequence[Sequence[str]],
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
    asked: Asked = _DEFAULT,
    style: Style = PLAIN,
) -> str:
    """Return another table or tree with the head, findings and notes around it."""
    return joined(
        [
            *_head(kept, whole, found, style),
            *screen,
            findings.findings(found, style),
            _notes(found, asked, style),
        ]
    )


def of_rules(
    kept: Snapshot, whole: Snapshot, found: Sequence[Finding], style: Style = PLAIN
) -> str:
    """Return the findings of some rules in full, with the values that were compared."""
    said = findings.in_full(found, style) or ["these rules find nothing"]
    return joined([*_head(kept, whole, found, style), said])
