# SPDX-License-Identifier: LGPL-2.1-or-later
"""
explain
-------

What an errno, a message of the kernel or a rule means, and which devices meet it.
"""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis import diagnose, filters
from ..analysis.attach.predictor import Predictor, TooOldError
from ..analysis.explain.met import Undecided, met, undecided
from ..analysis.explain.topics import Topic, UnknownTopicError, find_topics
from ..analysis.rules.finding import Finding
from ..core.unreadable import Unreadable
from ..render import explain as render
from ..render import explain_json
from ..render.explain import Here
from . import opening
from .filtering import wanted, warn_of_missing_in
from .meant import in_one_line
from .options import (
    add_color_option,
    add_filter_options,
    add_format_option,
    add_output_options,
    add_target_options,
    new_parser,
    parse,
)
from .output import check_output, write_output
from .status import EXIT_OK, UsageError
from .terminal import style_for

__all__ = ("explanation", "main", "parser")

_DESCRIPTION = """\
Explain an errno, a kernel message, or a rule: which checks of an XDP attach return it,
what they compare, and how to fix it. With a dump, also which devices meet it now.
"""

_EPILOG = """\
examples:
  drgn-veth explain                all errnos and rules, a line each
  drgn-veth explain ENOSPC         in general
  drgn-veth explain ENOSPC -c vmcore
                                   and which devices in this dump meet it
  drgn-veth explain No space left on device
  drgn-veth explain "Peer MTU is too large"
  drgn-veth explain xdp-native-queues -c vmcore
                                   a rule, and which devices in this dump it finds

Without a target and without filters, no kernel is read; -c /proc/kcore reads the
running one.

exit status:
  0  it was explained
  2  wrong use: no such errno, message or rule; the nearest names are listed
  3  the target could not be read at all
130  Ctrl-C interrupted it
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    p = new_parser("explain", _DESCRIPTION, _EPILOG)
    p.add_argument(
        "what",
        metavar="WHAT",
        nargs="*",
        help="an errno: ENOSPC, 28, or what strerror() says; a rule; or part of a "
        "kernel message",
    )
    only = p.add_argument_group(
        "filters",
        "They choose among the devices of a target, or of the running kernel.",
    )
    add_filter_options(only)
    output = p.add_argument_group("output")
    add_format_option(output)
    add_color_option(output)
    add_output_options(output)
    add_target_options(p)
    return p


def _here(
    prog: Optional[Program], args: argparse.Namespace, topics: list[Topic]
) -> Here:
    about_rules = any(topic.rule is not None for topic in topics)
    target = opening.open_target(prog, args)
    check_output(args.output, opening.inputs(target, args))
    snapshot = opening.take(target, traffic=about_rules)
    release = snapshot.target.release
    name = "this kernel" if isinstance(release, Unreadable) else str(release)
    with in_one_line(args):
        devices = filters.matching(snapshot, wanted(target, snapshot, args))
    warn_of_missing_in(snapshot, devices)
    found: tuple[Finding, ...] = ()
    if about_rules:
        matched = {device.net_device for device in devices}
        found = tuple(
            finding
            for finding in diagnose.diagnose(snapshot)
            if finding.device is None or finding.device.net_device in matched
        )
    of_rules = Here(name, None, (), Undecided({}, 0), found)
    if all(topic.rule is not None for topic in topics):
        return of_rules
    try:
        predictor = Predictor(snapshot)
    except TooOldError:
        return of_rules
    checks = [check for topic in topics for check in topic.checks if check.predicted]
    return Here(
        name,
        snapshot.kernel,
        met(predictor, devices, checks),
        undecided(predictor, devices),
        found,
    )


def _has_target(args: argparse.Namespace) -> bool:
    # Filters choose among devices: without -c, those of the running kernel.
    filtered = args.netns or args.devices or args.kinds or args.addresses
    given = args.core, args.qemu, args.vmcoreinfo, args.system_map
    return bool(filtered or args.symbols) or any(one is not None for one in given)


def explanation(
    prog: Optional[Program], args: argparse.Namespace, given: Sequence[str]
) -> str:
    """
    Return what is known about errnos, messages and rules; a list without any.

    It reads a target if there is one.

    :param prog: The program that drgn has set up, None without drgn
    :raises UsageError: if nothing is called so
    """
    style = style_for(args)
    if args.format not in ("table", "json"):
        raise UsageError(f"an explanation has no --format {args.format}: table or json")
    try:
        topics = find_topics(given)
    except UnknownTopicError as e:
        raise UsageError(str(e)) from None
    here = None
    if not topics:
        # A list of all that can be asked for reads no kernel, but a file that is none
        # is not taken silently.
        if args.core is not None:
            opening.open_target(prog, args)
    elif prog is not None or _has_target(args):
        here = _here(prog, args, topics)
    if args.format == "json":
        return explain_json.render(topics, here)
    if not topics:
        return render.index(style)
    return "\n".join(render.topic(topic, style, here) for topic in topics)


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Explain, and return the exit status."""
    args = parse(parser(), argv)
    check_output(args.output, opening.inputs(prog, args))
    text = explanation(prog, args, args.what)
    write_output(text, args.output, opening.inputs(prog, args))
    return EXIT_OK
