# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth rps, and %rps at drgn's prompt
----------------------------------------

Where packets of each queue are steered.
"""

import argparse
from typing import Optional

from drgn import Program

from ..analysis.rules.sent import sent_queues
from ..render.rps import queues, steers
from . import opening
from .filtering import warn_of_missing
from .options import (
    add_color_option,
    add_device_arguments,
    add_filter_options,
    add_output_options,
    add_target_options,
    new_parser,
    parse,
)
from .output import write_output
from .shown import Shown
from .terminal import style_for
from .xdp import chosen

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Report where packets of each queue are steered: RPS and RFS of the RX queues, XPS of the
TX queues that are in use.
"""

_EPILOG = """\
examples:
  drgn-veth rps vmcore             all devices that have RPS, RFS or XPS
  drgn-veth rps -c vmcore veth0 'cali*'
                                   these devices, also those that have none
  drgn-veth rps --netns pod1       a namespace of the running kernel

exit status:
  0  the report was printed, even if some values could not be read
  2  wrong use: bad options, a filter that matches nothing, or the output failed
  3  the target could not be read at all
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's options."""
    p = new_parser("drgn-veth rps", _DESCRIPTION, _EPILOG)
    add_options(p)
    add_target_options(p)
    return p


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    add_device_arguments(p)
    only = p.add_argument_group(
        "filters", "Without any, the devices that have RPS, RFS or XPS."
    )
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_color_option(output)
    add_output_options(output)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the subcommand, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices."""
    style = style_for(args)
    target, snapshot = opening.opened(prog, args)
    devices = chosen(target, snapshot, args)
    if devices is None:
        devices = [device for device in snapshot.devices if steers(device)]
    sent = sent_queues(snapshot)
    text = queues(devices, snapshot.target, style, sent)
    if not devices:
        text += "\nno device has RPS, RFS or XPS"
    write_output(f"{text}\n", args.output, opening.inputs(target, args))
    warn_of_missing(snapshot._replace(devices=tuple(devices), namespaces=()))
    return Shown(devices)
