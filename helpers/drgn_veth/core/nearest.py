# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may have been meant by a name that is not there."""

from collections.abc import Iterable
import difflib

__all__ = ("MOST", "listed", "nearest", "offer")

#: Candidates in an error.
MOST = 12


def nearest(given: str, there: Iterable[str], most: int = MOST) -> list[str]:
    """
    Return the names that are most like one, best first; whatever their case.

    >>> nearest("vteh0", ["lo", "veth0", "veth1"])
    ['veth0', 'veth1']
    """
    by_lower: dict[str, list[str]] = {}
    for name in there:
        by_lower.setdefault(name.lower(), []).append(name)
    lower = given.lower()
    close = difflib.get_close_matches(lower, by_lower, most)
    if len(lower) > 2:
        close += sorted(name for name in by_lower if lower in name)
    found = [name for one in close for name in by_lower[one]]
    return list(dict.fromkeys(found))[:most]


def listed(names: Iterable[str], first: Iterable[str] = ()) -> str:
    """
    Return twelve names as a list of words, and how many more there are.

    :param first: Those that come first, whatever their order
    """
    best = list(dict.fromkeys(first))
    words = best + sorted(set(names).difference(best))
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return ", ".join(words[:MOST]) + more


def offer(given: str, there: Iterable[str]) -> str:
    """
    Return the end of an error that says that a name is not there: those that are like
    it, or else some of those that are.

    >>> offer("vteh0", ["lo", "veth0"]), offer("x", ["lo", "veth0"]), offer("x", [])
    ('nearest: veth0', 'available: lo, veth0', 'available: none')
    """
    names = set(there)
    near = nearest(given, names)
    if near:
        return f"nearest: {', '.join(near)}"
    return f"available: {listed(names) or 'none'}"
