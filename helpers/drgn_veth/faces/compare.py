# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_compare.py
---------------

What came, went and changed between two dumps or reports: a table or JSON.
"""

import argparse
import time
from typing import Optional

from drgn import Program

from ..analysis.compare.comparison import compare
from ..analysis.compare.document import Report
from ..analysis.compare.records import Wanted
from ..analysis.netns_names import FilterError
from ..render import compare_json
from ..render.compare_table import Source, table
from .filtering import wanted_rules
from .options import (
    add_color_option,
    add_finding_options,
    add_format_option,
    add_kind_option,
    add_output_options,
    new_parser,
    parse,
)
from .output import check_output, write_output
from .sides import LIVE, read_live, read_side
from .status import EXIT_FOUND, EXIT_OK, UsageError, warn
from .symbols import check_symbols
from .terminal import style_for

__all__ = ("main", "parser")

_DESCRIPTION = """\
Compare two kernels, or one at two times: the network namespaces, devices, pairs, XDP
programs, RPS and XPS masks and findings that came, went and changed. A and B are dumps,
slices (also .xz), JSON reports, or "live" for the running kernel.
"""

_EPILOG = """\
examples:
  python3 scripts/veth_compare.py before.core after.core
  python3 scripts/veth_compare.py node1.json node2.json 'veth*'
                                   reports, of the report and --format json
  python3 scripts/veth_compare.py before.json live
  python3 scripts/veth_compare.py --live 10
                                   what the running kernel does in ten seconds

in the table:
  +          it is only in B     -    it is only in A     ~    it changed: A -> B

what is the same:
  namespaces have the same label, devices the same name and namespace; inode numbers,
  ifindexes, addresses in memory, and IDs of programs and links do not matter
  a device with another name or namespace is the same if its MAC address and that of
  its peer are; a value that could not be read on one side is not a change

exit status:
  0  the comparison was printed, whether or not anything differs
  1  --check found that something differs (the comparison was printed)
  2  wrong use: bad options, a filter that matches nothing, a file that is neither a
     dump nor a report, or the output failed
  3  a dump, the running kernel or a file could not be read at all
130  Ctrl-C interrupted it
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("veth_compare.py", _DESCRIPTION, _EPILOG)
    p.usage = "%(prog)s [-h] [OPTION ...] A B [DEVICE ...]"
    p.add_argument(
        "words",
        metavar="A B [DEVICE ...]",
        nargs="*",
        help="what to compare: A is before, or the first node; and only devices with "
        "this name or altname, or a shell pattern of them",
    )
    p.add_argument(
        "--live",
        metavar="SECONDS",
        type=_seconds,
        help="instead of A and B: the running kernel now and after that time",
    )
    only = p.add_argument_group(
        "filters", "What matches all filters in A or in B is compared."
    )
    only.add_argument(
        "--netns",
        metavar="NETNS",
        action="append",
        default=[],
        help="devices in this network namespace: label, name, path of a mount or inode "
        "number, or a shell pattern of them; may be repeated",
    )
    add_kind_option(only)
    found = p.add_argument_group("findings")
    add_finding_options(found)
    found.add_argument(
        "--check",
        action="store_true",
        help="exit 1 if anything differs in what the filters match",
    )
    output = p.add_argument_group("output")
    add_format_option(output, page="docs/compare.md")
    output.add_argument(
        "--all",
        action="store_true",
        help="list everything in the table, however long it gets",
    )
    add_color_option(output)
    add_output_options(output)
    symbols = p.add_argument_group(
        "debug symbols", "Most dumps need none, and reports need none."
    )
    for option, whose in (("-s", "A and B"), ("", "A"), ("", "B")):
        names = (option, "--symbols") if option else (f"--symbols-{whose.lower()}",)
        symbols.add_argument(
            *names,
            metavar="PATH",
            action="append",
            default=[],
            help=f"debug symbols of {whose}: vmlinux, or a module; may be repeated",
        )
    return p


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _sides(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    # What to compare, and the devices.
    if args.live is not None:
        return [LIVE, LIVE], args.words
    sides, devices = args.words[:2], args.words[2:]
    if len(sides) < 2:
        raise UsageError(
            "give two dumps or reports, A and B, or --live SECONDS; -h shows examples"
        )
    if sides == [LIVE, LIVE]:
        raise UsageError("use --live SECONDS: the running kernel now and after that")
    return sides, devices


def _read(side: str, symbols: list[str]) -> tuple[Report, Source]:
    return read_live(symbols) if side == LIVE else read_side(side, symbols)


def _warn_of_filters(sides: list[str], reports: list[Report]) -> None:
    filtered = [report.filtered for report in reports]
    if any(filtered) and not all(filtered):
        one = sides[filtered.index(True)]
        warn(
            f"{one} was made with filters: what they left out counts as gone or new; "
            "make both reports alike"
        )


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    args = parse(parser(), argv)
    if prog is not None:
        raise UsageError(
            "this opens its targets itself: use python3 instead of drgn, and name both"
        )
    sides, devices = _sides(args)
    symbols = [[*args.symbols, *given] for given in (args.symbols_a, args.symbols_b)]
    inputs = [side for side in sides if side != LIVE]
    inputs += [path for given in symbols for path in given]
    check_output(args.output, inputs)
    for path in inputs[len(inputs) - sum(map(len, symbols)) :]:
        check_symbols(path)
    style = style_for(args)
    rules = wanted_rules(args.rules)
    first = _read(sides[0], symbols[0])
    if args.live is not None:
        time.sleep(args.live)
    second = first
    if args.live is not None or sides[0] != sides[1] or symbols[0] != symbols[1]:
        second = _read(sides[1], symbols[1])
    reports, sources = [first[0], second[0]], (first[1], second[1])
    wanted = Wanted(args.netns, devices, args.kinds, rules)
    try:
        found = compare(reports[0], reports[1], wanted)
    except FilterError as e:
        raise UsageError(str(e)) from None
    if args.format == "json":
        text = compare_json.render(found, sources)
    else:
        text = table(found, sources, style, args.notes, args.all)
    write_output(text, args.output, inputs)
    _warn_of_filters(sides, reports)
    return EXIT_FOUND if args.check and found.differ else EXIT_OK
