# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The report as a picture
-----------------------

``veth_report.py --format html``, ``svg`` and ``dot``.
"""

from collections.abc import Sequence
import sys
from typing import Optional

from ..analysis.attach import predictor
from ..analysis.rules.finding import Finding
from ..model import Snapshot
from ..render.attempts import Attempt
from .options import check_format
from .status import UsageError
from .terminal import is_terminal

__all__ = ("PICTURES", "check_picture", "picture")

PICTURES = ("html", "svg", "dot")


def check_picture(format: str, output: Optional[str]) -> None:
    """
    Check that a picture goes where it can be seen.

    :param output: File, None for standard output
    :raises UsageError: if that is a terminal, and the picture is for a browser
    """
    if format == "html":
        check_format("table")  # It has tables.
    if format in ("html", "svg") and output is None and is_terminal(sys.stdout):
        raise UsageError(
            f"--format {format} is for a browser, not for a terminal: add --output FILE"
        )


def _attempts(kept: Snapshot, whole: Snapshot) -> list[Attempt]:
    asked = predictor.Predictor(whole)
    both = (False, True)
    return [
        Attempt(device, *answer)
        for device in kept.devices
        for answer in asked.answers(
            device, "attach", predictor.MODES, predictor.VIAS, both
        )
    ]


def picture(
    format: str, kept: Snapshot, whole: Snapshot, found: Sequence[Finding]
) -> str:
    """
    Return what a picture shows, as a file.

    :param format: One of :data:`PICTURES`
    :param kept: What the filters keep
    :param whole: What it was kept of
    """
    from ..render.picture import dot, layout, scene, svg

    if format == "html":
        from ..render.picture import page

        try:
            return page.render(kept, found, _attempts(kept, whole))
        except predictor.TooOldError as e:
            return page.render(kept, found, (), str(e))
    shown = scene.make_scene(kept, found)
    if format == "dot":
        return dot.render(shown)
    return svg.render(kept, shown, layout.place_scene(shown))
