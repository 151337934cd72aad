# SPDX-License-Identifier: LGPL-2.1-or-later
"""All screens of a Snapshot, and whether they fit."""

from collections.abc import Mapping, Sequence
import re
import unicodedata

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.rules.finding import Finding
from drgn_veth.model import Snapshot
from drgn_veth.render import netns, report, table, tree
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.style import PLAIN, Style

__all__ = ("WIDTHS", "assert_fits", "columns", "pairs_screen", "screens")

WIDTHS = (60, 80, 120, 200)
_COLOR = re.compile("\x1b\\[[0-9;]*m")


def columns(line: str) -> int:
    """How many columns of a terminal a line takes, as Unicode says."""
    return sum(
        0
        if unicodedata.combining(char)
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in _COLOR.sub("", line)
    )


def assert_fits(screen: str, width: int) -> None:
    """See that no line is too wide, and that none has what a terminal interprets."""
    for line in screen.splitlines():
        # A path is not broken, so that it can be copied.
        assert columns(line) <= width or line.startswith("    /"), line
        assert _COLOR.sub("", line).isprintable()
        assert line == line.rstrip()


def screens(
    snapshot: Snapshot, style: Style = PLAIN, found: Sequence[Finding] = ()
) -> Mapping[str, str]:
    """
    Return all screens of a Snapshot.

    :param found: The findings, by default those that there are
    """
    found = found or diagnose(snapshot)
    asked = report.Asked(notes=True, all_pairs=True)
    every = table.devices(snapshot, None, style)
    few = snapshot.devices[:40]
    return {
        "pairs": report.report(snapshot, snapshot, found, style=style),
        "notes": report.report(snapshot, snapshot, found, asked, style),
        "rules": report.of_rules(snapshot, snapshot, found, style),
        "all": report.around([every], snapshot, snapshot, found, asked, style),
        "tree": report.joined([tree.tree(snapshot, found, style)]),
        "devices": devices_in_full(few, snapshot, found, style),
        "netns": report.joined([netns.table(snapshot, style)]),
    }


def pairs_screen(snapshot: Snapshot, style: Style = PLAIN) -> str:
    """Return the default screen."""
    found = diagnose(snapshot)
    return report.report(snapshot, snapshot, found, style=style)
