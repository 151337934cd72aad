# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Names of network namespaces
---------------------------

A network namespace has no name. What ``ip netns`` calls its name is the file on which
it is mounted; others are known by a process that is in it. Follows fs/nsfs.c and
kernel/nsproxy.c.
"""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from drgn import Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt, is_read_error, reason
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from .mounts import Mount, Mounts, list_node
from .walk import bounded_list

__all__ = (
    "NetProcess",
    "for_each_net_mount",
    "for_each_net_process",
    "net_mounts",
    "net_processes",
    "netns_name",
)

_CLONE_NEWNET = 0x40000000
_PF_KTHREAD = 0x00200000
_NETNS = re.compile(r"(?:/var)?/run/netns/([^/]+)")


class _NsFiles:
    # The inodes of nsfs, by their dentries.
    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._dentry = prog.type("struct dentry *")
        self._ns_common = prog.type("struct ns_common *")
        self._operations = prog["ns_file_operations"].address_of_().value_()
        self._found: Dict[int, Maybe[Optional[int]]] = {}

    def _is_net(self, ns: Object) -> bool:
        # Since Linux kernel commit 4055526d3574 ("ns: move ns type into struct
        # ns_common") (in v6.18).
        try:
            return ns.ns_type.value_() == _CLONE_NEWNET
        except AttributeError:
            return ns.ops.type.value_() == _CLONE_NEWNET

    def _read(self, dentry: int) -> Optional[int]:
        inode = Object(self._prog, self._dentry, dentry).d_inode.read_()
        if not inode or inode.i_fop.value_() != self._operations:
            return None
        address = inode.i_private.value_()
        if not address:
            return None
        ns = Object(self._prog, self._ns_common, address)
        return ns.inum.value_() if self._is_net(ns) else None

    def inum(self, dentry: int) -> Maybe[Optional[int]]:
        """Return the number of the network namespace, None for another file."""
        if dentry not in self._found:
            self._found[dentry] = attempt(self._read, dentry)
        return self._found[dentry]


@takes_program_or_default
def for_each_net_mount(prog: Program) -> Iterator[Tuple[int, str]]:
    """
    Iterate over the files on which network namespaces are mounted.

    Only those that the first process sees: a path in another mount namespace, such as a
    container's, leads nowhere from outside, or somewhere else. What the kernel has
    mounted for itself, was lazily unmounted, or is on a file that is gone, is left out.

    :return: Iterator of the inode number of the namespace and the absolute path of the
        file
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    mounts = Mounts(prog)
    files = _NsFiles(prog)
    first = mounts.first_namespace()
    broken = ""
    # By what is mounted, and on which file.
    seen: Dict[Tuple[int, int], List[Mount]] = {}
    try:
        for mount in mounts.of_super_block(prog["nsfs_mnt"].mnt_sb):
            if mount.namespace == first:
                seen.setdefault((mount.root, mount.mountpoint), []).append(mount)
    except Exception as e:
        if not is_read_error(e):
            raise
        broken = reason(e)
    given: Set[Tuple[int, str]] = set()
    for (dentry, _), copies in seen.items():
        inum = files.inum(dentry)
        if isinstance(inum, Unreadable):
            broken = inum.reason
            continue
        for mount in copies if inum is not None else ():
            path = attempt(mounts.path, mount.parent, mount.mountpoint)
            if isinstance(path, Unreadable):
                broken = path.reason
            elif path is not None and inum is not None:
                found = (inum, decode(path))
                if found not in given:
                    given.add(found)
                    yield found
    if broken:
        raise WalkError(f"mounts of network namespaces: {broken}")


