# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The subcommands of drgn-veth
----------------------------

What they are, and how to write a command for the user to type: one runs the command
that pip installs, another the scripts of a checkout.
"""

from collections.abc import Mapping
import re
from typing import NamedTuple, Optional

from drgn_veth_start import COMMAND, subcommand

from ..render.style import SCRIPTS

__all__ = (
    "DEFAULT",
    "FACES",
    "Face",
    "as_typed",
    "in_words_of_command",
)


class Face(NamedTuple):
    """A subcommand."""

    module: str  # in drgn_veth.faces
    script: Optional[str]  # what it is called where scripts are run; None: no script
    help: str


#: By subcommand, in the order of the help.
FACES: Mapping[str, Face] = {
    "report": Face(
        "veth_report", SCRIPTS.report, "the pairs, and what is wrong with them"
    ),
    "attach": Face(
        "xdp_attach", SCRIPTS.attach, "what the kernel would answer to an XDP attach"
    ),
    "netns": Face("netns_report", SCRIPTS.netns, "whose the network namespaces are"),
    "xdp": Face("xdp", None, "the XDP programs, and who holds them"),
    "rps": Face("rps", None, "where RPS, RFS and XPS steer packets"),
    "drops": Face("drops", None, "where packets were lost, and what is known of it"),
    "path": Face(
        "veth_path", "veth_path.py", "where the packets of a device go, step by step"
    ),
    "explain": Face(
        "explain",
        SCRIPTS.explain,
        "what an errno, a message or a rule means",
    ),
    "compare": Face(
        "compare", "veth_compare.py", "what changed between two dumps or reports"
    ),
    "slice": Face(
        "vmcore_slice", "vmcore_slice.py", "a small core to send to a colleague"
    ),
}
#: What it is without a subcommand.
DEFAULT = "report"


_EXAMPLE = re.compile(
    r"(?:drgn|python3)(?P<options>(?: -[^ ]+(?: [^-\s][^ \n]*)?)*) "
    r"(?:drgn_)?scripts/(?P<script>\w+\.py)"
)


def in_words_of_command(text: str) -> str:
    """
    Return a text with examples that run the command instead of scripts.

    ``drgn -c vmcore scripts/xdp_attach.py veth0`` is then ``drgn-veth attach -c vmcore
    veth0``.
    """
    names = {face.script: name for name, face in FACES.items() if face.script}

    def replace(match: "re.Match[str]") -> str:
        name = names.get(match["script"])
        return match[0] if name is None else f"{COMMAND} {name}{match['options']}"

    return _EXAMPLE.sub(replace, text)


def as_typed(name: str) -> str:
    """
    Return how to call a subcommand, as who runs this would: the command, or a script.

    :param name: A subcommand
    """
    return subcommand(name) or FACES[name].script or f"{COMMAND} {name}"
