# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One command for many devices
----------------------------

A loop of the shell in place of commands that differ in nothing but a name and a network
namespace, such as :mod:`drgn_veth.analysis.commands` makes. Pure functions of strings.
"""

from collections.abc import Sequence
from typing import NamedTuple, Optional

from .shell import shell_words

__all__ = ("combined",)

# What begins a command that enters a namespace, with the namespace for "*".
_WAYS = (("ip", "netns", "exec", "*"), ("nsenter", "--net=*"))


# What is in front of the name of a device.
_BEFORE_NAMES = ("dev", "-L", "-K", "-G")
# What may be between a namespace and a name.
_BETWEEN = "/,@:+="


class _Parts(NamedTuple):
    """A command, taken apart."""

    way: Sequence[str]  # into the namespace, with "*" for it; none: it is the host's
    netns: str  # as written
    argv: Sequence[str]  # as written


def _parts(command: str) -> _Parts:
    words = list(shell_words(command))
    for way in _WAYS:
        if len(words) <= len(way) or words[: len(way) - 1] != list(way[:-1]):
            continue
        # Of "nsenter --net='/a b'", the quotes begin at the word.
        plain, _, _ = way[-1].partition("*")
        last = words[len(way) - 1]
        if last.startswith(plain):
            return _Parts(way, last[len(plain) :], words[len(way) :])
        if plain and last.startswith(f"'{plain}"):
            return _Parts(way, f"'{last[1 + len(plain) :]}", words[len(way) :])
    return _Parts((), "", words)


def _is_name(argv: Sequence[str], i: int) -> bool:
    # Whether a word is where a command has the name of a device.
    if argv[i].lstrip("'").startswith("/sys/class/net/"):
        return True
    return i > 0 and argv[i - 1] in _BEFORE_NAMES


def _varying(commands: Sequence[_Parts]) -> Optional[frozenset[int]]:
    # Where the words are that differ; None if these are not one name for a command.
    columns = list(zip(*(parts.argv for parts in commands)))
    places = frozenset(i for i, words in enumerate(columns) if len(set(words)) > 1)
    for parts in commands:
        if not all(_is_name(parts.argv, i) for i in places):
            return None
        if len({parts.argv[i] for i in places}) > 1:
            return None
    return places


def _entered(way: Sequence[str], netns: str, argv: Sequence[str]) -> str:
    return " ".join([*(word.replace("*", netns) for word in way), *argv])


def _loop(commands: Sequence[_Parts], places: frozenset[int]) -> Optional[str]:
    # The loop for commands that enter their namespaces in one way.
    way, netns, argv = commands[0]
    if len(commands) == 1:
        return _entered(way, netns, argv)
    spaces = list(dict.fromkeys(parts.netns for parts in commands))
    names = [parts.argv[min(places)] if places else "" for parts in commands]
    if len(spaces) == 1:
        variable, name, values = "dev", '"$dev"', names
    elif len(set(names)) == 1:
        variable, netns, name, values = "ns", '"$ns"', names[0], spaces
    else:
        both = "".join((*spaces, *names))
        between = next((char for char in _BETWEEN if char not in both), None)
        if between is None:
            return None
        variable, netns, name = "d", f'"${{d%{between}*}}"', f'"${{d#*{between}}}"'
        values = [f"{parts.netns}{between}{n}" for parts, n in zip(commands, names)]
    looped = [name if i in places else word for i, word in enumerate(argv)]
    command = _entered(way, netns, looped)
    return f"for {variable} in {' '.join(values)}; do {command}; done"


def combined(commands: Sequence[str]) -> Optional[str]:
    """
    Return the one command that runs all commands; None if they differ in more than a
    name and a network namespace.

    >>> combined(["ip link set dev a up", "ip link set dev b up"])
    'for dev in a b; do ip link set dev "$dev" up; done'

    :param commands: Two or more
    """
    everything = [_parts(command) for command in dict.fromkeys(commands)]
    if len(everything) < 2 or len({len(parts.argv) for parts in everything}) > 1:
        return None
    places = _varying(everything)
    if places is None:
        return None
    groups: dict[Sequence[str], list[_Parts]] = {}
    for parts in everything:
        groups.setdefault(parts.way, []).append(parts)
    loops = [_loop(group, places) for group in groups.values()]
    known = [loop for loop in loops if loop is not None]
    return "; ".join(known) if len(known) == len(loops) else None
