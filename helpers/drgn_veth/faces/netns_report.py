# SPDX-License-Identifier: LGPL-2.1-or-later
"""
netns_report.py
---------------

The network namespaces: who is in them, what keeps them alive.
"""

import argparse
from collections.abc import Iterable
from typing import Optional, Union

from drgn import Program

from ..analysis import diagnose, filters
from ..model import Snapshot
from ..render import csv, netns
from . import opening
from .filtering import keep_wanted, warn_of_missing
from .of_devices import STATUS
from .options import (
    add_color_option,
    add_filter_options,
    add_format_option,
    add_output_options,
    add_target_options,
    check_format,
    new_parser,
    parse,
)
from .output import write_output
from .records import RECORDS, records
from .shown import Shown
from .terminal import style_for

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Report the network namespaces of a kernel: what they are called, the processes and
containers in them, how many devices they have, and what holds those that have neither a
process nor a mount.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/netns_report.py
                                   all namespaces in a crash dump
  drgn scripts/netns_report.py pod1 'docker:*'
                                   two namespaces, or more
  drgn scripts/netns_report.py --pid 4711 --devices
                                   the namespace of a process and its devices
  drgn -c vmcore scripts/netns_report.py --address 10.0.0.7 --devices
                                   whose address this is

in the table:
  NETNS      label of the namespace: host; its name in `ip netns`; its container; the
             last part of a mount's path; its first process; what holds it
  INODE      its inode number: readlink /proc/PID/ns/net
  TASKS, HOLDERS
             processes in it, lowest PIDs first; without one, what else keeps it alive
  OTHER CONTAINERS
             whose processes these are, besides the one that NETNS names
  host name, mounted at
             lines below a row: the host name of its first process; where it is mounted,
             if nothing else keeps it alive
  ?          could not be read; --format json says why
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("netns_report.py", _DESCRIPTION, _EPILOG + STATUS)
    add_options(p)
    add_target_options(p)
    return p


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    p.add_argument(
        "names",
        metavar="NETNS",
        nargs="*",
        help="only these namespaces, as --netns takes them",
    )
    p.set_defaults(paths_are_names=True)
    p.add_argument(
        "--devices",
        dest="with_devices",
        action="store_true",
        help="also list the devices of these namespaces",
    )
    only = p.add_argument_group(
        "filters", "A namespace is shown if it has a device that matches all filters."
    )
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_format_option(output, ("table", "json", "jsonl", "csv"))
    add_color_option(output)
    add_output_options(output)


def _listed(kept: Snapshot, whole: Snapshot) -> Snapshot:
    return kept if kept is whole else filters.matched_only(kept)


def _render(
    args: argparse.Namespace, kept: Snapshot, whole: Snapshot
) -> Union[str, Iterable[str]]:
    if args.format in RECORDS:
        found = diagnose.keep_findings(diagnose.diagnose(whole), kept)
        return records(args.format, kept, found)
    kept = _listed(kept, whole)
    if args.format == "csv":
        return (
            csv.devices(kept, whole.devices) if args.with_devices else netns.csv(kept)
        )
    from ..render import head, table
    from ..render.report import joined

    style = style_for(args)
    parts = [netns.table(kept, style)]
    if args.with_devices:
        parts.append(table.devices(kept, whole.devices, style))
    parts.append(netns.ways_in(kept, style))
    return joined([*parts, head.totals(kept, (), style)])


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the namespaces that were shown."""
    check_format(args.format)
    args.netns = [*args.netns, *args.names]
    target, whole = opening.opened(prog, args, args.format in RECORDS)
    kept = keep_wanted(target, whole, args)
    text = _render(args, kept, whole)
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing(kept)
    return Shown(_listed(kept, whole).namespaces)
