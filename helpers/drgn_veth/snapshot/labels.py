# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a network namespace is called
----------------------------------

A namespace has no name of its own. Its label is the best of what leads to it.
"""

from collections import Counter
from collections.abc import Sequence
import posixpath
from typing import Optional, TypeVar

from ..core.unreadable import Maybe, Unreadable
from ..model import Namespace

__all__ = ("HOST", "label_namespaces")

T = TypeVar("T")

#: The label of the initial namespace.
HOST = "host"


def _first(values: Maybe[Optional[Sequence[T]]]) -> Optional[T]:
    return values[0] if isinstance(values, tuple) and values else None


def _label(namespace: Namespace) -> str:
    if namespace.init:
        return HOST
    name = _first(namespace.names)
    if name is not None:
        return name
    container = _first(namespace.containers)
    if container is not None:
        return container.label
    mount = _first(namespace.mounts) or _first(namespace.other_mounts)
    if mount is not None and posixpath.basename(mount):
        return posixpath.basename(mount)
    task = _first(namespace.tasks)
    if task is not None:
        comm = "?" if isinstance(task.comm, Unreadable) else task.comm
        if not isinstance(task.pid, Unreadable):
            return f"pid:{task.pid}({comm})"
    holders = namespace.holders
    for holder in holders if isinstance(holders, tuple) else ():
        if isinstance(holder.pid, int) and isinstance(holder.fd, int):
            return f"fd:{holder.pid}/{holder.fd}"
    if isinstance(namespace.inum, Unreadable):
        return f"net:{namespace.net:#x}"
    return f"net:{namespace.inum}"


def label_namespaces(namespaces: Sequence[Namespace]) -> list[Namespace]:
    """
    Return namespaces with their labels.

    Labels are unique: those that several namespaces would have get ``@`` and the inode
    number behind them. ``host`` is the initial namespace alone.
    """
    labels = [_label(namespace) for namespace in namespaces]
    count = Counter(labels)
    labelled = []
    for namespace, label in zip(namespaces, labels):
        if count[label] > 1 and not namespace.init:
            inum = namespace.inum
            which = hex(namespace.net) if isinstance(inum, Unreadable) else inum
            label = f"{label}@{which}"
        labelled.append(namespace._replace(label=label))
    return labelled
