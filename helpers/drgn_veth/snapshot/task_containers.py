# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The containers of tasks
-----------------------

A task's cgroups tell which container it is in. Thousands of tasks share few sets of
cgroups, and each set is looked at once.
"""

from collections.abc import Iterator
from typing import Optional

from drgn import Object, Program

from ..core.containers import containers_in
from ..core.errors import WalkError, attempt
from ..core.names import LEFT_OUT
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import Container
from ..readers.cgroup import Cgroups

__all__ = ("TaskContainers", "container_of_path", "task_container")


def container_of_path(path: str) -> Optional[Container]:
    """
    Return the innermost container that a cgroup is in, None if it is in none.

    :param path: Path of the cgroup as the host sees it
    """
    found = containers_in(path)
    if not found:
        return None
    here = found[-1]
    around = tuple(outer.id for outer in found[:-1])
    return Container(here.id, here.runtime, here.pod, here.cgroup, around)


class TaskContainers:
    """Finds the container of each ``struct css_set``."""

    def __init__(self, prog: Program) -> None:
        # Unreadable: the types of cgroups are missing.
        self._cgroups = attempt(Cgroups, prog)
        self._found: dict[Maybe[Optional[int]], Maybe[Optional[Container]]] = {
            None: None  # a kernel without cgroups
        }
        self._of_cgroup: dict[int, Maybe[Optional[Container]]] = {}

    def _of_path(self, cgroups: Cgroups, cgroup: int) -> Maybe[Optional[Container]]:
        # Most hierarchies of version 1 have few cgroups, and most sets share them.
        if cgroup not in self._of_cgroup:
            path = attempt(cgroups.path, cgroup)
            self._of_cgroup[cgroup] = attempt(
                lambda path: container_of_path(decode(path)), path
            )
        return self._of_cgroup[cgroup]

    def _read(self, css_set: int) -> Optional[Container]:
        if isinstance(self._cgroups, Unreadable):
            raise WalkError(self._cgroups.reason)
        lost: Optional[Unreadable] = None
        for cgroup in self._cgroups.of_css_set(css_set):
            container = self._of_path(self._cgroups, cgroup)
            if isinstance(container, Unreadable):
                lost = container
                if lost.reason == LEFT_OUT:
                    break  # Names of other hierarchies are left out, too.
            elif container is not None:
                return container
        if lost is not None:
            raise WalkError(lost.reason)
        return None

    def of_css_set(self, css_set: Maybe[Optional[int]]) -> Maybe[Optional[Container]]:
        """
        Return the container of the tasks that have a set of cgroups, None if they are
        in none. Of the hierarchies, the first that tells counts.

        :param css_set: Address of a ``struct css_set``, None in a kernel without
            cgroups
        """
        try:
            return self._found[css_set]
        except KeyError:
            found = self._found[css_set] = attempt(self._read, css_set)
            return found

    def containers(
        self, css_sets: Iterator[Maybe[Optional[int]]]
    ) -> tuple[Maybe[tuple[Container, ...]], Optional[str]]:
        """
        Return the containers of several sets of cgroups, each once, and why some may be
        missing. Unreadable: no set could be read.
        """
        found: dict[Container, None] = {}
        lost: Optional[Unreadable] = None
        known = False
        for css_set in css_sets:
            container = self.of_css_set(css_set)
            if isinstance(container, Unreadable):
                lost = container
                continue
            known = True
            if container is not None:
                found[container] = None
        if lost is not None and not known:
            return lost, None
        return tuple(found), None if lost is None else lost.reason


def task_container(task: Object) -> Optional[Container]:
    """
    Return the container that a task is in, as its cgroups tell; None if it is in none.

    :param task: ``struct task_struct *``
    :raises WalkError: if not all of its cgroups could be read
    """
    try:
        css_set = task.cgroups.value_()
    except AttributeError:
        return None
    container = TaskContainers(task.prog_).of_css_set(css_set)
    if isinstance(container, Unreadable):
        raise WalkError(container.reason)
    return container
