# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tasks
-----

All processes and their threads: the list of processes that starts in ``init_task``, and
the list of threads of each (include/linux/sched/signal.h).

Upstream: :func:`for_each_net_task()` and :func:`net_for_pid()`; for intact lists,
drgn's own ``for_each_task()`` is enough.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from drgn import Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.budget import budget_of
from ..core.c_string import read_c_string
from ..core.errors import WalkError, attempt
from ..core.exact_reads import are_reads_exact
from ..core.moving import moves, walked_again
from ..core.names import are_names_left_out, check_names
from ..core.salvage import Salvage
from ..core.sparse_layout import SpanLayout, SparseLayout
from ..core.struct_layout import (
    Layout,
    Members,
    array,
    number,
    optional_pointer,
    pointer,
    with_values,
)
from ..core.unreadable import Maybe, Unreadable
from .bounded import bounded_list
from .memory_size import most_that_fit
from .nsproxy import Nsproxies, task_net

__all__ = (
    "TaskStruct",
    "Tasks",
    "Thread",
    "check_pid",
    "check_task",
    "for_each_net_task",
    "for_each_thread",
    "net_for_pid",
    "task_comm",
)

_PF_EXITING = 0x00000004

_PID_MAX_LIMIT = 4 << 20  # include/linux/threads.h

# The least that a task takes: its struct task_struct and its stack.
_SIZE = 12 << 10
_MORE = 1 << 10

# What a task adds to the shared budget: a step for each of its cgroups, of which there
# are a dozen, and some for their directories.
_STEPS = 16

# Reasons that are kept.
_MAX_REASONS = 10


class TaskStruct(Members):
    """What a walk over all tasks reads of a ``struct task_struct``."""

    flags = number("flags")
    next = pointer("tasks.next")
    prev = pointer("tasks.prev")
    pid = number("pid")
    tgid = number("tgid")
    next_thread = pointer("thread_node.next")
    prev_thread = pointer("thread_node.prev")
    signal = pointer("signal")
    nsproxy = pointer("nsproxy")
    cgroups = optional_pointer("cgroups")  # CONFIG_CGROUPS


class _NamedTaskStruct(TaskStruct):
    # With the name, which lies between them.
    comm = array("comm")


def check_pid(pid: int) -> int:
    """
    Check the ID of a user process or a kernel thread.

    :param pid: ``pid_t``, as it was read
    :return: *pid*
    :raises ValueError: if no process has such an ID
    """
    if not 0 < pid <= _PID_MAX_LIMIT:
        raise ValueError(f"invalid process ID {pid}")
    return pid


def _with_valid_pids(task: TaskStruct, is_leader: bool) -> TaskStruct:
    # The first thread of a process has the process's ID.
    pid, tgid = task.pid, task.tgid
    if isinstance(pid, Unreadable) or isinstance(tgid, Unreadable):
        return task
    if 0 < pid <= _PID_MAX_LIMIT and (pid == tgid or not is_leader):
        return task
    said = attempt(check_pid, pid), attempt(check_pid, tgid)
    if is_leader and not any(isinstance(one, Unreadable) for one in said):
        why = f"process ID {tgid} does not match ID {pid} of its first thread"
        said = Unreadable(why), Unreadable(why)
    return with_values(task, pid=said[0], tgid=said[1])


def check_task(task: Object) -> Object:
    """
    Check that a pointer leads to a task: it is in the list of all processes, or in that
    of the threads of its process.

    :param task: ``struct task_struct *``
    :return: *task*
    :raises ValueError: if it points to no task, to one that has exited, or to memory
        that cannot be read
    """
    why = f"what is at {task.value_():#x} is no task"
    # The first thread of a process is in both.
    for node in (task.tasks, task.thread_node):
        back = attempt(lambda node=node: node.next.prev.value_())
        if back == node.address_:
            return task
        if isinstance(back, Unreadable):
            why = back.reason
    raise ValueError(why)


class Thread(NamedTuple):
    """A task."""

    address: int  # of the struct task_struct
    task: TaskStruct


def _differ(a: Maybe[int], b: Maybe[int]) -> bool:
    return a != b and not isinstance(a, Unreadable) and not isinstance(b, Unreadable)


