# SPDX-License-Identifier: LGPL-2.1-or-later
"""``--then``: questions in a row."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
import itertools
from typing import Union

from ..analysis.ask import Asker, RequestError, parse
from ..analysis.ask.in_a_row import Step, in_a_row
from ..model import Device, Snapshot
from ..render import json
from .status import UsageError
from .terminal import style_for

__all__ = ("add_then_option", "check_then", "in_a_row_text")

#: Options that describe the one question of other calls.
_OTHERS = ("mode", "via", "frags", "program", "failing")
# --program 0 is given.
_NOT_GIVEN = {**dict.fromkeys(_OTHERS), "frags": False, "failing": False}


def add_then_option(parser: argparse.ArgumentParser) -> None:
    """Add the option to a parser."""
    parser.add_argument(
        "--then",
        metavar="QUESTION",
        action="append",
        dest="questions",
        help="ask about a sequence of changes; each is judged as if those before it "
        "had succeeded: attach [MODE] [frags] [link]; detach [MODE]; "
        "channels rx N tx N combined N; mtu N; enslave NAME, new bond [program], new "
        "bridge or none; netns NAME [ifindex N] or new; bind queue N [copy] [zerocopy] "
        "[need-wakeup] [sg]; devmap [hash] [max N] [key N] [program devmap]. A leading "
        "peer asks about the peer instead",
    )


def check_then(args: argparse.Namespace) -> None:
    """
    Check the questions.

    :raises UsageError: if one is not understood, or other options ask as well
    """
    if not args.questions:
        return
    for text in args.questions:
        try:
            parse(text)
        except RequestError as e:
            raise UsageError(f"--then {text!r}: {e}") from None
    given = [name for name in _OTHERS if vars(args)[name] is not _NOT_GIVEN[name]]
    if given or args.op != "attach":
        other = f"--{given[0]}" if given else f"--{args.op}"
        raise UsageError(f"{other} does not go with --then: write it into the question")


def in_a_row_text(
    args: argparse.Namespace, snapshot: Snapshot, devices: Sequence[Device]
) -> Union[str, Iterable[str]]:
    """
    Return the answers as the arguments want them.

    :raises TooOldError: if it is a kernel before v5.9
    """
    asker = Asker(snapshot)
    blocked_by = asker.predictor.blocked_by

    def rows() -> Iterator[Iterator[Step]]:
        for device in devices:
            yield in_a_row(snapshot, device, args.questions, asker)

    if args.format == "json":
        # All are asked before the first answer is written.
        steps = itertools.chain.from_iterable(rows())
        return "".join(json.questions(steps, blocked_by))
    from ..render import asked, attempts_device

    style = style_for(args)
    return "\n".join(
        (
            *attempts_device.blocked(blocked_by, style),
            *(asked.in_a_row(row, style) for row in rows()),
        )
    )
