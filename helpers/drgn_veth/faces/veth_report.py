# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_report.py
--------------

The report: a table, CSV or JSON, and what is wrong.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis import diagnose, filters
from ..analysis.rules import RULES_BY_ID
from ..analysis.rules.finding import Finding
from ..analysis.rules.page import explain
from ..model import Snapshot
from ..render import csv, findings, json
from . import opening
from .filtering import keep_wanted, warn_of_missing
from .options import (
    add_color_option,
    add_filter_options,
    add_output_options,
    add_target_options,
    check_format,
    new_parser,
    parse,
)
from .output import check_output, write_output
from .picture import PICTURES, check_picture, picture
from .status import EXIT_FOUND, EXIT_OK, UsageError, warn

__all__ = ("main", "parser")

_DESCRIPTION = """\
Report the veth and netkit pairs of a kernel: both ends, their network namespaces,
queues, XDP programs and RPS masks; and diagnose what is wrong with them.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/veth_report.py
                                   the pairs in a crash dump, as a table
  drgn scripts/veth_report.py --netns pod1 --netns host --all
                                   all devices of two namespaces, running kernel
  drgn --qemu qmp.sock scripts/veth_report.py --device 'veth*'
                                   devices by name, in a QEMU guest
  python3 scripts/veth_report.py -c vmcore -s vmlinux --format json
  drgn -c vmcore scripts/veth_report.py --format html --output report.html
                                   a page with a picture, to attach to a ticket
  python3 scripts/veth_report.py --explain xdp-native-queues
                                   what a finding means; needs no dump

in the table:
  netns      label of the network namespace; the line "namespaces" has its inode
             number, which readlink /proc/PID/ns/net shows
  queues     real/max: how many the device uses, and how many it was created with
  XDP        mode (generic, driver, offload), name#id of the program; "link" if
             a BPF link holds it, "frags" if it supports multi-buffer packets
  RPS CPUs   where RPS steers received packets; "rx0:1-2" is queue 0 only
  ?          could not be read; --format json says why

findings, below the table, worst first (JSON has all of them):
  error      something is broken now
  warning    it will hurt the traffic that is set up now
  info       it matters if you want what it is about, such as native XDP; infos of one
             rule are folded into a count and an example
  undecided  a value could not be read, or is not in any dump; counted separately
  $          a command that fixes it, for a shell on the host; a line "this ..." above
             it names side effects
  to undo it a command that only undoes a state, which may be intended
  then       how the kernel would still refuse a native attach afterwards

exit status:
  0  the report was printed, even if some values could not be read
  1  --check found an error (the report was printed)
  2  wrong use: bad options, a filter that matches nothing, or the output failed
  3  the target could not be read at all
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("veth_report.py", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "--all", action="store_true", help="list devices of every kind instead of pairs"
    )
    only = p.add_argument_group(
        "filters", "A pair is shown if one of its ends matches all filters."
    )
    add_filter_options(only)
    rules = p.add_argument_group("diagnosis")
    rules.add_argument(
        "--findings",
        choices=("folded", "all", "none"),
        default="folded",
        help="findings below the table: folded shows the infos of one rule as a count "
        "and an example (the default), all shows each finding, none shows none",
    )
    rules.add_argument(
        "--check",
        action="store_true",
        help="exit 1 if there is an error in what the filters match; undecided rules "
        "are named on standard error",
    )
    rules.add_argument(
        "--explain",
        metavar="RULE",
        help="explain a rule: what it checks, what it means, what to do; then exit",
    )
    output = p.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("table", "json", "csv", *PICTURES),
        default="table",
        help="table (the default) for people; json, see docs/json.md; csv for "
        "spreadsheets: a cell that begins with = + - or @ gets a single quote in front"
        "; html: a page with a picture; svg: the picture alone; dot: for Graphviz",
    )
    add_color_option(output)
    add_output_options(output)
    add_target_options(p)
    return p


def _listed(kept: Snapshot) -> Snapshot:
    # What a list of devices shows: without the other ends of pairs.
    filtered = any(device.matched for device in kept.devices)
    return filters.matched_only(kept) if filtered else kept


def _table(
    args: argparse.Namespace,
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
) -> str:
    from ..render import table

    if args.all:
        screen = table.devices(_listed(kept), whole.devices)
    elif kept.pairs:
        screen = table.pairs(kept, whole.devices)
    else:
        screen = "no veth or netkit pairs; --all lists devices of every kind"
    head = table.head(whole)
    parts = [*([head] if head else []), screen, table.legend(kept), table.totals(kept)]
    if args.findings != "none" and found:
        parts.append(findings.findings(found, unfold=args.findings == "all"))
    return "\n\n".join(parts) + "\n"


def _render(
    args: argparse.Namespace,
    kept: Snapshot,
    whole: Snapshot,
    found: Sequence[Finding],
) -> str:
    if args.format == "json":
        return json.render(kept, found)
    if args.format == "csv":
        if args.all:
            return csv.devices(_listed(kept), whole.devices)
        return csv.pairs(kept, whole.devices)
    if args.format in PICTURES:
        return picture(args.format, kept, whole, found)
    return _table(args, kept, whole, found)


def _explanation(rule: str) -> str:
    try:
        return explain(RULES_BY_ID[rule])
    except KeyError:
        raise UsageError(
            f"--explain: no rule is called {rule!r}; the rules are "
            f"{', '.join(RULES_BY_ID)}"
        ) from None


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    args = parse(parser(), argv)
    check_output(args.output, opening.inputs(prog, args))
    if args.explain is not None:
        text = _explanation(args.explain)
        write_output(text, args.output, opening.inputs(prog, args))
        return EXIT_OK
    check_format(args.format)
    check_picture(args.format, args.output)
    target = opening.open_target(prog, args)
    whole = opening.take(target)
    kept = keep_wanted(target, whole, args)
    found = diagnose.keep_findings(diagnose.diagnose(whole), kept)
    text = _render(args, kept, whole, found)
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing(kept)
    if args.check:
        undecided = diagnose.undecided_errors(found)
        if undecided is not None:
            warn(undecided)
        if diagnose.has_error(found):
            return EXIT_FOUND
    return EXIT_OK
