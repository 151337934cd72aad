# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth drops, and %drops at drgn's prompt
--------------------------------------------

Where packets were lost.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..model import Device, Snapshot
from ..render.drops import drops
from ..render.style import Style
from . import of_devices
from .options import check_format, parse
from .shown import Shown

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
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's options."""
    return of_devices.new_report("drops", _DESCRIPTION, _EPILOG, add_options)


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    of_devices.add_options(p, "all devices")
    of_devices.add_output(p)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the subcommand, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def _text(devices: Sequence[Device], snapshot: Snapshot, style: Style) -> str:
    return "\n".join(drops(devices, snapshot, style))


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices."""
    check_format("table")
    return of_devices.show(prog, args, lambda _: True, _text, traffic=True)
