# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The subcommands of drgn-veth
----------------------------

What they are, and how to write a command for the user to type: one runs the command
that pip installs, another the scripts of a checkout.
"""

import argparse
from collections.abc import Iterator, Mapping
import re
from typing import NamedTuple, Optional

from drgn_veth_start import COMMAND, name_in_messages, subcommand

from ..analysis.shell import shell_quote
from ..render.style import SCRIPTS, Calls

__all__ = (
    "DEFAULT",
    "FACES",
    "Face",
    "as_typed",
    "calls",
    "in_words_of_command",
)


class Face(NamedTuple):
    """A subcommand."""

    module: str  # in drgn_veth.faces
    script: Optional[str]  # what it is called where scripts are run; None: no script
    help: str
    prompt: Optional[str] = None  # at drgn's prompt; None: it is not there


#: By subcommand, in the order of the help.
FACES: Mapping[str, Face] = {
    "report": Face(
        "veth_report",
        SCRIPTS.report,
        "the pairs, and what is wrong with them",
        "%veth",
    ),
    "attach": Face(
        "xdp_attach",
        SCRIPTS.attach,
        "what the kernel would answer to an XDP attach",
        "%xdp",
    ),
    "netns": Face(
        "netns_report", SCRIPTS.netns, "who uses each network namespace", "%netns"
    ),
    "xdp": Face("xdp", None, "the XDP programs, and who holds them", "%xdp"),
    "rps": Face("rps", None, "where RPS, RFS and XPS steer packets", "%rps"),
    "drops": Face(
        "drops", None, "where packets were lost, and what is known of it", "%drops"
    ),
    "path": Face(
        "veth_path",
        "veth_path.py",
        "where the packets of a device go, step by step",
        "%path",
    ),
    "explain": Face(
        "explain",
        SCRIPTS.explain,
        "what an errno, a message or a rule means",
        "%veth --explain",
    ),
    "compare": Face(
        "compare", "veth_compare.py", "what changed between two dumps or reports"
    ),
    "fleet": Face("fleet", None, "tables of many dumps, by many workers"),
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
    Return how to call a subcommand, as who runs this would: the command, a script, or
    a command at drgn's prompt.

    :param name: A subcommand
    """
    face = FACES[name]
    if name_in_messages().startswith("%") and face.prompt is not None:
        return face.prompt
    return subcommand(name) or face.script or f"{COMMAND} {name}"


_NAMES_TARGET = ("core", "qemu", "symbols", "vmcoreinfo", "system_map")
_SHORT = {"core": "-c", "symbols": "-s"}


def _target(args: argparse.Namespace) -> Iterator[str]:
    # The options that choose the target that the user named.
    for name in _NAMES_TARGET if hasattr(args, "core") else ():
        given = getattr(args, name)
        for path in given if isinstance(given, list) else filter(None, [given]):
            yield _SHORT.get(name, f"--{name.replace('_', '-')}")
            yield shell_quote(path)


def calls(args: argparse.Namespace) -> Calls:
    """
    Return how to ask more about the same target: what is pasted must not read the
    running kernel instead of a dump.

    :param args: Options, with files where :func:`~drgn_veth.faces.files.take_files()`
        puts them
    """
    target = tuple(_target(args))
    return Calls(
        *(
            " ".join((as_typed(name), *(target if name != "explain" else ())))
            for name in Calls._fields
        )
    )
