# SPDX-License-Identifier: LGPL-2.1-or-later
"""The names of the namespaces of a Snapshot."""

from collections.abc import Mapping, Sequence
from typing import Optional

from drgn import Program

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import Namespace, Task
from ..readers.nsfs import netns_name
from .net_mounts import net_mounts
from .net_processes import net_processes

__all__ = ("name_namespaces",)


def _task(
    processes: Maybe[Mapping[int, tuple[int, str]]], net: int
) -> Maybe[Optional[Task]]:
    if isinstance(processes, Unreadable):
        return processes
    found = processes.get(net)
    return None if found is None else Task(*found)


def _names(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in map(netns_name, paths) if name is not None}))


def name_namespaces(
    prog: Program, found: Sequence[tuple[int, Namespace]]
) -> list[Namespace]:
    """
    Return namespaces with their names.

    :param found: Address of each ``struct net``, and what is known about it
    """
    mounts = attempt(net_mounts, prog)
    if isinstance(mounts, Unreadable):
        return [
            namespace._replace(names=mounts, mounts=mounts) for _, namespace in found
        ]

    def mounts_of(namespace: Namespace) -> Maybe[tuple[str, ...]]:
        inum = namespace.inum
        return inum if isinstance(inum, Unreadable) else mounts.get(inum, ())

    # Nobody names these but by a process.
    nameless = {
        net
        for net, namespace in found
        if not (namespace.init or namespace.dying)
        and (isinstance(paths := mounts_of(namespace), Unreadable) or not paths)
    }
    processes: Maybe[dict[int, tuple[int, str]]] = {}
    if nameless:
        processes = attempt(net_processes, prog, nameless)
    named = []
    for net, namespace in found:
        paths = mounts_of(namespace)
        named.append(
            namespace._replace(
                names=attempt(_names, paths),
                mounts=paths,
                process=_task(processes, net),
            )
        )
    return named
