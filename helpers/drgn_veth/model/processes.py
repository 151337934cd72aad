# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tasks, containers and holders
-----------------------------

Who is in a network namespace, or keeps something alive.
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe

__all__ = ("Container", "Holder", "NetTask", "RefTracker", "Task")


class Task(NamedTuple):
    """A task (``struct task_struct``)."""

    pid: Maybe[int]
    comm: Maybe[str]


class RefTracker(NamedTuple):
    """References that were taken in one place (``struct ref_tracker``)."""

    references: int
    functions: Maybe[tuple[str, ...]]  # innermost first; (): the kernel did not keep it


class NetTask(NamedTuple):
    """A process in a network namespace (``struct task_struct``)."""

    pid: Maybe[int]  # of the thread group, in the initial PID namespace
    comm: Maybe[str]
    container: Maybe[Optional[str]]  # Container.id
    # The thread that is there, None if it is the first, whose id is the PID.
    thread: Maybe[Optional[int]] = None


#: Runtimes whose identifiers of containers are names.
_RUNTIMES_WITH_NAMES = ("libvirt", "lxc", "systemd-nspawn")


class Container(NamedTuple):
    """A container, as the cgroup of its tasks says."""

    id: str
    runtime: Optional[str]  # docker, containerd, cri-o, podman, lxc, ...
    pod: Optional[str]  # UID of a Kubernetes pod
    cgroup: str  # path of the container's cgroup
    within: tuple[str, ...] = ()  # Container.id of those around it, outermost first

    @property
    def short_id(self) -> str:
        """The first characters of its id; the whole if that is a name."""
        return self.id if self.runtime in _RUNTIMES_WITH_NAMES else self.id[:12]

    @property
    def label(self) -> str:
        """What it is called: ``docker:9f86d081884c``, ``lxc:web``."""
        return f"{self.runtime or 'container'}:{self.short_id}"


class Holder(NamedTuple):
    """What keeps a network namespace alive that has neither task nor mount."""

    kind: str  # fd: an open nsfs file; socket; kernel
    pid: Maybe[Optional[int]] = None
    comm: Maybe[Optional[str]] = None
    fd: Maybe[Optional[int]] = None
