# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tasks in network namespaces
---------------------------

One walk over all tasks finds the processes, containers and host names of all
namespaces. setns() moves single threads, so a process may be in several namespaces.
"""

from collections import defaultdict
from collections.abc import Mapping
import heapq
from typing import NamedTuple, Optional

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt
from ..core.exact_reads import are_reads_exact
from ..core.moving import moves
from ..core.text import decode
from ..core.unreadable import Maybe, Unreadable
from ..model import Container, NetTask
from ..readers.nsproxy import Nsproxies
from ..readers.task import Tasks, TaskStruct, Thread
from .task_containers import TaskContainers

__all__ = ("AllNetTasks", "NetTasks", "net_processes", "net_tasks")

# What may be missing of all tasks, as a Snapshot calls it.
_WHAT = ("tasks", "containers of tasks")

_MAX_TASKS = 10
_MAX_REASONS = 10
_TRIES = 3  # of a running kernel
_LAST = 1 << 32  # sorts behind all PIDs
_BEHIND = _LAST + 1


class NetTasks(NamedTuple):
    """The tasks of a network namespace."""

    task_count: int  # processes that have a thread there
    tasks: tuple[NetTask, ...]  # those with the lowest PIDs
    containers: Maybe[tuple[Container, ...]]
    hostname: Maybe[Optional[str]]  # of the first of *tasks*


class AllNetTasks(NamedTuple):
    """The tasks of all network namespaces."""

    of: Mapping[int, NetTasks]  # by address of the struct net
    lost: Optional[str]  # why tasks are missing, None if none are
    incomplete: tuple[tuple[str, str], ...]  # all that is missing, as in a Snapshot


# A process in a namespace: what to sort by, the thread that is there, which is the
# leader if that is, and the leader.
_Member = tuple[int, int, Thread, Thread]
_CssSet = Maybe[Optional[int]]
_Place = tuple[list[_Member], dict[_CssSet, int]]


class _Walk:
    def __init__(self, prog: Program) -> None:
        self._nsproxies = Nsproxies(prog)
        self._tasks = Tasks(prog)
        self._containers = TaskContainers(prog)
        # By address of a struct net: the processes; and the sets of cgroups of their
        # threads, each with the lowest PID.
        self._nets: defaultdict[int, _Place] = defaultdict(lambda: ([], {}))
        # The same by address of a struct nsproxy, as far as they are known.
        self._places: dict[Maybe[int], _Place] = {}
        self._comms: dict[int, Maybe[str]] = {}
        # How many names of a namespace are read while a page is at hand: which are
        # shown is known at the end.
        self._prefetched = 0 if are_reads_exact(prog) else _MAX_TASKS

    def _net(self, task: TaskStruct) -> int:
        # The address of the namespace, 0 for a task that does not count.
        flags = task.flags
        net = self._nsproxies.net(task.nsproxy)
        if net == 0:
            return 0
        if isinstance(flags, Unreadable):
            net = flags
        elif flags & Tasks.PF_KTHREAD:
            return 0
        if isinstance(net, Unreadable):
            self._tasks.lose_one(task, net)
            return 0
        return net

    def _add_alone(self, thread: Thread) -> bool:
        # A process with one thread, as most are, in namespaces that are known. It may
        # be one of thousands: no more calls than there have to be.
        task = thread.task
        place = self._places.get(task.nsproxy)
        flags, pid = task.flags, task.tgid
        if (
            place is None
            or isinstance(flags, Unreadable)
            or isinstance(pid, Unreadable)
        ):
            return False
        if not flags & Tasks.PF_KTHREAD:
            members, css_sets = place
            if css_sets.get(task.cgroups, _BEHIND) > pid:
                css_sets[task.cgroups] = pid
            members.append((pid, thread.address, thread, thread))
            if len(members) <= self._prefetched:
                self._comm(thread)
        return True

    def _add(self, leader: Thread, threads: list[Thread]) -> None:
        tgid = leader.task.tgid
        pid = _LAST if isinstance(tgid, Unreadable) else tgid
        seen = set()
        for thread in threads:
            task = thread.task
            net = self._net(task)
            if not net:
                continue
            members, css_sets = self._places[task.nsproxy] = self._nets[net]
            if css_sets.get(task.cgroups, _BEHIND) > pid:
                css_sets[task.cgroups] = pid
            if net not in seen:
                seen.add(net)
                members.append((pid, thread.address, thread, leader))
                if len(members) <= self._prefetched:
                    # While its page is at hand. PIDs mostly ascend.
                    self._comm(thread)

    def _comm(self, thread: Thread) -> Maybe[str]:
        address = thread.address
        if address not in self._comms:
            comm = attempt(self._tasks.comm, thread)
            self._comms[address] = attempt(decode, comm)
        return self._comms[address]

    def _task(self, member: _Member) -> NetTask:
        _, _, thread, leader = member
        container = self._containers.of_css_set(thread.task.cgroups)
        return NetTask(
            leader.task.tgid,
            self._comm(thread),
            None if container is None else attempt(lambda c: c.id, container),
            None if thread is leader else thread.task.pid,
        )

    def _of(self, members: list[_Member]) -> NetTasks:
        first = heapq.nsmallest(_MAX_TASKS, members)
        nsproxy = first[0][2].task.nsproxy
        return NetTasks(
            len(members),
            tuple(map(self._task, first)),
            (),
            attempt(decode, attempt(self._nsproxies.nodename, nsproxy)),
        )

    def take(self) -> AllNetTasks:
        for threads in self._tasks.processes():
            if len(threads) > 1 or not self._add_alone(threads[0]):
                self._add(threads[0], threads)
        reasons = self._tasks.reasons
        incomplete = [(_WHAT[0], why) for why in reasons]
        if self._tasks.lost > len(reasons):
            more = self._tasks.lost - len(reasons)
            incomplete.append((_WHAT[0], f"and {more} more"))
        found = {}
        lost: dict[str, None] = {}
        for net, (members, by_pid) in self._nets.items():
            containers, why = self._containers.containers(
                iter(sorted(by_pid, key=by_pid.__getitem__))
            )
            if why is not None:
                lost[why] = None
            found[net] = self._of(members)._replace(containers=containers)
        incomplete += [(_WHAT[1], why) for why in lost][:_MAX_REASONS]
        return AllNetTasks(found, reasons[0] if reasons else None, tuple(incomplete))


@takes_program_or_default
def net_tasks(prog: Program) -> AllNetTasks:
    """
    Return the tasks of all network namespaces, but for the kernel threads. A task that
    is exiting is in its namespace until it has closed its files.

    :raises LookupError: if the kernel has no such variables or types
    """
    found = _Walk(prog).take()
    if moves(prog):
        # Processes start and end while they are read.
        for _ in range(_TRIES - 1):
            if not found.incomplete:
                break
            found = _Walk(prog).take()
    return found


@takes_program_or_default
def net_processes(
    prog: Program, wanted: set[int]
) -> dict[int, tuple[Maybe[int], Maybe[str]]]:
    """
    Return the process with the lowest PID in each of some network namespaces: see
    :func:`net_tasks()`.

    :param wanted: Addresses of ``struct net``
    :return: PID and name of the process, by address of the ``struct net``
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: if a namespace has none, and not all tasks could be reached
    """
    found = net_tasks(prog)
    missing = wanted - set(found.of)
    if missing and found.lost is not None:
        raise WalkError(f"a process: {found.lost}")
    return {net: found.of[net].tasks[0][:2] for net in wanted if net in found.of}
