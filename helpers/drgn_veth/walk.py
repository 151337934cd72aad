# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Bounded walks
-------------

drgn's list helpers trust the list: one stray pointer in a dump and they loop
for ever or lose all that lies behind it. These do not.
"""

import operator
from typing import Iterator, Optional, Set, Tuple, Union

from drgn import FaultError, Object, Type, offsetof

from .errors import WalkError

__all__ = ("MAX_LIST_ENTRIES", "for_each_entry_read", "read_struct")

# Far above any real list (a node with 100,000 devices is a large one), low
# enough to end in seconds.
MAX_LIST_ENTRIES = 1 << 20


def read_struct(ptr: Object) -> Object:
    """
    Read what a pointer points to, in whole if it can be had in whole.

    One read of a struct is many times faster than one read of each member. If
    a part of it cannot be read, the reference is returned instead, with which
    each member is read, and fails, by itself.

    :param ptr: ``type *``
    :return: ``type``
    """
    ref = ptr[0]
    try:
        return ref.read_()
    except FaultError:
        return ref


def for_each_entry_read(
    head: Object, type: Union[str, Type], member: str, limit: int = MAX_LIST_ENTRIES
) -> Iterator[Tuple[Object, Object]]:
    """
    Iterate over a ``struct list_head`` list that may be broken, reading each
    entry once.

    Where the list breaks, it is walked from its other end up to the break, so
    that one bad page costs one entry.

    :param head: ``struct list_head *``
    :param type: Entry type.
    :param member: Name of the list node member in the entry type.
    :param limit: Most entries to visit.
    :return: Iterator of (``type *``, ``type``): see :func:`read_struct()`.
    :raises WalkError: after all that could be reached, if the list is broken,
        in a loop, or longer than *limit*.
    """
    prog = head.prog_
    if isinstance(type, str):
        type = prog.type(type)
    pointer_type = prog.pointer_type(type)
    offset = offsetof(type, member)
    node = operator.attrgetter(member)
    end = head.value_()
    seen: Set[int] = set()
    broken = ""
    stuck: Optional[int] = None
    for direction in ("next", "prev"):
        step = operator.attrgetter(direction)
        try:
            pos = step(head).value_()
        except FaultError as e:
            broken = broken or f"{e}"
            continue
        while pos != end:
            if pos in seen:
                if not broken:
                    broken = f"the list runs in a circle at {pos:#x}"
                break
            if len(seen) >= limit:
                raise WalkError(f"more than {limit} entries: gave up")
            ptr = Object(prog, pointer_type, pos - offset)
            entry = read_struct(ptr)
            try:
                following = step(node(entry)).value_()
            except FaultError as e:
                if pos == stuck:
                    # Both its neighbours name it: it is an entry of this list.
                    yield ptr, entry
                broken = broken or f"{e}"
                stuck = pos
                break
            seen.add(pos)
            yield ptr, entry
            pos = following
        if not broken:
            return
    raise WalkError(broken)
