# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth
---------

The command that pip installs: its subcommands are the scripts, and more.
"""

import argparse
from collections.abc import Sequence
import importlib
import os
import sys
from typing import Any, NoReturn, Optional

from drgn import Program
from drgn_veth_start import COMMAND, called

from ..analysis.shell import shell_quote
from .commands import DEFAULT, FACES, Face
from .files import check_names, did_you_mean, is_file, looks_like_a_file
from .options import new_parser
from .output import write_output
from .status import EXIT_OK, UsageError

__all__ = ("complete", "main", "parser_of", "whole_parser")


# Options of the target may stand before the subcommand, as they do before a script.
_WITH_VALUE = (
    *("-c", "--core", "-s", "--symbols", "--qemu", "--system-map", "--vmcoreinfo"),
)

_COMPLETE = "_ARGCOMPLETE"  # argcomplete sets it

_DESCRIPTION = """\
Show what veth and netkit pairs, XDP and RPS are doing, from the memory of the
running kernel (root), of a QEMU guest, or of a crash dump.
"""

_EPILOG = """\
examples:
  drgn-veth -c vmcore              the report of a crash dump
  drgn-veth vmlinux vmcore         the same; the order does not matter
  drgn-veth report --check         of the running kernel
  drgn-veth attach -c vmcore veth0
                                   what an XDP attach would return
  drgn-veth help attach            the options of a subcommand

Without a subcommand, drgn-veth runs report.
"""


def _module(face: Face) -> Any:
    return importlib.import_module(f"..{face.module}", __name__)


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of a subcommand."""
    called(f"{COMMAND} {name}")
    parser: argparse.ArgumentParser = _module(FACES[name]).parser()
    return parser


def whole_parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """
    Return one parser with all subcommands, for the completion and the man page.

    :param only: The options of this subcommand alone are wanted: importing the others
        takes time
    """
    parser = _top_parser()
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND")
    for name, face in FACES.items():
        if only not in (None, name):
            commands.add_parser(name, help=face.help)
            continue
        one = parser_of(name)
        commands.add_parser(
            name,
            help=face.help,
            usage=f"{one.prog} [OPTION...] [WORD...] [FILE...]",
            description=one.description,
            epilog=one.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[one],
            add_help=False,
        )
    called(COMMAND)
    return parser


def _top_parser() -> argparse.ArgumentParser:
    return new_parser(COMMAND, _DESCRIPTION, _EPILOG)


def _overview() -> str:
    lines = [
        f"usage: {COMMAND} [SUBCOMMAND] [OPTION...] [VMLINUX] [VMCORE] [WORD...]",
        "",
        _DESCRIPTION,
        "subcommands:",
        *(f"  {name:10} {face.help}" for name, face in FACES.items()),
        f"  {'help':10} show this help, or the options of a subcommand",
        "",
        "options:",
        "  -h, --help  show this help",
        "  --version   print the versions of drgn-veth and drgn",
        "",
        _EPILOG,
    ]
    return "\n".join(lines)


def _help(words: Sequence[str]) -> int:
    if not words:
        write_output(_overview(), None)
        return EXIT_OK
    if len(words) > 1:
        raise UsageError(f"help takes one subcommand: {COMMAND} help {words[0]}")
    if words[0] not in FACES:
        raise UsageError(f"no subcommand {_unknown(words[0])}")
    write_output(parser_of(words[0]).format_help(), None)
    return EXIT_OK


def _unknown(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, FACES, n=1)
    if near:
        return f"is called {word!r}; did you mean {near[0]}?"
    return f"is called {word!r}; there are {', '.join(FACES)}"


def _check_first(word: str) -> NoReturn:
    # A word that is no subcommand, and that nothing follows which is a target.
    if looks_like_a_file(word):
        raise UsageError(
            f"no file, subcommand or device is called {word}{did_you_mean(word)}"
        )
    check_names([word])
    raise UsageError(
        f"no file or subcommand {_unknown(word)}; for a device, {COMMAND} {DEFAULT} "
        f"{shell_quote(word)}"
    )


def _is_target(word: str) -> bool:
    return word[:2] == "-c" or word.startswith(("--core", "--qemu")) or is_file(word)


def _split(words: Sequence[str]) -> tuple[str, list[str]]:
    # The subcommand, and the other words.
    at = 0
    while at < len(words):
        word = words[at]
        if word in FACES:
            return word, [*words[:at], *words[at + 1 :]]
        if word in _WITH_VALUE:
            at += 2
        elif word.startswith(tuple(f"{o}=" for o in _WITH_VALUE if o[:2] == "--")):
            at += 1
        elif word[:2] in ("-c", "-s") or (word[:1] != "-" and is_file(word)):
            at += 1
        else:
            # An option of the report; or the name of a device, if the target is known:
            # it could be that of a subcommand.
            if word[:1] != "-" and not any(map(_is_target, words)):
                _check_first(word)
            break
    return DEFAULT, list(words)


def _exit(parser: argparse.ArgumentParser, words: Sequence[str]) -> NoReturn:
    parser.parse_args(list(words))
    raise AssertionError("argparse ends the process")


def complete() -> None:
    """Answer a shell that asks how to complete a command line, and exit."""
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()
    typed = next((word for word in words[1:] if word in FACES), DEFAULT)
    if len(words) < 2 or typed not in words:
        typed = ""  # The subcommand itself is being typed.
    argcomplete.autocomplete(whole_parser(typed), exclude=["--help"])


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the command, and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    called(COMMAND)
    if _COMPLETE in os.environ:
        complete()
    if words[:1] in (["-h"], ["--help"]):
        return _help([])
    if words[:1] == ["help"]:
        return _help(words[1:])
    if words[:1] == ["--version"]:
        _exit(_top_parser(), words[:1])
    name, rest = _split(words)
    called(f"{COMMAND} {name}")
    status: int = _module(FACES[name]).main(prog, rest)
    return status
