# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Control groups
--------------

The cgroups of a task, and their paths as the host sees them: cgroup namespaces do not
count. Follows kernel/cgroup/cgroup.c and fs/kernfs/dir.c.

Upstream: :func:`for_each_task_cgroup()`; for intact memory, drgn's own
``cgroup_path()`` is enough.
"""

from collections.abc import Iterator

from drgn import Object, Program, offsetof, sizeof

from ..core.budget import budget_of, paid
from ..core.c_string import read_c_string
from ..core.errors import WalkError, attempt
from ..core.names import check_names
from ..core.unreadable import Maybe, Unreadable
from .bounded import bounded_list

__all__ = ("Cgroups", "cgroup_path_bounded", "for_each_task_cgroup")

_NAME_MAX = 255
_MAX_PATH = 4096
_MAX_DEPTH = 1024
# The kernel has about a dozen controllers; hierarchies may have only a name.
_MAX_HIERARCHIES = 256


class Cgroups:
    """
    Paths of cgroups. It reads each directory once.

    :raises LookupError: if the kernel's types are not there
    """

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._word = sizeof(prog.type("void *"))
        css_set = prog.type("struct css_set")
        link = prog.type("struct cgrp_cset_link")
        node = prog.type("struct kernfs_node")
        self._pointer = prog.pointer_type(prog.type("struct cgroup"))
        self._dfl_cgrp = offsetof(css_set, "dfl_cgrp")
        self._cgrp_links = offsetof(css_set, "cgrp_links")
        self._cgrp = offsetof(link, "cgrp")
        self._cgrp_link = offsetof(link, "cgrp_link")
        self._kn = offsetof(prog.type("struct cgroup"), "kn")
        self._name = offsetof(node, "name")
        # Since Linux kernel commit 633488947ef6 ("kernfs: Use RCU to access
        # kernfs_node::parent.") (in v6.15), parent is __parent.
        try:
            self._parent = offsetof(node, "__parent")
        except LookupError:
            self._parent = offsetof(node, "parent")
        self._paths: dict[int, Maybe[bytes]] = {}

    def object(self, address: int) -> Object:
        """Return a ``struct cgroup *``."""
        return Object(self._prog, self._pointer, address)

    def of_css_set(self, css_set: int) -> Iterator[int]:
        """
        Iterate over the cgroups of a task: that of version 2, then one of each
        hierarchy of version 1.

        :param css_set: Address of the task's ``struct css_set``
        :return: Iterator of addresses of ``struct cgroup``
        :raises FaultError: if the first cannot be read
        :raises WalkError: after all that could be reached
        """
        read = self._prog.read_word
        default = read(css_set + self._dfl_cgrp)
        if default:
            yield default

        def entry(at: int) -> tuple[Maybe[int], Maybe[int], Maybe[int]]:
            return (
                attempt(read, at),
                attempt(read, at + self._word),
                attempt(read, at - self._cgrp_link + self._cgrp),
            )

        head = css_set + self._cgrp_links
        first, last = attempt(read, head), attempt(read, head + self._word)
        lost = ""
        cgroups = bounded_list(head, first, last, entry, _MAX_HIERARCHIES)
        for cgroup in paid(self._prog, cgroups):
            if isinstance(cgroup, Unreadable):
                lost = cgroup.reason
            elif cgroup != default:
                yield cgroup
        if lost:
            raise WalkError(lost)

    def _read_name(self, node: int) -> bytes:
        # The one place that reads names of cgroups.
        check_names(self._prog)
        address = self._prog.read_word(node + self._name)
        name = read_c_string(self._prog, address, _NAME_MAX + 1)
        if not 0 < len(name) <= _NAME_MAX or b"/" in name:
            raise WalkError("the name of a cgroup is not valid")
        return name

    def _read_path(self, node: int, below: list[int]) -> bytes:
        names: list[bytes] = []
        path = b""
        step = budget_of(self._prog).step
        while node:
            known = self._paths.get(node)
            if isinstance(known, Unreadable):
                raise WalkError(known.reason)
            if known is not None:
                path = known
                break
            parent = self._prog.read_word(node + self._parent)
            if not parent:
                break
            step()
            if len(below) >= _MAX_DEPTH:
                raise WalkError("the path of a cgroup does not end")
            below.append(node)
            names.append(self._read_name(node))
            node = parent
        for at, name in zip(reversed(below), reversed(names)):
            path = b"%b/%b" % (path, name)
            if len(path) > _MAX_PATH:
                raise WalkError("the path of a cgroup is too long")
            self._paths[at] = path
        return path

    def path(self, cgroup: int) -> bytes:
        """
        Return the path of a cgroup in its hierarchy: see cgroup_path_ns_locked().

        :param cgroup: Address of a ``struct cgroup``
        :raises WalkError: if it does not lead to a path
        """
        node = self._prog.read_word(cgroup + self._kn)
        below: list[int] = []
        path = attempt(self._read_path, node, below)
        if isinstance(path, Unreadable):
            # What is further down leads here again.
            for at in below:
                self._paths.setdefault(at, path)
            raise WalkError(path.reason)
        return path or b"/"


def for_each_task_cgroup(task: Object) -> Iterator[Object]:
    """
    Iterate over the cgroups of a task: that of version 2, then one of each hierarchy of
    version 1 that is mounted.

    :param task: ``struct task_struct *``
    :return: Iterator of ``struct cgroup *`` objects
    :raises AttributeError: if the kernel has no cgroups
    :raises WalkError: after all that could be reached
    """
    cgroups = Cgroups(task.prog_)
    for address in cgroups.of_css_set(task.cgroups.value_()):
        yield cgroups.object(address)


def cgroup_path_bounded(cgrp: Object) -> bytes:
    """
    Return the path of a cgroup in its hierarchy, as the host sees it.

    :param cgrp: ``struct cgroup *``
    :raises WalkError: if it does not lead to a path
    """
    return Cgroups(cgrp.prog_).path(cgrp.value_())