def _read_comm(prog: Program, address: int, size: int) -> bytes:
    # The one place that reads names of tasks.
    check_names(prog)
    return read_c_string(prog, address, size)


def task_comm(task: Object) -> bytes:
    """
    Return the name of a task.

    :param task: ``struct task_struct *``
    """
    comm = task.comm
    return _read_comm(task.prog_, comm.address_, sizeof(comm))


def _most_tasks(prog: Program) -> int:
    # The kernel counts them (kernel/fork.c), and each takes memory.
    most = most_that_fit(prog, _SIZE)
    count = attempt(lambda: prog["nr_threads"].value_())
    # Some are in the lists for a moment longer, or not there yet.
    if isinstance(count, Unreadable) or count <= 0:
        return most
    return min(most, 2 * count + _MORE)


class Tasks:
    """
    All tasks of a kernel, in lists that may be broken.

    :raises LookupError: if the kernel's types or variables are not there
    """

    #: The flag of kernel threads, which do not count. Workers of io_uring and vhost are
    #: threads of a user process: they have PF_IO_WORKER or PF_USER_WORKER instead.
    PF_KTHREAD = 0x00200000

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        task = prog.type("struct task_struct")
        self._pointer = prog.pointer_type(task)
        self._layout: Layout[TaskStruct] = SparseLayout(prog, task, TaskStruct)
        if not (are_reads_exact(prog) or are_names_left_out(prog)):
            self._layout = SpanLayout(prog, task, _NamedTaskStruct, self._layout)
        self._comm = offsetof(task, "comm")
        self._comm_size = sizeof(task.member("comm").type)
        self._tasks = offsetof(task, "tasks")
        # Since Linux kernel commit 0c740d0afc3b ("introduce for_each_thread() to
        # replace the buggy while_each_thread()") (in v3.14). Before v6.7, there is
        # another list of the same threads, thread_group.
        self._thread_node = offsetof(task, "thread_node")
        self._thread_head = offsetof(prog.type("struct signal_struct"), "thread_head")
        self._init_tasks = prog["init_task"].tasks.address_of_().value_()
        self._word = sizeof(self._pointer)
        self._most = self._left = _most_tasks(prog)
        self._moves = moves(prog)
        #: Why tasks are missing: the first reasons, and how many there are.
        self.reasons: list[str] = []
        self.lost = 0

    def object(self, address: int) -> Object:
        """Return a ``struct task_struct *``."""
        return Object(self._prog, self._pointer, address)

    def comm(self, thread: Thread) -> bytes:
        """Return the name of a task: see :func:`task_comm()`."""
        known = getattr(thread.task, "comm", None)
        if isinstance(known, bytes):
            return known.partition(b"\0")[0]
        address = thread.address + self._comm
        return _read_comm(self._prog, address, self._comm_size)

    def lose(self, why: str) -> None:
        """Keep why a task is missing."""
        self.lost += 1
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(why)

    def lose_one(self, task: TaskStruct, why: Unreadable) -> None:
        """Keep why something of a task, or its threads, are missing."""
        pid = "?" if isinstance(task.pid, Unreadable) else str(task.pid)
        self.lose(f"task {pid}: {why.reason}")

    def finish(self) -> None:
        """
        Say that tasks are missing.

        :raises WalkError: if any are
        """
        if self.lost:
            raise WalkError(f"a task: {self.reasons[0]}")

    def _paid(self, threads: Iterator[Thread]) -> Iterator[Thread]:
        # nr_threads may be damaged as well as the list. Garbage rarely has valid IDs.
        budget = budget_of(self._prog)
        for thread in threads:
            ids = thread.task.pid, thread.task.tgid
            if any(isinstance(one, Unreadable) for one in ids):
                budget.step()
            else:
                budget.add(_STEPS)
            yield thread

    def _list(
        self, head: int, node: int, leader: Optional[Thread] = None
    ) -> Iterator[Thread]:
        # The tasks of a list: of all processes, or of the threads of one.
        read = self._layout.read
        astray = Unreadable("a list of threads leads into another process")

        def entry(at: int) -> tuple[Maybe[int], Maybe[int], Thread]:
            task = _with_valid_pids(read(at - node), leader is None)
            thread = Thread(at - node, task)
            if leader is None:
                return task.next, task.prev, thread
            of = leader.task
            if _differ(task.signal, of.signal) or _differ(task.tgid, of.tgid):
                return astray, astray, thread
            return task.next_thread, task.prev_thread, thread

        word = self._prog.read_word

        def walk() -> Iterator[Thread]:
            first, last = attempt(word, head), attempt(word, head + self._word)
            return bounded_list(head, first, last, entry, moving=self._moves)

        salvage = Salvage()
        again = walked_again(self._prog, walk, lambda thread: thread.address)
        for thread in salvage.walk(self._paid(again)):
            if self._left <= 0:
                salvage.lose(f"more than {self._most} tasks: gave up")
                break
            self._left -= 1
            yield thread
        if salvage.lost is None:
            return
        # The threads of a process that has ended are not missing.
        if leader is None or not self._has_ended(leader):
            self.lose(salvage.lost)

    def _has_ended(self, leader: Thread) -> bool:
        if not self._moves:
            return False
        before, now = leader.task, self._layout.read(leader.address)
        return (
            (now.signal, now.tgid) != (before.signal, before.tgid)
            or isinstance(now.flags, Unreadable)
            or bool(now.flags & _PF_EXITING)
        )

    def _threads(self, leader: Thread) -> list[Thread]:
        task = leader.task
        # A kernel thread has no others.
        if not isinstance(task.flags, Unreadable) and task.flags & self.PF_KTHREAD:
            return [leader]
        if isinstance(task.signal, Unreadable):
            self.lose_one(task, task.signal)
            return [leader]
        head = task.signal + self._thread_head
        if task.next_thread == head == task.prev_thread:
            return [leader]
        threads = self._list(head, self._thread_node, leader)
        return [leader, *(t for t in threads if t.address != leader.address)]

    def processes(self) -> Iterator[list[Thread]]:
        """
        Iterate over the processes and kernel threads, each with its threads; the
        thread group leader comes first. Follows for_each_process_thread().

        What cannot be reached is in :attr:`reasons` after that.
        """
        for leader in self._list(self._init_tasks, self._tasks):
            yield self._threads(leader)


