# SPDX-License-Identifier: LGPL-2.1-or-later
"""``%xdp``: programs and links, and what an attach would meet."""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ...analysis import filters
from ...analysis.attach.predictor import MODES, VIAS, Predictor, TooOldError
from ...analysis.netns_names import FilterError
from ...model import Device, Snapshot
from ...render.attempts import Attempt
from ...render.xdp import carries_xdp, programs
from .. import opening
from ..filtering import wanted, warn_of_missing
from ..options import (
    add_color_option,
    add_filter_options,
    add_output_options,
    check_format,
    mode,
)
from ..output import check_output, write_output
from ..shown import Shown
from ..status import TargetError, UsageError
from ..terminal import style_for

__all__ = ("add_options", "chosen", "show")


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options."""
    only = p.add_argument_group(
        "filters", "Without any, the devices that have an XDP program."
    )
    add_filter_options(only)
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
    output = p.add_argument_group("output")
    add_color_option(output)
    add_output_options(output)


def chosen(
    prog: Program, snapshot: Snapshot, args: argparse.Namespace
) -> Optional[Sequence[Device]]:
    """
    Return the devices that the filters match, None if there are none.

    :raises UsageError: if a filter matches nothing
    """
    only = wanted(prog, snapshot, args)
    if only.everything:
        return None
    try:
        return filters.matching(snapshot, only)
    except FilterError as e:
        raise UsageError(str(e)) from None


def _answers(
    args: argparse.Namespace, snapshot: Snapshot, devices: Sequence[Device]
) -> tuple[list[Attempt], list[str]]:
    from ...render import attempts_table

    try:
        predictor = Predictor(snapshot)
    except TooOldError as e:
        raise TargetError(str(e)) from None
    modes = MODES if args.mode is None else (args.mode,)
    of_device = [
        [
            Attempt(device, *answer)
            for answer in predictor.answers(device, "attach", modes, VIAS, [args.frags])
        ]
        for device in devices
    ]
    answers = [one for several in of_device for one in several]
    parts = attempts_table.blocked(predictor.blocked_by)
    if args.named or len(devices) == 1:
        parts += [attempts_table.one_device(several) for several in of_device]
    elif answers:
        parts.append(attempts_table.all_devices(answers))
    return answers, parts


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the attempts."""
    check_format("table")
    style = style_for(args.output, args.color)
    check_output(args.output, opening.inputs(prog, args))
    target = opening.open_target(prog, args)
    snapshot = opening.take(target)
    devices = chosen(target, snapshot, args)
    if devices is None:
        devices = [device for device in snapshot.devices if carries_xdp(device)]
    if not devices:
        write_output("no device has an XDP program\n", args.output)
        return Shown()
    answers, parts = _answers(args, snapshot, devices)
    listed = programs(devices, snapshot.links, style)
    text = "\n".join([listed, "", "what an attach would meet:", "", *parts])
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing(snapshot._replace(devices=tuple(devices), namespaces=()))
    return Shown(answers)