@takes_program_or_default
def net_mounts(prog: Program) -> Dict[int, Tuple[str, ...]]:
    """
    Return the files on which each network namespace is mounted: see
    :func:`for_each_net_mount()`.

    :return: Sorted absolute paths by inode number; nothing for a namespace that is
        mounted nowhere
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    found: Dict[int, List[str]] = {}
    for inum, path in for_each_net_mount(prog):
        found.setdefault(inum, []).append(path)
    return {inum: tuple(sorted(paths)) for inum, paths in found.items()}


def netns_name(path: str) -> Optional[str]:
    """
    Return what ``ip netns`` calls a namespace that is mounted on a file, None if that
    is not where it looks for them.

    :param path: Absolute path, as of :func:`for_each_net_mount()`
    """
    match = _NETNS.fullmatch(path)
    return match.group(1) if match else None


class NetProcess(NamedTuple):
    """A process in a network namespace."""

    net: int  #: Address of the ``struct net``
    pid: int  #: As the initial PID namespace numbers processes
    comm: str


class _Tasks:
    # What is read of each task, member by member: there may be very many, and most are
    # nobody's business.
    def __init__(self, prog: Program) -> None:
        self._prog = prog
        task = prog.type("struct task_struct")
        self._tasks = offsetof(task, "tasks")
        self._nsproxy = offsetof(task, "nsproxy")
        self._flags = offsetof(task, "flags")
        self._pid = offsetof(task, "pid")
        self._comm = offsetof(task, "comm")
        self._comm_size = sizeof(task.member("comm").type)
        self._net_ns = offsetof(prog.type("struct nsproxy"), "net_ns")
        self._nets: Dict[int, Maybe[int]] = {0: 0}

    def _net(self, task: int) -> Maybe[int]:
        nsproxy = attempt(self._prog.read_word, task + self._nsproxy)
        if isinstance(nsproxy, Unreadable):
            return nsproxy
        if nsproxy not in self._nets:
            net = attempt(self._prog.read_word, nsproxy + self._net_ns)
            self._nets[nsproxy] = net
        return self._nets[nsproxy]

    def process(self, task: int, net: int) -> Optional[NetProcess]:
        """Return what a task is called, None for a thread of the kernel."""
        if self._prog.read_u32(task + self._flags) & _PF_KTHREAD:
            return None
        pid = self._prog.read_u32(task + self._pid)
        comm = self._prog.read(task + self._comm, self._comm_size)
        return NetProcess(net, pid, decode(comm.partition(b"\0")[0]))

    def __iter__(self) -> Iterator[Tuple[int, Maybe[int]]]:
        prog = self._prog

        def read(node: int) -> Tuple[Maybe[int], Maybe[int], Tuple[int, Maybe[int]]]:
            task = node - self._tasks
            return (*list_node(prog, node), (task, self._net(task)))

        head = prog["init_task"].tasks.address_of_().value_()
        return bounded_list(head, *list_node(prog, head), read)


@takes_program_or_default
def for_each_net_process(prog: Program, wanted: Set[int]) -> Iterator[NetProcess]:
    """
    Iterate over one process in each of some network namespaces: the oldest whose first
    thread is there, which as a rule has the lowest PID.

    Processes that are exiting have left their namespaces. A namespace in which there
    is none is not given; it takes a walk over all processes to know.

    :param wanted: Addresses of ``struct net``
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached, unless all were found
    """
    left = set(wanted)
    if not left:
        return
    tasks = _Tasks(prog)
    broken = ""
    for task, net in tasks:
        if isinstance(net, Unreadable):
            broken = net.reason
        elif net in left:
            found = attempt(tasks.process, task, net)
            if isinstance(found, Unreadable):
                broken = found.reason
            elif found is not None:
                yield found
                left.discard(net)
                if not left:
                    return
    if broken:
        raise WalkError(f"a process: {broken}")


@takes_program_or_default
def net_processes(prog: Program, wanted: Set[int]) -> Dict[int, Tuple[int, str]]:
    """
    Return a process in each of some network namespaces: see
    :func:`for_each_net_process()`.

    :param wanted: Addresses of ``struct net``
    :return: PID and name of the process, by address of the ``struct net``
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if not all could be reached
    """
    return {
        found.net: (found.pid, found.comm)
        for found in for_each_net_process(prog, wanted)
    }
