# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reports on some devices
-----------------------

What the commands have in common that show the devices that are chosen, or those that
have what the command is about.
"""

import argparse
from collections.abc import Sequence
from typing import Callable, Optional

from drgn import Program

from ..analysis import filters
from ..core.text import as_in_snapshot
from ..model import Device, Snapshot
from ..render.style import Style
from . import opening
from .filtering import wanted, warn_of_missing_in
from .meant import in_one_line
from .options import (
    add_color_option,
    add_device_arguments,
    add_filter_options,
    add_output_options,
    add_target_options,
    new_parser,
)
from .output import write_output
from .shown import Shown
from .terminal import style_for

__all__ = ("STATUS", "add_options", "add_output", "chosen", "new_report", "show")

#: Of the help of a report.
STATUS = """
exit status:
  0  the report was printed, even if some values could not be read
  2  wrong use: bad options, a filter that matches nothing, or the output failed
  3  the target could not be read at all
130  Ctrl-C interrupted it
"""

#: Returns the text on some devices.
Text = Callable[[Sequence[Device], Snapshot, Style], str]


def add_options(p: argparse.ArgumentParser, without: str) -> None:
    """
    Add the options that do not choose the target.

    :param without: What is shown without a filter
    """
    add_device_arguments(p)
    only = p.add_argument_group("filters", f"Without a filter: {without}.")
    add_filter_options(only)


def add_output(p: argparse.ArgumentParser) -> None:
    """Add the options of the output."""
    output = p.add_argument_group("output")
    add_color_option(output)
    add_output_options(output)


def new_report(
    name: str,
    description: str,
    epilog: str,
    options: Callable[[argparse.ArgumentParser], None],
) -> argparse.ArgumentParser:
    """
    Return the parser of a subcommand.

    :param name: The subcommand
    :param options: Adds what does not choose the target
    """
    p = new_parser(f"drgn-veth {name}", description, epilog + STATUS)
    options(p)
    add_target_options(p)
    return p


def chosen(
    prog: Program, snapshot: Snapshot, args: argparse.Namespace
) -> Optional[Sequence[Device]]:
    """
    Return the devices that the filters match, None if there are none.

    :raises UsageError: if a filter matches nothing
    """
    args.devices = [*args.devices, *map(as_in_snapshot, args.names)]
    only = wanted(prog, snapshot, args)
    if only.everything:
        return None
    with in_one_line(args):
        return filters.matching(snapshot, only)


def show(
    prog: Optional[Program],
    args: argparse.Namespace,
    has: Callable[[Device], bool],
    text: Text,
    traffic: bool = False,
) -> Shown:
    """
    Print the text on the devices that are chosen, and return them.

    :param has: Whether a device is shown that is not chosen
    :param traffic: See :func:`.opening.take()`
    """
    style = style_for(args)
    target, snapshot = opening.opened(prog, args, traffic=traffic)
    devices = chosen(target, snapshot, args)
    if devices is None:
        devices = [device for device in snapshot.devices if has(device)]
    said = text(devices, snapshot, style)
    write_output(f"{said}\n", args.output, opening.inputs(target, args))
    warn_of_missing_in(snapshot, devices)
    return Shown(devices)
