# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn-veth xdp, and %xdp at drgn's prompt
----------------------------------------

XDP programs and links, and what an attach would meet.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis.attach.alike import answers_alike
from ..analysis.attach.predictor import MODES, VIAS, Predictor, TooOldError
from ..model import Device, Snapshot
from ..render.attempts import Attempt
from ..render.width import wrap
from ..render.xdp import carries_xdp, programs
from . import of_devices, opening
from .filtering import warn_of_missing_in
from .options import (
    check_format,
    mode,
    parse,
)
from .output import write_output
from .shown import Shown
from .terminal import style_for

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Report the XDP programs of devices: which devices have one, in which mode, who holds its
link, and what another XDP attach there would return.
"""

_EPILOG = """\
examples:
  drgn-veth xdp vmcore             all devices that have an XDP program
  drgn-veth xdp -c vmcore veth0 'cali*'
                                   these devices, also those without a program
  drgn-veth xdp --netns pod1 --mode driver
                                   a namespace of the running kernel; native mode

drgn-veth attach answers for one attach in detail, and in JSON. A kernel before v5.9
shows its programs, without answers.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the subcommand's options."""
    return of_devices.new_report("xdp", _DESCRIPTION, _EPILOG, add_options)


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    of_devices.add_options(p, "the devices that have an XDP program")
    asked = p.add_argument_group("attach")
    asked.add_argument(
        "--mode",
        type=mode,
        metavar="MODE",
        help="answers for this mode only: default, generic, driver, offload, or any "
        "other name of them",
    )
    asked.add_argument(
        "--frags",
        action="store_true",
        help="answers for a program that supports fragments (section xdp.frags)",
    )
    of_devices.add_output(p)


def _way_out(predictor: Predictor, device: Device) -> Optional[Sequence[str]]:
    # The command for generic mode, None if that is refused.
    if any(predictor.attach(device, "generic", via).errno != 0 for via in VIAS):
        return None
    return predictor.questions.fixes.attach(device.ref, "generic")


def _answers(
    args: argparse.Namespace, snapshot: Snapshot, devices: Sequence[Device]
) -> tuple[list[Attempt], list[str]]:
    from ..render import attempts_device, attempts_table

    style = style_for(args)
    try:
        predictor = Predictor(snapshot)
    except TooOldError as e:
        why = wrap(f"no answers to an XDP attach: {e}", style.width)
        return [], ["\n".join(why) + "\n"]
    modes = MODES if args.mode is None else (args.mode,)
    answered = list(
        answers_alike(predictor, devices, "attach", modes, VIAS, [args.frags])
    )
    parts = attempts_device.blocked(predictor.blocked_by, style)
    attempts = [
        [Attempt(device, *one) for one in answers] for device, answers in answered
    ]
    if args.names or len(devices) == 1:
        parts += [
            attempts_device.one_device(of, style, _way_out(predictor, of[0].device))
            for of in attempts
        ]
    else:
        parts.append(attempts_table.all_devices(answered, style))
    return [one for of in attempts for one in of], parts


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the subcommand, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the attempts."""
    check_format("table")
    style = style_for(args)
    target, snapshot = opening.opened(prog, args, traffic=True)
    devices = of_devices.chosen(target, snapshot, args)
    if devices is None:
        devices = [device for device in snapshot.devices if carries_xdp(device)]
    answers: Sequence[Attempt] = ()
    text = "no device has an XDP program\n"
    if devices:
        answers, parts = _answers(args, snapshot, devices)
        listed = programs(devices, snapshot, style)
        head = ["", "what an attach would return:", ""] if answers else [""]
        text = "\n".join([listed, *head, *parts])
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing_in(snapshot, devices)
    return Shown(answers)
