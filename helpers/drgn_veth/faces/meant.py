# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What was meant
--------------

By an option that a command does not have, or by a word that is no device: habits of ip
and ethtool, and what another subcommand has.
"""

import argparse
from collections.abc import Collection, Iterator, Mapping, Sequence
import contextlib
import difflib
import re
from typing import Optional

from ..analysis.filters import NoDeviceError
from ..analysis.netns_names import FilterError
from ..core.nearest import nearest
from ..core.xdp_modes import is_mode
from .commands import FACES, as_typed, calls
from .status import UsageError

__all__ = ("advice", "in_one_line")

#: What the options of other tools are called here.
_HABITS: Mapping[str, str] = {
    "-j": "--format json",
    "-json": "--format json",
    "--json": "--format json",
    "-n": "--netns NETNS",
    "-netns": "--netns NETNS",
    "-o": "--output FILE",
    "-V": "--version",
}
#: Those that need no option.
_NO_OPTION = ("-d", "-i", "-l", "-k", "-S", "--dev")
#: Options of one subcommand that others are asked for.
_ELSEWHERE: Mapping[str, str] = {
    "--format": "report",
    "--tree": "report",
    "--check": "report",
    "--then": "attach",
    "--program": "attach",
    "--mode": "attach",
    "--devices": "netns",
    "--queue": "path",
    "--cpu": "path",
    "--follow": "path",
    "--in-flight": "path",
    "--live": "compare",
}

_UNKNOWN = re.compile(r"unrecognized arguments: (-[^ =]+)")
_NEAR = 0.75  # the least likeness of a word and a subcommand


def _elsewhere(option: str, more: str) -> Optional[str]:
    name = _ELSEWHERE.get(option)
    return None if name is None else f"for that, {as_typed(name)} {more or option}"


def _of_option(given: str, options: Collection[str]) -> Optional[str]:
    meant = _HABITS.get(given, "")
    if meant.partition(" ")[0] in options:
        return f"here it is {meant}"
    option = meant.partition(" ")[0] or given
    more = "--format json" if option == "--format" else meant
    elsewhere = _elsewhere(option, more)
    if elsewhere is not None:
        return elsewhere
    if given in _NO_OPTION:
        return "name the device, without an option"
    if given.lstrip("-") in FACES:
        return f"did you mean {as_typed(given.lstrip('-'))}?"
    bare = {one.lstrip("-"): one for one in options if one[:2] == "--"}
    near = nearest(given.lstrip("-"), bare, 2) if given[:2] == "--" else []
    if near:
        return f"did you mean {' or '.join(bare[one] for one in near)}?"
    return None


def advice(message: str, options: Collection[str]) -> Optional[str]:
    """
    Return what to do about an error of argparse, None if nothing is known.

    :param options: Those that the command has
    """
    unknown = _UNKNOWN.match(message)
    return None if unknown is None else _of_option(unknown[1], options)


def _of_word(word: str, args: argparse.Namespace) -> Optional[str]:
    if is_mode(word):
        if hasattr(args, "mode"):
            return f"{word} is a mode: --mode {word}"
        return f"{word} is a mode: {calls(args).attach} DEVICE --mode {word}"
    if word.isdecimal() and hasattr(args, "queue"):
        return f"for a queue: --queue {word}"
    if word == "dev":
        return "name the device, without dev"
    return None


def _subcommand(word: str, devices: Sequence[str]) -> Optional[str]:
    # The subcommand that a word is more like than any device.
    near = difflib.get_close_matches(word, [*devices, *FACES], 1, _NEAR)
    return f"did you mean {as_typed(near[0])}?" if near and near[0] in FACES else None


def _no_device(e: NoDeviceError, args: argparse.Namespace) -> str:
    meant = _of_word(e.name, args) or _subcommand(e.name, e.near)
    if meant is not None:
        return f"{e.said}; {meant}"
    return f"{e}: {calls(args).report} --all lists them" if e.many else str(e)


@contextlib.contextmanager
def in_one_line(args: argparse.Namespace) -> Iterator[None]:
    """Make what a filter does not find an error of a command."""
    try:
        yield
    except NoDeviceError as e:
        raise UsageError(_no_device(e, args)) from None
    except FilterError as e:
        raise UsageError(str(e)) from None
