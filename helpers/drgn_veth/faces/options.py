# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Options that all scripts have in common
---------------------------------------

Which target to read, and where the output goes.
"""

import argparse
from collections.abc import Sequence
import importlib.util
import re
import sys
from typing import Any, NoReturn, Optional

import drgn
from drgn_veth_start import COMMAND, name_in_messages

from ..core.version import VERSION
from ..core.xdp_modes import mode_named
from .commands import as_typed, in_words_of_command
from .files import take_files
from .meant import advice
from .status import UsageError, drop_stdout

__all__ = (
    "add_color_option",
    "add_device_arguments",
    "add_filter_options",
    "add_finding_options",
    "add_format_option",
    "add_kind_option",
    "add_output_options",
    "add_rule_option",
    "add_target_options",
    "check_format",
    "command",
    "mode",
    "new_parser",
    "parse",
)


def new_parser(script: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """
    Return a parser that prints description and epilog without wrapping them.

    :param script: Name of the script; if the command runs, its name and examples with
        it take the place of the script's
    """
    if name_in_messages().startswith(COMMAND):
        script = name_in_messages()
        epilog = in_words_of_command(epilog)
    parser = _Parser(
        prog=script,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, help="print the versions of drgn-veth and drgn"
    )
    return parser


def command(name: str) -> str:
    """Return how to call a subcommand, such as ``attach``, as who runs this would."""
    return as_typed(name)


def _say(message: str) -> None:
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    try:
        sys.stdout.write(message)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        drop_stdout()
        raise UsageError(f"standard output: {e.strerror}") from None


_ARGUMENT = re.compile(r"^argument (?=-)")


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse says nothing if the help cannot be written.
        if message and file is not None and file is sys.stdout:
            _say(message)
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        # argparse would print the usage, too: ten lines that do not say what is wrong.
        message = _ARGUMENT.sub("", message)
        if "(choose from " not in message:
            meant = advice(message, self._option_string_actions)
            message += f"; {meant or f'{self.prog} -h lists the options'}"
        raise UsageError(message)


class _Once(argparse.Action):
    # The last one would silently be that which is read.
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        if before is not None:
            raise UsageError(f"give one {option_string}, {before} or {values}")
        setattr(namespace, self.dest, values)


class _Version(argparse.Action):
    # As argparse's own, but the text is made when it is asked for.
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(
        self, parser: argparse.ArgumentParser, *_: object, **__: object
    ) -> None:
        _say(f"drgn-veth {VERSION}, drgn {drgn.__version__}\n")
        parser.exit()


def parse(
    parser: argparse.ArgumentParser, argv: Optional[Sequence[str]]
) -> argparse.Namespace:
    """
    Parse a command line, in which options may be anywhere.

    :param argv: Arguments, None for those of the process
    :raises UsageError: if the files among them are not a dump and its symbols
    """
    args = parser.parse_intermixed_args(argv)
    if hasattr(args, "files"):
        take_files(args)
    return args


def add_device_arguments(
    parser: argparse._ActionsContainer,
    what: str = "name or altname of a device, or a shell pattern of them",
) -> None:
    """
    Add the positional arguments that name devices: ``names``, a list.

    :param what: What they are, or what they do
    """
    parser.add_argument(
        "names",
        metavar="DEVICE",
        nargs="*",
        help=what,
    )


def add_finding_options(group: argparse._ActionsContainer) -> None:
    """Add the options that choose findings: ``rules``, a list, and ``notes``."""
    add_rule_option(group, "only what this rule finds")
    group.add_argument(
        "--notes",
        action="store_true",
        help="also notes: worth knowing, but nothing is broken by it now",
    )


def add_rule_option(group: argparse._ActionsContainer, what: str) -> None:
    """
    Add the option that names rules: ``rules``, a list.

    :param what: What it chooses
    """
    group.add_argument(
        "--rule",
        metavar="RULE",
        action="append",
        default=[],
        dest="rules",
        help=f"{what}; shell pattern; may be repeated; {command('explain')} lists the "
        "rules",
    )


def mode(word: str) -> str:
    """
    Return the XDP mode of an argument, by any of its names.

    :raises UsageError: if no mode has this name; argparse would print its usage, too
    """
    try:
        return mode_named(word)
    except ValueError as e:
        raise UsageError(str(e)) from None


def add_filter_options(group: argparse._ActionsContainer) -> None:
    """Add the filters that choose devices and namespaces."""
    group.add_argument(
        "--netns",
        metavar="NETNS",
        action="append",
        default=[],
        help="devices in this network namespace: label, name (`ip netns`), path of a "
        "mount, inode number, pid:N, container:PREFIX, pod:UID, or host for the "
        "initial one; names and labels may be shell patterns; may be repeated",
    )
    group.add_argument(
        "--pid",
        metavar="PID",
        action="append",
        type=_pid,
        dest="netns",
        help="the namespace of this process, as --netns pid:PID",
    )
    group.add_argument(
        "--container",
        metavar="PREFIX",
        action="append",
        type="container:{}".format,
        dest="netns",
        help="the namespace of this container, by the first characters of its ID; as "
        "--netns container:PREFIX",
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        action="append",
        default=[],
        dest="devices",
        help="devices with this name or altname; shell pattern; may be repeated",
    )
    add_kind_option(group)
    group.add_argument(
        "--address",
        metavar="IP",
        action="append",
        default=[],
        dest="addresses",
        help="devices that have this IPv4 or IPv6 address; may be repeated",
    )


def add_kind_option(group: argparse._ActionsContainer) -> None:
    """Add the filter by kinds of devices: ``kinds``, a list."""
    group.add_argument(
        "--kind",
        metavar="KIND",
        action="append",
        default=[],
        dest="kinds",
        help="devices of this kind: veth, netkit, bridge...; shell pattern; may be "
        "repeated",
    )


def _pid(text: str) -> str:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a PID")
    return f"pid:{text}"


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the target if the script runs without drgn."""
    # new_parser() does not wrap lines.
    said = (
        "Under drgn (drgn -c CORE -s VMLINUX SCRIPT), the script uses drgn's target.\n"
        "Under python3, these options choose it; the default is the running kernel."
    )
    if name_in_messages().startswith(COMMAND):
        said = "What to read; the default is the running kernel, which needs root."
    group = parser.add_argument_group("target", said)
    only_one = group.add_mutually_exclusive_group()
    only_one.add_argument(
        "-c", "--core", metavar="PATH", action=_Once, help="a crash dump"
    )
    only_one.add_argument(
        "--qemu",
        metavar="ADDRESS",
        action=_Once,
        help="a QEMU guest, by its QMP socket",
    )
    group.add_argument(
        "-s",
        "--symbols",
        metavar="PATH",
        action="append",
        default=[],
        help="debug symbols: vmlinux, or a module such as veth.ko; may be repeated; "
        "most kernels need none",
    )
    group.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        help="the dump, its vmlinux and modules, in any order, as -c and -s; an "
        "argument that contains / or names an existing file is a file",
    )
    parser.add_argument(
        "--vmcoreinfo",
        metavar="FILE",
        action=_Once,
        help="VMCOREINFO of exactly this kernel, if the dump has it neither "
        "as a note nor in memory; like drgn's option",
    )
    parser.add_argument(
        "--system-map",
        metavar="FILE",
        action=_Once,
        help="the kernel's symbols, if the dump lacks them: System.map or vmlinux of "
        "exactly this kernel; this vmlinux needs no debug symbols",
    )