@takes_program_or_default
def for_each_thread(prog: Program) -> Iterator[int]:
    """
    Iterate over all threads, those of the kernel included: processes by age, and the
    first thread of each first.

    :return: Iterator of addresses of ``struct task_struct``
    :raises LookupError: if the kernel has no such variables or types
    :raises WalkError: after all that could be reached
    """
    tasks = Tasks(prog)
    for threads in tasks.processes():
        for thread in threads:
            yield thread.address
    tasks.finish()


def for_each_net_task(net: Object) -> Iterator[Object]:
    """
    Iterate over the tasks in a network namespace, threads included: setns() moves a
    single thread. Kernel threads are skipped. A task that is exiting is in its
    namespace until exit_task_namespaces() (kernel/nsproxy.c): its files are closed
    before that, which may block.

    :param net: ``struct net *``
    :return: Iterator of ``struct task_struct *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = net.prog_
    wanted = net.value_()
    nsproxies, tasks = Nsproxies(prog), Tasks(prog)
    for threads in tasks.processes():
        for thread in threads:
            task = thread.task
            found = nsproxies.net(task.nsproxy)
            if isinstance(found, Unreadable):
                tasks.lose_one(task, found)
            elif found != wanted:
                continue
            elif isinstance(task.flags, Unreadable):
                tasks.lose_one(task, task.flags)
            elif not task.flags & tasks.PF_KTHREAD:
                yield tasks.object(thread.address)
    tasks.finish()


@takes_program_or_default
def net_for_pid(prog: Program, pid: int) -> Object:
    """
    Return the network namespace of a task.

    :param pid: PID of a process or a thread, in the initial PID namespace
    :return: ``struct net *``; ``NULL`` if the task has exited
    :raises LookupError: if no task has that PID
    :raises WalkError: if it was not found, and not all could be read
    """
    tasks = Tasks(prog)
    for threads in tasks.processes():
        for thread in threads:
            if thread.task.pid == pid:
                return task_net(tasks.object(thread.address))
    tasks.finish()
    raise LookupError(f"no task has PID {pid}")
