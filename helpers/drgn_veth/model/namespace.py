# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network namespaces
------------------
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe
from .processes import Container, Holder, NetTask, Task

__all__ = ("Namespace",)


class Namespace(NamedTuple):
    """A network namespace (``struct net``)."""

    inum: Maybe[int]
    init: bool
    device_count: int
    # Nothing holds it any longer: cleanup_net() has begun with it, or will.
    dying: bool = False
    names: Maybe[tuple[str, ...]] = ()  # as `ip netns` has them
    mounts: Maybe[tuple[str, ...]] = ()  # paths that it is mounted at
    net: int = 0  # address of the struct net: what tells it from all others
    label: str = ""  # what every screen calls it
    # Paths in other mount namespaces; looked for only where there is no other.
    other_mounts: Maybe[tuple[str, ...]] = ()
    nsid: Maybe[Optional[int]] = None  # as init_net numbers it
    hostname: Maybe[Optional[str]] = None  # of the first of its tasks
    # Processes that have a thread in it; None: nobody looked.
    task_count: Maybe[Optional[int]] = None
    tasks: Maybe[Optional[tuple[NetTask, ...]]] = None  # those with the lowest PIDs
    containers: Maybe[Optional[tuple[Container, ...]]] = None  # of all its tasks
    # What keeps it alive; looked for only without a task and a mount. The first ten.
    holders: Maybe[Optional[tuple[Holder, ...]]] = None
    holder_count: Maybe[Optional[int]] = None
    worker: Maybe[Optional[Task]] = None  # the task that runs cleanup_net() for it
    # The RPS mask of its new RX queues; None: the kernel has none (before v6.3).
    rps_default_mask: Maybe[Optional[tuple[int, ...]]] = None
    matched: bool = False  # a filter names it