def add_output_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that say where the output goes."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write to FILE instead of standard output; FILE appears only when it is "
        "complete, and replaces an existing file, but never an input",
    )


def add_color_option(parser: argparse._ActionsContainer) -> None:
    """Add the option that says when a screen has colour."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour: auto (the default) on a terminal, unless NO_COLOR is set",
    )


#: What each format of output is for.
_FORMATS = {
    "table": "table (the default) for people",
    "json": "json, see {page}",
    "jsonl": "jsonl: the same records, one a line",
    "csv": "csv for spreadsheets: a cell that starts with = + - @, a tab or a line end "
    "gets a leading single quote, so that it is not taken for a formula",
    "html": "html: a page with a picture",
    "svg": "svg: the picture alone",
    "dot": "dot: for Graphviz",
}


def add_format_option(
    parser: argparse._ActionsContainer,
    formats: Sequence[str] = ("table", "json"),
    page: str = "docs/json.md",
) -> None:
    """
    Add the option that chooses a format of the output.

    :param formats: The first is the default
    :param page: The page that describes the JSON
    """
    parser.add_argument(
        "--format",
        choices=formats,
        default=formats[0],
        help="; ".join(_FORMATS[one] for one in formats).format(page=page),
    )


def check_format(format: str) -> None:
    """
    Check that the packages that a format needs are installed.

    :raises UsageError: if they are not
    """
    if format == "table" and importlib.util.find_spec("tabulate") is None:
        raise UsageError(
            "a table needs tabulate: pip install tabulate; --format json works without "
            "it"
        )
