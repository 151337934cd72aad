# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of which some values are unreadable, or some records are missing."""

from collections.abc import Iterator
import functools
import random
import typing
from typing import Any

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot

__all__ = ("altered", "places")

_BAD = Unreadable("Excluded page: 0xffff888000001000")

#: Where a value is: the members and indexes that lead to it.
_Path = tuple[Any, ...]


@functools.cache
def _members(kind: type[Any]) -> dict[str, tuple[bool, bool]]:
    """Return of each member whether it may be unreadable, and whether None."""
    found = {}
    for name, type_ in typing.get_type_hints(kind).items():
        args = typing.get_args(type_)
        found[name] = (Unreadable in args, type(None) in args)
    return found


def places(value: object, path: _Path = ()) -> Iterator[tuple[_Path, bool, bool]]:
    """Yield each value that may be unreadable, None or shorter."""
    kind: Any = type(value)
    if hasattr(kind, "_fields"):
        for name, (bad, none) in _members(kind).items():
            below = getattr(value, name)
            if bad or none:
                yield (*path, name), bad, none
            yield from places(below, (*path, name))
    elif isinstance(value, tuple):
        if value and hasattr(value[0], "_fields"):
            yield path, False, False
        for i, one in enumerate(value):
            yield from places(one, (*path, i))


def _put(value: Any, path: _Path, new: Any) -> Any:
    if not path:
        return new(value)
    first, *rest = path
    if isinstance(first, str):
        if not hasattr(value, first):
            return value  # An earlier change took it away.
        return value._replace(**{first: _put(getattr(value, first), tuple(rest), new)})
    if not isinstance(value, tuple) or first >= len(value):
        return value
    return (*value[:first], _put(value[first], tuple(rest), new), *value[first + 1 :])


def altered(snapshot: Snapshot, rng: random.Random) -> Snapshot:
    """Return a Snapshot with one change or many."""
    # Few of the values are those of the Snapshot itself, of the target and the kernel;
    # these decide most.
    every = list(places(snapshot))
    top = [place for place in every if len(place[0]) < 4]
    for _ in range(rng.choice((1, 4, 64))):
        path, bad, none = rng.choice(rng.choice((every, top)))
        if bad:
            value: object = _BAD
        elif none:
            value = None
        else:
            value = ...

        def new(old: Any, value: object = value) -> Any:
            if value is not ...:
                return value
            if not isinstance(old, tuple):
                return old
            return old[: rng.randrange(len(old) + 1)]

        snapshot = _put(snapshot, path, new)
    return snapshot
