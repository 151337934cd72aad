# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Numbers in few words
--------------------

How many, and which: lists of CPUs and queues have the kernel's format.
"""

from collections.abc import Iterable, Sequence

__all__ = ("count", "cpu_words", "number_list", "per_queue", "plural")

# More groups than this fit on no screen; JSON has all of them.
_MOST_GROUPS = 16


def plural(noun: str, number: int) -> str:
    """Return a noun as it follows a number: ``queue``, ``queues``; ``entries``."""
    if number == 1:
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def count(number: int, noun: str) -> str:
    """Return a number of things: ``1 queue``, ``2 queues``."""
    return f"{number} {plural(noun, number)}"


def cpu_words(cpus: Sequence[int]) -> str:
    """Return ascending CPUs for a sentence: ``CPUs 0-3``."""
    return f"{plural('CPU', len(cpus))} {number_list(cpus)}"


def number_list(numbers: Iterable[int]) -> str:
    """Return ascending numbers as the kernel lists CPUs: ``0-3,6``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def per_queue(values: Iterable[tuple[int, str]]) -> str:
    """
    Return what each RX queue has: ``0-3`` if all have the same, ``rx0:0-1 rx2-3:3``
    otherwise, ``""`` if none has anything.
    """
    groups: dict[str, list[int]] = {}
    count = 0
    for queue, words in values:
        groups.setdefault(words, []).append(queue)
        count += 1
    groups.pop("", None)
    parts = [
        words if len(members) == count else f"rx{number_list(members)}:{words}"
        for words, members in groups.items()
    ]
    if len(parts) > _MOST_GROUPS:
        parts[_MOST_GROUPS:] = ["..."]
    return " ".join(parts)
