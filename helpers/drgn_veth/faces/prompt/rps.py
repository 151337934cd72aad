# SPDX-License-Identifier: LGPL-2.1-or-later
"""``%rps``: where packets of each queue are steered."""

import argparse
from typing import Optional

from drgn import Program

from ...render.rps import queues, steers
from .. import opening
from ..filtering import warn_of_missing
from ..options import add_color_option, add_filter_options, add_output_options
from ..output import check_output, write_output
from ..shown import Shown
from ..terminal import style_for
from .xdp import add_names, chosen

__all__ = ("add_options", "show")


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_names(p)
    only = p.add_argument_group(
        "filters", "Without any, the devices that have RPS, RFS or XPS."
    )
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_color_option(output)
    add_output_options(output)


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices."""
    style = style_for(args.output, args.color)
    check_output(args.output, opening.inputs(prog, args))
    target = opening.open_target(prog, args)
    snapshot = opening.take(target)
    devices = chosen(target, snapshot, args)
    if devices is None:
        devices = [device for device in snapshot.devices if steers(device)]
    text = queues(devices, snapshot.target, style)
    if not devices:
        text += "\nno device has RPS, RFS or XPS"
    write_output(f"{text}\n", args.output, opening.inputs(target, args))
    warn_of_missing(snapshot._replace(devices=tuple(devices), namespaces=()))
    return Shown(devices)
