# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Processes in network namespaces
-------------------------------

They identify a namespace that is not mounted anywhere. Follows kernel/nsproxy.c.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from drgn import Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..readers.bounded import bounded_nodes

__all__ = ("NetProcess", "for_each_net_process", "net_processes")

_PF_KTHREAD = 0x00200000


class NetProcess(NamedTuple):
    """A process in a network namespace."""

    net: int  #: Address of the ``struct net``
    pid: int  #: In the initial PID namespace
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
        self._nets: dict[int, Maybe[int]] = {0: 0}

    def _net(self, task: int) -> Maybe[int]:
        nsproxy = attempt(self._prog.read_word, task + self._nsproxy)
        if isinstance(nsproxy, Unreadable):
            return nsproxy
        if nsproxy not in self._nets:
            net = attempt(self._prog.read_word, nsproxy + self._net_ns)
            self._nets[nsproxy] = net
        return self._nets[nsproxy]

    def process(self, task: int, net: int) -> Optional[NetProcess]:
        """Return the name of a task, None for a kernel thread."""
        if self._prog.read_u32(task + self._flags) & _PF_KTHREAD:
            return None
        pid = self._prog.read_u32(task + self._pid)
        comm = self._prog.read(task + self._comm, self._comm_size)
        return NetProcess(net, pid, decode(comm.partition(b"\0")[0]))

    def __iter__(self) -> Iterator[tuple[int, Maybe[int]]]:
        def entry(node: int) -> tuple[int, Maybe[int]]:
            task = node - self._tasks
            return task, self._net(task)

        head = self._prog["init_task"].tasks.address_of_().value_()
        return bounded_nodes(self._prog, head, entry)


@takes_program_or_default
def for_each_net_process(prog: Program, wanted: set[int]) -> Iterator[NetProcess]:
    """
    Iterate over one process in each of some network namespaces: the oldest whose first
    thread is there, usually the one with the lowest PID.

    Processes that are exiting have left their namespaces. A namespace without a process
    is skipped; knowing that takes a walk over all processes.

    :param wanted: Addresses of ``struct net``
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached, unless all were found
    """
    left = set(wanted)
    if not left:
        return
    tasks = _Tasks(prog)
    salvage = Salvage("a process: ")
    for task, net in tasks:
        if isinstance(net, Unreadable):
            salvage.lose(net.reason)
        elif net in left:
            found = salvage.read(tasks.process, task, net)
            if found is not None:
                yield found
                left.discard(net)
                if not left:
                    return
    salvage.finish()


@takes_program_or_default
def net_processes(prog: Program, wanted: set[int]) -> dict[int, tuple[int, str]]:
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
