# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_report.py
--------------

The report: screens, CSV or JSON, and what is wrong.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Optional, Union

from drgn import Program

from ..analysis import diagnose, filters
from ..analysis.netns_names import FilterError
from ..analysis.rules.finding import Finding
from ..analysis.shown import all_of, few
from ..core.text import as_in_snapshot
from ..model import Snapshot
from ..render import csv
from ..render.style import Style
from . import opening
from .explain import explanation
from .filtering import keep_wanted, wanted_rules, warn_of_missing
from .options import (
    add_color_option,
    add_device_arguments,
    add_filter_options,
    add_format_option,
    add_output_options,
    add_rule_option,
    add_target_options,
    check_format,
    new_parser,
    parse,
)
from .output import check_output, write_output
from .picture import PICTURES, check_picture, picture
from .records import RECORDS, records
from .shown import Shown
from .status import EXIT_FOUND, UsageError, warn
from .terminal import style_for

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Report the veth and netkit pairs of a kernel: both ends, their network namespaces,
queues, XDP programs and RPS masks; and diagnose what is wrong with them.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/veth_report.py
                                   the pairs in a crash dump
  drgn scripts/veth_report.py veth0 'cali*'
                                   these devices in full, running kernel
  drgn scripts/veth_report.py --netns pod1 --netns host --all
                                   all devices of two namespaces
  drgn --qemu qmp.sock scripts/veth_report.py --tree
                                   namespaces and their devices, in a QEMU guest
  python3 scripts/veth_report.py -c vmcore -s vmlinux --format json
  drgn -c vmcore scripts/veth_report.py --format html --output report.html
                                   a page with a picture, to attach to a ticket
  python3 scripts/veth_report.py --explain xdp-native-queues
                                   what a finding means; needs no dump

on the screen:
  E, W         in front of a device with an error or a warning
  NETNS        label of the network namespace; the lines above the table give the inode
               number of each, which readlink /proc/PID/ns/net shows
  DEVICE       the second end of a pair is below the first; < br0: a port of br0
  eth0 (pod1:2)  with --all: the device with ifindex 2 in namespace pod1
  RX/TX        queues that the device uses
  XDP          mode (generic, driver, offload), name#id of the program; "link" if
               a BPF link holds it, "frags" if it supports multi-buffer packets
  RPS          CPUs that RPS steers received packets to; "rx0:1-2" is queue 0 only
  NATIVE XDP   the answer to an attach in native mode that replaces nothing; "then":
               the answer once that is fixed
  ?            could not be read; --format json says why

findings:
  error        something is broken now
  warning      it will hurt traffic in the current setup
  note         worth knowing; nothing is broken by it now; --notes and --rule show
               them; "info" in the JSON
  undecided    a value could not be read, or is not in any dump; counted separately
  fix          a command for a shell on the host; "the fix ..." above it names side
               effects
  to undo it   a command that only undoes a state, which may be intended
  then         how the kernel would still refuse a native attach afterwards

exit status:
  0  the report was printed, even if some values could not be read
  1  --check found an error (the report was printed)
  2  wrong use: bad options, a filter that matches nothing, or the output failed
  3  the target could not be read at all
130  Ctrl-C interrupted it
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("veth_report.py", _DESCRIPTION, _EPILOG)
    add_options(p)
    add_target_options(p)
    return p


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    add_device_arguments(
        p,
        "show these devices in full: names, altnames or shell patterns; with other "
        "screens and formats, as --device",
    )
    screen = p.add_mutually_exclusive_group()
    screen.add_argument(
        "--all", action="store_true", help="list devices of every kind instead of pairs"
    )
    screen.add_argument(
        "--tree",
        action="store_true",
        help="show namespaces and their devices as a tree instead",
    )
    p.add_argument(
        "--all-pairs",
        action="store_true",
        help="show all pairs, even if they fill more than two screens",
    )
    only = p.add_argument_group(
        "filters", "A pair is shown if one of its ends matches all filters."
    )
    add_filter_options(only)
    rules = p.add_argument_group("diagnosis")
    rules.add_argument(
        "--notes",
        action="store_true",
        help="also show notes: worth knowing, but nothing is broken by it now",
    )
    add_rule_option(
        rules,
        "show only the findings and notes of this rule, each with the values that were "
        "compared",
    )
    rules.add_argument(
        "--check",
        action="store_true",
        help="exit 1 if there is an error in what the filters match; undecided rules "
        "are named on standard error",
    )
    rules.add_argument(
        "--explain",
        metavar="WHAT",
        nargs="?",
        const="",
        help="explain an errno (ENOSPC), part of a kernel message, or a rule, "
        "then exit; with a dump, also which devices meet it; alone, list all",
    )
    output = p.add_argument_group("output")
    add_format_option(output, ("table", "json", "jsonl", "csv", *PICTURES))
    add_color_option(output)
    add_output_options(output)


