# SPDX-License-Identifier: LGPL-2.1-or-later
"""
xdp_attach.py
-------------

What the kernel would answer to an XDP attach: a table or JSON.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Optional

from drgn import Program

from ..analysis import filters
from ..analysis.attach import predictor
from ..analysis.netns_names import FilterError
from ..core.unreadable import Maybe
from ..model import Device, LoadedProgram, Task
from ..render import json
from ..render.attempts import Attempt
from . import opening
from .filtering import wanted
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
from .status import EXIT_OK, TargetError, UsageError

__all__ = ("main", "parser")

_DESCRIPTION = """\
Predict what the kernel would answer to an XDP attach in each mode: the error and its
message, the function that decides, the values it compares, and what would change the
answer.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/xdp_attach.py veth_xxx0
                                   the four modes, by netlink and by a BPF link
  drgn scripts/xdp_attach.py eth0 --netns pod1 --mode driver --frags
                                   a program with fragments, running kernel
  drgn -c vmcore scripts/xdp_attach.py --all --format json

Nothing is attached or changed: the answers come from kernel memory and from the checks
in the kernel's source, in the kernel's order. They are for a new program that is
attached nowhere and bound to no device; --program ID selects a loaded one.

exit status:
  0  the answers were printed, whatever they are
  2  wrong use: bad options, no such device or program, an ambiguous name
  3  the target could not be read at all, or is older than v5.9
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("xdp_attach.py", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "device", metavar="DEVICE", nargs="*", help="name or altname of a device"
    )
    p.add_argument(
        "--all", action="store_true", help="all devices, or all that match the filters"
    )
    only = p.add_argument_group(
        "filters", "They choose among devices of the same name; alone, they choose all."
    )
    add_filter_options(only)
    p.add_argument(
        "--mode",
        choices=predictor.MODES,
        help="only this mode; default means an attach without a mode",
    )
    p.add_argument(
        "--via",
        choices=predictor.VIAS,
        help="only this way: netlink (ip link), or a BPF link (libbpf)",
    )
    p.add_argument(
        "--frags",
        action="store_true",
        help="the program supports fragments (section xdp.frags)",
    )
    p.add_argument(
        "--program",
        metavar="ID",
        type=int,
        help="a loaded program, by its ID, instead of a new one",
    )
    ops = p.add_mutually_exclusive_group()
    ops.add_argument(
        "--replace",
        dest="op",
        action="store_const",
        const="replace",
        help="replace what is attached: by netlink (ip -force link), or by updating "
        "the link that holds it",
    )
    ops.add_argument(
        "--detach",
        dest="op",
        action="store_const",
        const="detach",
        help="detach by netlink (ip link set dev DEVICE xdp off)",
    )
    output = p.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="table (the default) for people; json, see docs/json.md",
    )
    add_color_option(output)
    add_output_options(output)
    add_target_options(p)
    p.set_defaults(op="attach")
    return p


def _program(
    asked: predictor.Predictor, number: Optional[int]
) -> Optional[LoadedProgram]:
    if number is None:
        return None
    programs = asked.programs()
    try:
        return programs[number]
    except KeyError:
        there = ", ".join(map(str, sorted(programs))) or "none"
        raise UsageError(
            f"no XDP program with ID {number} is loaded; available: {there}"
        ) from None


def _answers(
    args: argparse.Namespace,
    asked: predictor.Predictor,
    devices: Sequence[Device],
    program: Optional[LoadedProgram],
) -> Iterator[Attempt]:
    modes = predictor.MODES if args.mode is None else (args.mode,)
    vias = predictor.VIAS if args.via is None else (args.via,)
    if program is not None:
        kinds = [program.frags is True]
    elif args.all and not args.frags:
        kinds = [False, True]
    else:
        kinds = [args.frags]
    for device in devices:
        for op, mode, via, frags, answer in asked.answers(
            device, args.op, modes, vias, kinds, program
        ):
            yield Attempt(device, op, mode, via, frags, answer)


def _table(
    args: argparse.Namespace,
    answers: Sequence[Attempt],
    blocked_by: Maybe[Optional[Task]],
) -> str:
    from ..render import attempts_table

    parts = attempts_table.blocked(blocked_by)
    if args.all:
        parts.append(attempts_table.all_devices(answers))
    else:
        of_device: dict[int, list[Attempt]] = {}
        for one in answers:
            of_device.setdefault(one.device.net_device, []).append(one)
        parts += [attempts_table.one_device(group) for group in of_device.values()]
    return "\n".join(parts)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    args = parse(parser(), argv)
    check_output(args.output, opening.inputs(prog, args))
    check_format(args.format)
    filtered = args.netns or args.devices or args.kinds or args.addresses
    if args.device and args.all or not (args.device or args.all or filtered):
        raise UsageError("name one or more devices, or use --all without a name")
    args.all = not args.device
    if args.program is not None and args.frags:
        raise UsageError(
            "--frags describes a new program, --program names a loaded one"
        )
    if args.op == "detach" and (args.program is not None or args.frags):
        raise UsageError("--detach takes no program")
    if args.op == "detach" and args.via == "link":
        raise UsageError("--detach uses netlink: a BPF link detaches when it is closed")
    target = opening.open_target(prog, args)
    taken = opening.take(target)
    try:
        devices = filters.named(taken, args.device, wanted(target, taken, args))
        asked = predictor.Predictor(taken)
    except FilterError as e:
        raise UsageError(str(e)) from None
    except predictor.TooOldError as e:
        raise TargetError(str(e)) from None
    program = _program(asked, args.program)
    answers = list(_answers(args, asked, devices, program))
    if args.format == "json":
        text = json.attempts(answers, asked.blocked_by)
    else:
        text = _table(args, answers, asked.blocked_by)
    write_output(text, args.output, opening.inputs(target, args))
    return EXIT_OK
