# SPDX-License-Identifier: LGPL-2.1-or-later
"""How Sphinx builds the pages: ``make docs``."""

from pathlib import Path
import sys
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "helpers"))

import drgn_veth  # noqa: E402

project = "drgn-veth"
author = "the drgn-veth contributors"
version = release = drgn_veth.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"page_width": "auto", "description": "veth, XDP and RPS in drgn"}
html_show_sourcelink = False

# rules.md links to its own headings.
myst_heading_anchors = 2

autosummary_generate = True
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "no-value": True,
    "undoc-members": True,
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True

# Every reference has to lead somewhere, except to Python and drgn, whose pages may be
# out of reach where this is built, and to what has no page: type variables, private
# classes, and constants without a comment of their own.
nitpicky = True
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(_?drgn|typing|collections|argparse|contextlib|enum|int|pathlib|struct)\b.*",
    ),
    ("py:.*", r"(FaultError|Object|ObjectAbsentError|Program)"),
    ("py:.*", r"(bool|bytes|dict|float|frozenset|int|list|object|str|tuple|type)"),
    ("py:(class|obj)", r"drgn_veth\..*\.([A-Z]|_\w+)"),
    ("py:data", r"[A-Z_]+"),
]
# The annotation "type" is Python's, and also the name of several members.
suppress_warnings = ["ref.python"]


def _without_field_numbers(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    # What Python says of a member of a named tuple.
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _without_field_numbers)
