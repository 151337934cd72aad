# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A command
---------

What all commands have in common, in the terms of :mod:`drgn.commands`. drgn's own
decorator has no options after arguments, and prints the usage with each error.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
import contextlib
import os
import sys
import textwrap
from typing import Any, Callable, NamedTuple, NoReturn, Optional, Union

from drgn import Program
import drgn.commands
from drgn.commands import CommandArgumentError, drgn_argument
from drgn_veth_plugin import COMMANDS

from ...render.escape import for_terminal
from .. import drops, netns_report, rps, veth_path, veth_report, xdp
from ..kept import keep_snapshots
from ..meant import advice
from ..options import add_target_options
from ..shown import Shown
from ..status import TRACEBACK, TargetError, UsageError, internal_error
from . import code

__all__ = ("PromptCommand", "command")

_EPILOG = """\
Output can go through a pipe or to a file: %{name} | grep pod1, %{name} > FILE. The
records of what is shown, {records}, are left in _.
"""


class _Face(NamedTuple):
    # What a command shows, and how drgn code does the same.
    add_options: Callable[[argparse.ArgumentParser], None]
    show: Callable[[Optional[Program], argparse.Namespace], Shown]
    code: Callable[[Program, argparse.Namespace], str]
    records: str


_FACES: Mapping[str, _Face] = {
    "veth": _Face(veth_report.add_options, veth_report.show, code.veth, "devices"),
    "netns": _Face(
        netns_report.add_options, netns_report.show, code.netns, "namespaces"
    ),
    "xdp": _Face(xdp.add_options, xdp.show, code.xdp, "attempts: device, mode, answer"),
    "rps": _Face(rps.add_options, rps.show, code.rps, "devices"),
    "drops": _Face(drops.add_options, drops.show, code.drops, "devices"),
    "path": _Face(veth_path.add_options, veth_path.show, code.path, "paths"),
}


class _Parser(argparse.ArgumentParser):
    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        raise CommandArgumentError((message or "").strip())

    def error(self, message: str) -> NoReturn:
        meant = advice(message, self._option_string_actions) or "see -h"
        raise CommandArgumentError(for_terminal(f"{self.prog}: {message}; {meant}"))


def _no_target() -> Mapping[str, Any]:
    # The options that choose the target: drgn has opened it.
    parser = argparse.ArgumentParser()
    add_target_options(parser)
    return vars(parser.parse_args([]))


def _parser(name: str, face: _Face) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"%{name}",
        description=f"Show {COMMANDS[name]}.",
        epilog=_EPILOG.format(name=name, records=face.records),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    face.add_options(parser)
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    parser.add_argument(*drgn_argument.args, **drgn_argument.kwargs)
    parser.set_defaults(**_no_target())
    return parser


@contextlib.contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    # What goes wrong is one line; warnings begin with the command.
    argv = sys.argv
    sys.argv = [f"%{name}", *argv[1:]]
    try:
        yield
    except UsageError as e:
        raise CommandArgumentError(for_terminal(f"%{name}: {e}")) from None
    except TargetError as e:
        raise TargetError(for_terminal(str(e))) from None
    except (CommandArgumentError, BrokenPipeError):
        raise
    except Exception as e:
        if os.environ.get(TRACEBACK):
            raise
        raise TargetError(for_terminal(internal_error(e))) from None
    finally:
        sys.argv = argv


class PromptCommand:
    """
    A command (:class:`drgn.commands.Command`).

    :param name: One of :data:`drgn_veth_plugin.COMMANDS`
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._face = _FACES[name]
        self._parser = _parser(name, self._face)

    def format_usage(self) -> str:
        """Return how to call it."""
        return self._parser.format_usage().partition("usage: ")[2].rstrip()

    def format_help(self, *, indent: str = "") -> str:
        """Return all about it but :meth:`format_usage()`."""
        text = self._parser.format_help()[len(self._parser.format_usage()) :]
        return textwrap.indent(text.strip(), indent)

    def parse(self, source: str) -> Any:
        """Separate arguments from redirections and pipes (drgn 0.1 and later)."""
        return drgn.commands.parse_shell_command(source)

    def run(
        self, prog: Program, name: str, args: Union[str, Sequence[str]], **_: Any
    ) -> Optional[list[Any]]:
        """Run it, and return the records."""
        if not isinstance(args, str):
            return self._run(prog, args)
        # drgn 0.0.33 leaves redirections and pipes to the command.
        with drgn.commands._shell_command(args) as parsed:  # type: ignore[attr-defined]
            return self._run(prog, parsed.args)

    def _run(self, prog: Program, words: Sequence[str]) -> Optional[list[Any]]:
        face = self._face
        with _in_one_line(self._name):
            # Options anywhere, as in scripts, but no argument is a file.
            args = self._parser.parse_intermixed_args(words)
            if args.help:
                self._parser.print_help()
                return None
            keep_snapshots(prog)
            if args.drgn:
                sys.stdout.write(face.code(prog, args))
                return None
            return list(face.show(prog, args).records)


def command(name: str) -> PromptCommand:
    """
    Return a command.

    :param name: One of :data:`drgn_veth_plugin.COMMANDS`
    """
    return PromptCommand(name)
