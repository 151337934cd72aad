# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Memory that changes
-------------------

A running kernel changes while it is read; a dump does not. What a change breaks is read
again, a few times. What is still not the same twice is *changing*.
"""

from collections.abc import Iterator
from typing import Callable, TypeVar

from drgn import Program, ProgramFlags

from .errors import is_read_error
from .unreadable import Unreadable

__all__ = ("CHANGING", "let_it_move", "moves", "walked_again")

T = TypeVar("T")

#: In place of what was not the same twice.
CHANGING = Unreadable("changing: it was not the same each time that it was read")

# Most walks over one list of a running kernel. A list with more entries than _LONG is
# damaged, and ten walks over it would take too long.
_WALKS = 10
_LONG = 1 << 17

_KEY = "drgn_veth.moves"


def let_it_move(prog: Program) -> None:
    """
    Say that the memory of a program changes while it is read. drgn knows this of the
    running kernel and of QEMU guests, but not of memory segments that a caller adds.
    """
    prog.cache[_KEY] = True


def moves(prog: Program) -> bool:
    """Return whether the memory of a program may change while it is read."""
    return bool(prog.flags & ProgramFlags.IS_LIVE) or _KEY in prog.cache


def walked_again(
    prog: Program, walk: Callable[[], Iterator[T]], key: Callable[[T], object]
) -> Iterator[T]:
    """
    Iterate over a list, again if a change breaks it: each entry comes once, and what
    was reached stays. The list of a dump is walked once.

    :param walk: Begins a walk
    :param key: What tells an entry from the others
    :raises Exception: what the last walk raised, if none came to its end
    """
    if not moves(prog):
        yield from walk()
        return
    seen: set[object] = set()
    for left in reversed(range(_WALKS)):
        try:
            for entry in walk():
                known = key(entry)
                if known not in seen:
                    seen.add(known)
                    yield entry
            return
        except Exception as e:
            if not left or len(seen) > _LONG or not is_read_error(e):
                raise