def _listed(kept: Snapshot) -> Snapshot:
    # What a list of devices shows: without the other ends of pairs.
    filtered = any(device.matched for device in kept.devices)
    return filters.matched_only(kept) if filtered else kept


def _in_full(
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
    names: Sequence[str],
    style: Style,
) -> str:
    from ..render.one_device import devices_in_full

    try:
        devices = few(kept, names)
    except FilterError as e:
        raise UsageError(str(e)) from None
    return devices_in_full(devices, whole, found, style)


def _is_in_full(args: argparse.Namespace) -> bool:
    one_screen = args.format == "table" and not (args.all or args.tree)
    return bool(args.names) and one_screen


def _screen(
    args: argparse.Namespace,
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
    style: Style,
) -> str:
    from ..render import head, report, table, tree

    asked = report.Asked(args.notes, args.all_pairs)
    if _is_in_full(args):
        return _in_full(kept, whole, found, args.names, style)
    if args.all:
        listed = _listed(kept)
        legend = head.legend(listed, all_of(listed), style)
        screen = [legend, table.devices(listed, whole.devices, style)]
    elif args.tree:
        screen = [tree.tree(kept, found, style)]
    elif args.rules:
        return report.of_rules(kept, whole, found, style)
    else:
        return report.report(kept, whole, found, asked, style)
    return report.around(screen, kept, whole, found, asked, style)


def _of_rules(
    found: Sequence[Finding], args: argparse.Namespace
) -> tuple[Finding, ...]:
    rules = wanted_rules(args.rules)
    return tuple(one for one in found if rules is None or one.rule in rules)


def _render(
    args: argparse.Namespace,
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
    style: Style,
) -> Union[str, Iterable[str]]:
    if args.format in RECORDS:
        return records(args.format, kept, found)
    if args.format == "csv":
        if args.all:
            return csv.devices(_listed(kept), whole.devices)
        return csv.pairs(kept, whole.devices)
    if args.format in PICTURES:
        return picture(args.format, kept, whole, found)
    return _screen(args, kept, whole, found, style)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the devices that were shown."""
    args.devices = [*args.devices, *map(as_in_snapshot, args.names)]
    if args.explain is not None:
        if args.check:
            raise UsageError("--check does not go with --explain")
        check_output(args.output, opening.inputs(prog, args))
        said = explanation(prog, args, [args.explain] if args.explain else [])
        write_output(said, args.output, opening.inputs(prog, args))
        return Shown()
    check_format(args.format)
    check_picture(args.format, args.output)
    _of_rules((), args)
    style = style_for(args)
    if args.rules and args.format == "csv" and not args.check:
        raise UsageError("--rule chooses findings, and CSV has none")
    if args.tree and args.format != "table":
        raise UsageError(f"--tree is a screen: leave out --format {args.format}")
    target, whole = opening.opened(prog, args, traffic=True)
    kept = keep_wanted(target, whole, args)
    if args.format not in RECORDS:  # Only they show what is in flight.
        kept = kept._replace(in_flight=None)
    # CSV has no findings.
    asked = args.format != "csv" or args.check
    every = _of_rules(diagnose.diagnose(whole) if asked else (), args)
    found = diagnose.keep_findings(every, kept)
    # One device in full has what is about its namespace, too.
    text = _render(args, kept, whole, every if _is_in_full(args) else found, style)
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing(kept)
    if args.check:
        undecided = diagnose.undecided_errors(found)
        if undecided is not None:
            warn(undecided)
        if diagnose.has_error(found):
            return Shown(kept.devices, EXIT_FOUND)
    return Shown(kept.devices)
