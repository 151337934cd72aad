# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth drops, and %drops at drgn's prompt
--------------------------------------------

Where packets were lost.
"""

import argparse
from typing import Optional

from drgn import Program

from ..render.drops import drops
from . import opening
from .filtering import warn_of_missing
from .options import (
    add_color_option,
    add_device_arguments,
    add_filter_options,
    add_output_options,
    add_target_options,
    check_format,
    new_parser,
    parse,
)
from .output import write_output
from .shown import Shown
from .terminal import style_for
from .xdp import chosen

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Report where packets were lost: the counters of devices, their queues and qdiscs, and of
CPUs that are not zero, and what is known about why.
"""

_EPILOG = """\
examples:
  drgn-veth drops vmcore           all devices and CPUs that have lost packets
  drgn-veth drops -c vmcore veth0 'cali*'
                                   these devices, and the CPUs
  drgn-veth drops --netns pod1     a namespace of the running kernel

counters:
  rx_*, tx_*     as `ip -s -s link` shows them
  rx_drops, xdp_drops, xdp_tx_err, peer_tq_xdp_xmit_err
                 struct veth_stats, over all RX queues; `ethtool -S` shows them as
                 drops, xdp_drops, xdp_tx_errors and, at the peer, xdp_xmit_errors
  qdisc ...      as `tc -s qdisc` shows them
  dropped, time_squeeze, flow_limit_count
                 of a CPU, as /proc/net/softnet_stat shows them

A packet can be in two counters: a veth's rx_dropped has the rx_drops of its queues.
drgn-veth path DEVICE says where packets go, and where they would be lost now. All
counters are in report --format json.

exit status:
  0  the report was printed, even if some values could not be read
  2  wrong use: bad options, a filter that matches nothing, or the output failed
  3  the target could not be read at all
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's options."""
    p = new_parser("drgn-veth drops", _DESCRIPTION, _EPILOG)
    add_options(p)
    add_target_options(p)
    return p


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    add_device_arguments(p)
    only = p.add_argument_group("filters", "Without any, all devices.")
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_color_option(output)
    add_output_options(output)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the subcommand, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices."""
    check_format("table")
    style = style_for(args.output, args.color)
    target, snapshot = opening.opened(prog, args, traffic=True)
    devices = chosen(target, snapshot, args)
    if devices is None:
        devices = snapshot.devices
    text = "\n".join(drops(devices, snapshot, style))
    write_output(f"{text}\n", args.output, opening.inputs(target, args))
    warn_of_missing(snapshot._replace(devices=tuple(devices), namespaces=()))
    return Shown(devices)
