# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_path.py
------------

Where the packets of a device go.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis import filters
from ..analysis.filters import Wanted
from ..analysis.in_flight import queues_of
from ..analysis.path import Path, PathError, Topology, trace
from ..core.text import as_in_snapshot
from ..model import Device, Snapshot
from ..render.json import path as as_json
from ..render.words import cell, netns
from . import in_flight, opening
from .filtering import wanted, warn_of_missing
from .meant import in_one_line
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
from .shown import Shown
from .status import UsageError
from .terminal import style_for

__all__ = ("add_options", "main", "parser", "show")

_DESCRIPTION = """\
Follow the packets that a veth or netkit device sends to its peer, step by step in the
kernel's order: which RX queue, NAPI or backlog, XDP programs, RPS, and what comes
after. Of other devices, follow what they receive.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/veth_path.py veth_yyy0
                                   what it sends, on each of its TX queues
  drgn -c vmcore scripts/veth_path.py eth0 --netns pod1 --follow
                                   from a container through bridges and pairs
  drgn scripts/veth_path.py veth_yyy0 --queue 20
                                   one TX queue; of other devices an RX queue
  drgn scripts/veth_path.py veth_yyy0 --cpu 3
                                   what CPU 3 sends
  drgn -c vmcore scripts/veth_path.py --in-flight
                                   what lay in rings, backlogs and qdiscs

in the table:
  QUEUES       queues with the same steps; "all" and "then" are steps of all queues
  STEP         what is decided, in the kernel's order
  (function)   the kernel function that decides
  or:          what the state alone cannot tell: what a program returns, which port a
               bridge chooses
  also:        what happens as well

exit status:
  0  the path was printed, even if some values could not be read
  2  wrong use: no such device, queue or CPU, or the output failed
  3  the target could not be read at all
130  Ctrl-C interrupted it
"""

_MOST_NAMES = 8


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("veth_path.py", _DESCRIPTION, _EPILOG)
    add_options(p)
    add_target_options(p)
    return p


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that do not choose the target."""
    p.add_argument(
        "names",
        metavar="DEVICE",
        nargs="*",
        help="name or altname of a device, or a shell pattern of them",
    )
    asked = p.add_argument_group("path")
    asked.add_argument(
        "--queue",
        type=_number,
        metavar="Q",
        help="only this TX queue; of a device without a peer, RX queue",
    )
    asked.add_argument(
        "--cpu", type=_number, metavar="CPU", help="only what this CPU sends"
    )
    asked.add_argument(
        "--follow",
        action="store_true",
        help="go on through bridges and further pairs, until packets leave the host or "
        "reach an IP stack",
    )
    asked.add_argument(
        "--in-flight",
        action="store_true",
        help="also what lay in the queues of the devices on the path, in backlogs and "
        "CPUMAPs; without DEVICE, in all queues (or those of the devices that the "
        "filters choose) and without a path",
    )
    only = p.add_argument_group(
        "filters", "They choose among devices of the same name."
    )
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_format_option(output)
    add_color_option(output)
    add_output_options(output)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{text!r} is not a number")
    return int(text)


def _chosen(
    prog: Program, snapshot: Snapshot, args: argparse.Namespace
) -> Sequence[Device]:
    args.devices = [*args.devices, *map(as_in_snapshot, args.names)]
    only: Wanted = wanted(prog, snapshot, args)
    if only.everything:
        raise UsageError("which device? Give its name")
    with in_one_line(args):
        found = filters.matching(snapshot, only)
    if len(found) == 1 or (found and args.format == "table"):
        return found
    if not found:
        raise UsageError("no device matches these filters")
    names = [f"{cell(device.name)} ({netns(device.ref)})" for device in found]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    listed = ", ".join(names[:_MOST_NAMES])
    raise UsageError(
        f"JSON has one path, but {len(found)} devices match: {listed}{more}; use "
        "--netns to choose one"
    )


def _paths(prog: Program, snapshot: Snapshot, args: argparse.Namespace) -> list[Path]:
    topology = Topology(snapshot)
    try:
        return [
            trace(snapshot, device, args.queue, args.cpu, args.follow, topology)
            for device in _chosen(prog, snapshot, args)
        ]
    except PathError as e:
        raise UsageError(str(e)) from None


def _render(args: argparse.Namespace, found: Sequence[Path], snapshot: Snapshot) -> str:
    if args.format == "json":
        queues = (
            in_flight.document(snapshot, snapshot.devices) if args.in_flight else None
        )
        return "".join(as_json(found[0] if found else None, queues))
    from ..render.path import path

    style = style_for(args)
    said = "\n".join(path(one, style, args.cpu) for one in found)
    if args.in_flight:
        lines = in_flight.screen(snapshot, snapshot.devices, style)
        said += ("\n" if said else "") + "\n".join(lines) + "\n"
    return said


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    return show(prog, parse(parser(), argv)).status


def show(prog: Optional[Program], args: argparse.Namespace) -> Shown:
    """Do what the options say, and return the paths."""
    check_format(args.format)
    target, snapshot = opening.opened(prog, args, traffic=True)
    found: Sequence[Path] = ()
    if not args.in_flight or args.names or args.devices:
        found = _paths(target, snapshot, args)
        snapshot = _only(snapshot, found)
    else:
        snapshot = _matching(target, snapshot, args)
    if not args.in_flight:
        snapshot = snapshot._replace(in_flight=None)
    text = _render(args, found, snapshot)
    write_output(text, args.output, opening.inputs(target, args))
    warn_of_missing(snapshot)
    return Shown(found)


def _matching(prog: Program, snapshot: Snapshot, args: argparse.Namespace) -> Snapshot:
    # Queues alone, without a path.
    if args.follow or args.queue is not None or args.cpu is not None:
        raise UsageError("--queue, --cpu and --follow need a DEVICE")
    only = wanted(prog, snapshot, args)
    if only.everything:
        return snapshot
    with in_one_line(args):
        return _of(snapshot, filters.matching(snapshot, only))


def _of(snapshot: Snapshot, devices: Sequence[Device]) -> Snapshot:
    in_flight = queues_of(snapshot, devices)
    return snapshot._replace(devices=tuple(devices), namespaces=(), in_flight=in_flight)


def _only(snapshot: Snapshot, found: Sequence[Path]) -> Snapshot:
    # The devices that the paths are about.
    met: set[int] = set()
    todo = [*found]
    while todo:
        one = todo.pop()
        met.add(one.device.net_device)
        met.update(step.device.net_device for flow in one.flows for step in flow.steps)
        todo += one.following
    return _of(snapshot, [one for one in snapshot.devices if one.net_device in met])
