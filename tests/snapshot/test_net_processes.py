# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes in network namespaces, in lists that are damaged."""

from drgn import (
    offsetof,
)
from drgn_veth.core.errors import WalkError
from drgn_veth.snapshot.net_processes import for_each_net_process, net_processes
import pytest

from tests.support.toy import NOWHERE, Toy

KERNEL_THREAD = 0x00200000


class Tasks:
    """A list of processes."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        array = toy.prog.array_type(toy.prog.type("char"), 16)
        toy.struct(
            "task_struct",
            flags="unsigned int",
            pid="int",
            tasks="struct list_head",
            nsproxy="void *",
            comm=array,
        )
        toy.struct("nsproxy", net_ns="void *")
        self.head = toy.variable("init_task", "struct task_struct")
        self.all = [self.head]
        self.nodes = offsetof(toy.prog.type("struct task_struct"), "tasks")
        self.nsproxies: dict[int, int] = {0: 0, NOWHERE: NOWHERE}

    def add(self, pid: int, net: int, comm: bytes = b"x", flags: int = 0) -> int:
        task = self.toy.place("struct task_struct")
        if net not in self.nsproxies:
            self.nsproxies[net] = self.toy.place("struct nsproxy")
            self.toy.set("struct nsproxy", self.nsproxies[net], net_ns=net)
        self.toy.set(
            "struct task_struct",
            task,
            pid=pid,
            flags=flags,
            nsproxy=self.nsproxies[net],
        )
        at = task + offsetof(self.toy.prog.type("struct task_struct"), "comm")
        for i, byte in enumerate(comm):
            self.toy.put(at + i, "B", byte)
        self.all.append(task)
        for i, one in enumerate(self.all):
            following = self.all[(i + 1) % len(self.all)]
            self.point(one, tasks__next=following + self.nodes)
            self.point(following, tasks__prev=one + self.nodes)
        return task

    def point(self, task: int, **where: int) -> None:
        self.toy.set("struct task_struct", task, **where)


def test_processes(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000, b"init")
    tasks.add(2, 0x5000, b"kthread", KERNEL_THREAD)
    tasks.add(3, 0)
    tasks.add(4, 0x2000, b"sixteen bytes, 4")
    tasks.add(5, 0x2000, b"later")
    tasks.add(6, 0x5000, b"\xff\0rest of another")
    tasks.add(7, 0x3000, b"unwanted")
    wanted = {0x1000, 0x2000, 0x4000, 0x5000}
    assert net_processes(toy.prog, wanted) == {
        0x1000: (1, "init"),
        0x2000: (4, "sixteen bytes, 4"),
        0x5000: (6, "\\xff"),
    }
    assert net_processes(toy.prog, set()) == {}


def test_processes_of_a_broken_list(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, 0x1000)
    broken = tasks.add(2, 0x2000)
    tasks.add(3, 0x3000)
    tasks.add(4, 0x4000)
    tasks.point(broken, tasks__next=NOWHERE)
    found = []
    with pytest.raises(WalkError):
        for process in for_each_net_process(toy.prog, {0x1000, 0x3000, 0x9000}):
            found.append((process.net, process.pid))
    assert sorted(found) == [(0x1000, 1), (0x3000, 3)]
    # Nothing is missing then.
    assert net_processes(toy.prog, {0x1000, 0x3000}) == {
        0x1000: (1, "x"),
        0x3000: (3, "x"),
    }
    tasks.point(broken, tasks__next=tasks.all[1] + tasks.nodes)
    with pytest.raises(WalkError, match="loops"):
        net_processes(toy.prog, {0x9000})


def test_processes_that_cannot_be_read(toy: Toy) -> None:
    tasks = Tasks(toy)
    tasks.add(1, NOWHERE)
    tasks.add(2, 0x2000)
    assert net_processes(toy.prog, {0x2000}) == {0x2000: (2, "x")}
    # It may be the one.
    with pytest.raises(WalkError, match="could not find memory"):
        net_processes(toy.prog, {0x2000, 0x3000})
