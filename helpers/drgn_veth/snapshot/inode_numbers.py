# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inode numbers that two network namespaces have."""

from collections.abc import Iterable

from ..core.unreadable import Unreadable
from ..model import Namespace

__all__ = ("shared_numbers",)


def shared_numbers(namespaces: Iterable[Namespace]) -> dict[int, Unreadable]:
    """
    Return the namespaces whose inode number another one has, too, and why it is not
    theirs: names, mounts and commands are found by number, and may be those of the
    other one.

    A namespace that is torn down has given its number back (net_ns_net_exit(),
    net/core/net_namespace.c): the other one keeps it.

    :return: By address of the ``struct net``
    """
    by_number: dict[int, list[Namespace]] = {}
    for namespace in namespaces:
        if isinstance(namespace.inum, int):
            by_number.setdefault(namespace.inum, []).append(namespace)
    shared = {}
    for inum, some in by_number.items():
        if len(some) < 2:
            continue
        alive = [one for one in some if not one.dying]
        keeps = alive[0] if len(alive) == 1 else None
        # Each has a reason of its own, so that they stay apart.
        for one, after in zip(some, [*some[1:], some[0]]):
            if one is not keeps:
                other = (keeps or after).net
                why = f"invalid inode number {inum}: {other:#x} has it, too"
                shared[one.net] = Unreadable(why)
    return shared
