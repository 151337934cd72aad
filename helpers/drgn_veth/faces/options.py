# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Options that the scripts have in common
---------------------------------------

What to look at, which devices, and where the output goes.
"""

import argparse
import importlib.util

from .status import UsageError

__all__ = ("add_output_options", "add_target_options", "check_format", "new_parser")


def new_parser(script: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser whose texts stay as they are written."""
    return argparse.ArgumentParser(
        prog=script,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to look at, for a start without drgn."""
    group = parser.add_argument_group(
        "target",
        # Not wrapped by argparse where a script has its own formatter.
        "Started by drgn (drgn -c CORE -s VMLINUX SCRIPT), the script looks at what\n"
        "drgn was told to look at. Started by python3, it takes these; without any it\n"
        "looks at the running kernel.",
    )
    only_one = group.add_mutually_exclusive_group()
    only_one.add_argument("-c", "--core", metavar="PATH", help="a crash dump")
    only_one.add_argument(
        "--qemu", metavar="ADDRESS", help="a QEMU guest, by its QMP socket"
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
    parser.add_argument(
        "--system-map",
        metavar="FILE",
        help="symbols of the kernel, where a dump does not tell them: its System.map, "
        "or its vmlinux, which may be without debug symbols",
    )


def add_output_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that say where the output goes."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write there instead of to standard output; the file appears only "
        "when it is complete, and replaces one that exists, but never one that is read",
    )


def check_format(format: str) -> None:
    """
    See that what a format takes is installed.

    :raises UsageError: if it is not
    """
    if format == "table" and importlib.util.find_spec("tabulate") is None:
        raise UsageError(
            "a table needs tabulate: pip install tabulate; --format json does not"
        )
