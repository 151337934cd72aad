# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Lists that may be broken
------------------------

drgn's list helpers trust the list: with one stray pointer in a dump, they loop forever,
lose everything behind it, or silently skip entries. These do not: each entry has to
point back to where the walk came from.

Upstream: nothing; for an intact list, drgn's own ``list_for_each_entry()`` is enough.
"""

from collections.abc import Iterator
import operator
from typing import Callable, Optional, TypeVar, Union

from drgn import Object, Program, Type, offsetof, sizeof

from ..core.budget import MAX_LIST_ENTRIES, paid
from ..core.errors import WalkError, attempt
from ..core.moving import moves, walked_again
from ..core.unreadable import Maybe, Unreadable

__all__ = (
    "bounded_hlist",
    "bounded_list",
    "bounded_nodes",
    "for_each_entry_bounded",
)

T = TypeVar("T")


def bounded_list(
    head: int,
    first: Maybe[int],
    last: Maybe[int],
    read: Callable[[int], tuple[Maybe[int], Maybe[int], T]],
    limit: int = MAX_LIST_ENTRIES,
    moving: bool = False,
) -> Iterator[T]:
    """
    Iterate over a ``struct list_head`` list that may be broken, reading each
    entry once.

    Where the list breaks, the walk continues from its other end up to the break, so
    that one bad page costs one entry. It yields that entry too if both its neighbours
    point to it. An entry that does not point back to the one before it is a break: this
    detects a ``next`` that skips entries.

    :param head: Address of the list's head
    :param first: Where its ``next`` points
    :param last: Where its ``prev`` points
    :param read: Takes the address of a node, returns where ``next`` and ``prev``
        point, and the entry
    :param limit: Most entries to visit
    :param moving: Whether the list may change meanwhile; *last* may then be out of date
    :raises WalkError: after all that could be reached, if the list is broken, loops, or
        is longer than *limit*
    """
    seen: set[int] = set()
    broken = ""
    stuck: Optional[int] = None
    for direction, end in enumerate((first, last)):
        pos = end
        before = head
        while pos != head:
            if isinstance(pos, Unreadable):
                broken = broken or pos.reason
                break
            if not pos:
                broken = broken or "a NULL pointer in the list"
                break
            if pos in seen:
                broken = broken or f"the list loops at {pos:#x}"
                break
            if len(seen) >= limit:
                raise WalkError(f"more than {limit} entries: gave up")
            node = read(pos)
            following, back = (node[1], node[0]) if direction else node[:2]
            if back != before and not isinstance(back, Unreadable):
                broken = broken or f"{pos:#x} does not point back to {before:#x}"
                break
            if isinstance(following, Unreadable):
                broken = broken or following.reason
                if pos == stuck:
                    yield node[2]
                stuck = pos
                break
            seen.add(pos)
            yield node[2]
            before, pos = pos, following
        if not broken:
            if isinstance(last, Unreadable) or last == before or moving:
                return
            broken = f"the list ends at {before:#x}, but the head's prev is {last:#x}"
    raise WalkError(broken)


def bounded_hlist(
    prog: Program,
    head: int,
    next_at: int = 0,
    pprev_at: Optional[int] = None,
    tags: int = 0,
    limit: int = MAX_LIST_ENTRIES,
) -> Iterator[int]:
    """
    Iterate over a ``struct hlist_head`` list, or one with the same links, that may be
    broken. Such a list cannot be walked from its other end.

    :param head: Address of the pointer to the first entry
    :param next_at: Offset of an entry's ``next``
    :param pprev_at: Offset of its ``pprev``, which points to the pointer that leads to
        it; by default right behind ``next``
    :param tags: Bits of ``pprev`` that are not part of the pointer
    :param limit: Most entries to visit
    :return: Iterator of the addresses of entries
    :raises FaultError: if the head cannot be read
    :raises WalkError: after all that could be reached, if the list is broken, or
        longer than *limit*
    """
    if pprev_at is None:
        pprev_at = next_at + sizeof(prog.type("void *"))
    links = next_at, pprev_at, tags

    def walk() -> Iterator[int]:
        return paid(prog, _hlist(prog, head, *links, limit))

    return walked_again(prog, walk, int)


def _hlist(
    prog: Program, head: int, next_at: int, pprev_at: int, tags: int, limit: int
) -> Iterator[int]:
    seen = 0
    unconfirmed: set[int] = set()
    entry = prog.read_word(head)
    while entry:
        if seen >= limit:
            raise WalkError(f"more than {limit} entries: gave up")
        # In a loop, the entry where it closes is reached from two places.
        back = attempt(prog.read_word, entry + pprev_at)
        if isinstance(back, Unreadable):
            if entry in unconfirmed:
                raise WalkError(f"the list loops at {entry:#x}")
            unconfirmed.add(entry)
        elif back & ~tags != head:
            raise WalkError(f"{entry:#x} does not point back to {head:#x}")
        seen += 1
        head = entry + next_at
        following = attempt(prog.read_word, head)
        if isinstance(following, Unreadable):
            if not isinstance(back, Unreadable):
                yield entry
            raise WalkError(following.reason)
        yield entry
        entry = following


def bounded_nodes(prog: Program, head: int, entry: Callable[[int], T]) -> Iterator[T]:
    """
    Iterate over a ``struct list_head`` list that may be broken: see
    :func:`bounded_list()`.

    :param head: Address of the list's head
    :param entry: Makes an entry from the address of its node
    :raises WalkError: as :func:`bounded_list()`
    """
    word = sizeof(prog.type("void *"))

    def node(at: int) -> tuple[Maybe[int], Maybe[int]]:
        return attempt(prog.read_word, at), attempt(prog.read_word, at + word)

    def read(at: int) -> tuple[Maybe[int], Maybe[int], tuple[int, T]]:
        return (*node(at), (at, entry(at)))

    def walk() -> Iterator[tuple[int, T]]:
        found = bounded_list(head, *node(head), read, moving=moves(prog))
        return paid(prog, found)

    return (one for _, one in walked_again(prog, walk, operator.itemgetter(0)))


def for_each_entry_bounded(
    head: Object, type: Union[str, Type], member: str, limit: int = MAX_LIST_ENTRIES
) -> Iterator[Object]:
    """
    Iterate over a list that may be broken: see :func:`bounded_list()`.

    :param head: ``struct list_head *``
    :param type: Entry type
    :param member: Name of the list node member in the entry type
    :param limit: Most entries to visit
    :return: Iterator of ``type *`` objects
    :raises WalkError: as :func:`bounded_list()`
    """
    prog = head.prog_
    if isinstance(type, str):
        type = prog.type(type)
    pointer_type = prog.pointer_type(type)
    node_type = head.type_
    offset = offsetof(type, member)

    def read(pos: int) -> tuple[Maybe[int], Maybe[int], Object]:
        node = Object(prog, node_type, pos)
        return (
            attempt(lambda: node.next.value_()),
            attempt(lambda: node.prev.value_()),
            Object(prog, pointer_type, pos - offset),
        )

    def walk() -> Iterator[Object]:
        first = attempt(lambda: head.next.value_())
        last = attempt(lambda: head.prev.value_())
        entries = bounded_list(head.value_(), first, last, read, limit, moves(prog))
        return paid(prog, entries)

    return walked_again(prog, walk, lambda entry: entry.value_())
