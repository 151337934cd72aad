# SPDX-License-Identifier: LGPL-2.1-or-later
"""
xdp_attach.py
-------------

What the kernel would answer to an XDP attach: a table or JSON.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional, Union

from drgn import Program

from ..analysis import diagnose, filters
from ..analysis.attach import predictor
from ..analysis.attach.alike import Answered, OwnAnswers, answers_alike
from ..analysis.attach.below import Below, answers_below
from ..core.xdp_modes import mode_words
from ..model import Device, LoadedProgram, Snapshot
from ..render import json
from ..render.attempts import Attempt
from . import opening
from .filtering import wanted, wanted_rules, warn_of_missing_in
from .meant import in_one_line
from .options import (
    add_color_option,
    add_device_arguments,
    add_filter_options,
    add_format_option,
    add_output_options,
    add_rule_option,
    add_target_options,
    check_format,
    mode,
    new_parser,
    parse,
)
from .output import write_output
from .status import EXIT_OK, TargetError, UsageError
from .terminal import style_for
from .then import add_then_option, check_then, in_a_row_text

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
  drgn -c vmcore scripts/xdp_attach.py 'q*' --netns host
                                   all devices with such a name
  drgn -c vmcore scripts/xdp_attach.py --all --failing
                                   how many devices refuse, and which
  drgn -c vmcore scripts/xdp_attach.py --all --format json
  drgn -c vmcore scripts/xdp_attach.py q24b --then 'channels rx 4' --then attach
                                   whether an attach is accepted after ethtool -L

Nothing is attached or changed: the answers come from kernel memory and from the checks
in the kernel's source, in the kernel's order. They are for a new program that is
attached nowhere and bound to no device; --program ID selects a loaded one.

exit status:
  0  the answers were printed, whatever they are
  2  wrong use: bad options, no such device or program, an ambiguous name
  3  the target could not be read at all, or is older than v5.9
130  Ctrl-C interrupted it
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("xdp_attach.py", _DESCRIPTION, _EPILOG)
    add_device_arguments(p)
    p.add_argument(
        "--all", action="store_true", help="all devices, or all that match the filters"
    )
    p.add_argument(
        "--failing",
        action="store_true",
        help="with --all: only devices where the kernel refuses an attach in default "
        "or generic mode, or in the mode that --mode names",
    )
    only = p.add_argument_group(
        "filters",
        "With a DEVICE, they choose among devices of that name; without one, all "
        "devices that match.",
    )
    add_filter_options(only)
    add_rule_option(only, "devices about which this rule finds something")
    p.add_argument(
        "--mode",
        type=mode,
        choices=predictor.MODES,
        metavar="MODE",
        help="only this mode, by any of its names: " + mode_words() + "; default means "
        "an attach without a mode",
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
        type=_id_or_name,
        help="a loaded program, by its ID, instead of a new one",
    )
    ops = p.add_mutually_exclusive_group()
    ops.add_argument(
        "--replace",
        dest="op",
        action="store_const",
        const="replace",
        help="replace what is attached: by netlink (ip -force link), or by updating "
        "the link that holds it, with a program of the same section",
    )
    ops.add_argument(
        "--detach",
        dest="op",
        action="store_const",
        const="detach",
        help="detach by netlink (ip link set dev DEVICE xdp off)",
    )
    add_then_option(p)
    output = p.add_argument_group("output")
    add_format_option(output)
    add_color_option(output)
    add_output_options(output)
    add_target_options(p)
    p.set_defaults(op="attach")
    return p


def _id_or_name(text: str) -> Union[int, str]:
    return int(text) if text.isascii() and text.isdigit() else text


def _program(
    asked: predictor.Predictor, number: Union[int, str, None]
) -> Optional[LoadedProgram]:
    if number is None:
        return None
    programs = asked.programs()
    if isinstance(number, str):
        called = [f"{i}" for i, one in programs.items() if one.name == number]
        said = f"; {number} is {' or '.join(called)}" if called else f", not {number!r}"
        raise UsageError(f"--program takes an id (bpftool prog){said}")
    try:
        return programs[number]
    except KeyError:
        there = ", ".join(map(str, sorted(programs))) or "none"
        raise UsageError(
            f"no XDP program with ID {number} is loaded; available: {there}"
        ) from None


class _Asked(NamedTuple):
    # What is asked of the predictor.
    predictor: predictor.Predictor
    op: str
    modes: Sequence[str]
    vias: Sequence[str]
    kinds: Sequence[bool]  # whether the program supports fragments
    program: Optional[LoadedProgram]

    def own(self, modes: Optional[Sequence[str]] = None) -> OwnAnswers:
        """Return what has the answers for each device."""
        return OwnAnswers(
            self.predictor, self.op, modes or self.modes, self.vias, self.kinds,
            self.program,
        )  # fmt: skip

    def attempts(
        self, device: Device, answers: Iterable[Answered]
    ) -> Iterator[Attempt]:
        """Yield the answers for a device, with those of the devices below it."""
        for one in answers:
            below: tuple[Below, ...] = ()
            if one.op == "attach" and one.answer.errno != 0:
                below = answers_below(self.predictor, device, one.mode, one.frags)
            yield Attempt(device, *one, below)

    def way_out(self, device: Device) -> Optional[Sequence[str]]:
        """Return the command for generic mode; None if that is refused."""
        if self.op == "detach":
            return None
        if any(one.answer.errno != 0 for one in self.own(("generic",)).of(device)):
            return None
        return self.predictor.questions.fixes.attach(device.ref, "generic")


def _with_findings(
    devices: Sequence[Device], whole: Snapshot, args: argparse.Namespace
) -> Sequence[Device]:
    rules = wanted_rules(args.rules)
    if rules is None:
        return devices
    there = {
        finding.device.net_device
        for finding in diagnose.diagnose(whole)
        if finding.rule in rules and finding.device is not None
    }
    found = [device for device in devices if device.net_device in there]
    if not found:
        raise UsageError(f"no device has a finding of {' or '.join(sorted(rules))}")
    return found


def _asked(args: argparse.Namespace, asked: predictor.Predictor) -> _Asked:
    program = _program(asked, args.program)
    if program is not None:
        kinds = [program.frags is True]
    elif args.all and not args.frags:
        kinds = [False, True]
    else:
        kinds = [args.frags]
    return _Asked(
        asked,
        args.op,
        predictor.MODES if args.mode is None else (args.mode,),
        predictor.VIAS if args.via is None else (args.via,),
        kinds,
        program,
    )


def _is_failing(args: argparse.Namespace, answers: Iterable[Answered]) -> bool:
    # Offload is refused almost everywhere, and driver mode where there is none.
    modes = ("default", "generic") if args.mode is None else (args.mode,)
    return any(
        isinstance(one.answer.errno, int) and one.answer.errno != 0
        for one in answers
        if one.mode in modes
    )


def _each(
    args: argparse.Namespace, asked: _Asked, devices: Iterable[Device]
) -> Iterator[Attempt]:
    own = asked.own()
    for device in devices:
        answers = own.of(device)
        if not args.failing or _is_failing(args, answers):
            yield from asked.attempts(device, answers)


def _table(args: argparse.Namespace, asked: _Asked, devices: Sequence[Device]) -> str:
    from ..render import attempts_device, attempts_table

    style = style_for(args)
    parts = attempts_device.blocked(asked.predictor.blocked_by, style)
    if args.all:
        answered = answers_alike(
            asked.predictor, devices, asked.op, asked.modes, asked.vias, asked.kinds,
            asked.program,
        )  # fmt: skip
        what = "devices"
        if args.failing:
            what = "device refuses"
            answered = (one for one in answered if _is_failing(args, one[1]))
        parts.append(attempts_table.all_devices(answered, style, what))
    own = asked.own()
    for device in () if args.all else devices:
        attempts = list(asked.attempts(device, own.of(device)))
        way_out = asked.way_out(device)
        parts.append(attempts_device.one_device(attempts, style, way_out, True))
    return "\n".join(parts)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    args = parse(parser(), argv)
    check_format(args.format)
    filters_given = (args.netns, args.devices, args.kinds, args.addresses, args.rules)
    filtered = any(filters_given)
    if args.names and args.all or not (args.names or args.all or filtered):
        raise UsageError("name one or more devices, or use --all without a name")
    args.all = not args.names
    if args.failing and not args.all:
        raise UsageError("--failing needs --all: do not name a device")
    if args.program is not None and args.frags:
        raise UsageError(
            "--frags describes a new program, --program names a loaded one"
        )
    if args.op == "detach" and (args.program is not None or args.frags):
        raise UsageError("--detach takes no program")
    if args.op == "detach" and args.via == "link":
        raise UsageError("--detach uses netlink: a BPF link detaches when it is closed")
    check_then(args)
    target, taken = opening.opened(prog, args, traffic=bool(args.rules))
    with in_one_line(args):
        devices = filters.named(taken, args.names, wanted(target, taken, args))
    devices = _with_findings(devices, taken, args)
    try:
        asked = _asked(args, predictor.Predictor(taken))
    except predictor.TooOldError as e:
        raise TargetError(str(e)) from None
    text: Union[str, Iterable[str]]
    if args.questions:
        text = in_a_row_text(args, taken, devices)
    elif args.format == "json":
        blocked_by = asked.predictor.blocked_by
        text = json.attempts(_each(args, asked, devices), blocked_by)
    else:
        text = _table(args, asked, devices)
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing_in(taken, devices)
    return EXIT_OK
