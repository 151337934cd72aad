# SPDX-License-Identifier: LGPL-2.1-or-later
"""The names of the namespaces of a Snapshot."""

from collections.abc import Sequence

from drgn import Object, Program

from ..core.errors import attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import Namespace
from ..readers.netns import for_each_peernet
from ..readers.nsfs import netns_name
from ..readers.rps import net_rps_default_mask
from .holders import add_holders
from .labels import label_namespaces
from .net_mounts import (
    WHAT,
    NetMounts,
    known_net_mounts,
    net_mounts_elsewhere,
)
from .net_tasks import AllNetTasks, net_tasks
from .open_files import OpenFiles

__all__ = ("name_namespaces",)


def _with_tasks(namespace: Namespace, known: Maybe[AllNetTasks]) -> Namespace:
    if not isinstance(known, Unreadable):
        found = known.of.get(namespace.net)
        if found is not None:
            return namespace._replace(
                hostname=found.hostname,
                task_count=found.task_count,
                tasks=found.tasks,
                containers=found.containers,
            )
        if known.lost is None:
            return namespace._replace(task_count=0, tasks=(), containers=())
        # One of those that are missing may be in it.
        known = Unreadable(known.lost)
    return namespace._replace(
        hostname=known, task_count=known, tasks=known, containers=known
    )


def _names(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in map(netns_name, paths) if name is not None}))


def _nsids(prog: Program) -> dict[int, int]:
    return {
        net.value_(): nsid
        for nsid, net in for_each_peernet(prog["init_net"].address_of_())
    }


def _mounted(namespace: Namespace, mounts: Maybe[NetMounts]) -> Maybe[tuple[str, ...]]:
    inum = namespace.inum
    if isinstance(mounts, Unreadable):
        return mounts
    if isinstance(inum, Unreadable):
        return inum
    paths = mounts.of.get(inum, ())
    if not paths and mounts.lost is not None:
        return Unreadable(mounts.lost)
    return paths


def name_namespaces(
    prog: Program, found: Sequence[tuple[int, Namespace]], open_files: OpenFiles
) -> tuple[list[Namespace], tuple[tuple[str, str], ...]]:
    """
    Return namespaces with their names, labels, tasks and containers; and what is
    missing, and why.

    :param found: Address of each ``struct net``, and what is known about it
    """
    tasks = attempt(net_tasks, prog)
    # After the tasks: a task that makes a namespace mounts it before it leaves.
    mounts = attempt(known_net_mounts, prog)
    nsids = attempt(_nsids, prog)
    pointer = prog.type("struct net *")
    named = []
    for net, namespace in found:
        paths = _mounted(namespace, mounts)
        with_names = namespace._replace(
            names=attempt(_names, paths),
            mounts=paths,
            nsid=nsids if isinstance(nsids, Unreadable) else nsids.get(net),
            # sysctl_core_net_exit() has freed that of one that dies.
            rps_default_mask=None
            if namespace.dying
            else attempt(net_rps_default_mask, Object(prog, pointer, net)),
        )
        named.append(_with_tasks(with_names, tasks))
    # Nobody else names these.
    nameless = {
        namespace.inum
        for namespace in named
        if isinstance(namespace.inum, int)
        and not (namespace.init or namespace.dying)
        and namespace.mounts == ()
        and namespace.containers == ()
    }
    if nameless:
        elsewhere = attempt(net_mounts_elsewhere, prog, nameless)
        named = [
            namespace._replace(other_mounts=_mounted(namespace, elsewhere))
            if namespace.inum in nameless
            else namespace
            for namespace in named
        ]
    incomplete = () if isinstance(tasks, Unreadable) else tasks.incomplete
    if isinstance(mounts, NetMounts) and mounts.lost is not None:
        # Some may have more names than are known.
        incomplete += ((WHAT, mounts.lost),)
    return label_namespaces(add_holders(prog, named, open_files)), incomplete
