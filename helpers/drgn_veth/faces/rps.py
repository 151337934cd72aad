# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth rps, and %rps at drgn's prompt
----------------------------------------

Where packets of each queue are steered.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis.rules.sent import sent_queues
from ..model import Device, Snapshot
from ..render.rps import queues, steers
from ..render.style import Style
from . import of_devices
from .options import parse
from .shown import Shown

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
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's options."""
    return of_devices.new_report("rps", _DESCRIPTION, _EPILOG, add_options)


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    of_devices.add_options(p, "the devices that have RPS, RFS or XPS")
    of_devices.add_output(p)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the subcommand, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def _text(devices: Sequence[Device], snapshot: Snapshot, style: Style) -> str:
    text = queues(devices, snapshot, style, sent_queues(snapshot))
    return text if devices else f"{text}\nno device has RPS, RFS or XPS"


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices."""
    return of_devices.show(prog, args, steers, _text)
