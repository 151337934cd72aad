# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks of a toy kernel, with their namespaces and cgroups."""

from collections.abc import Sequence

from drgn import offsetof

from .toy import NOWHERE, Toy

__all__ = ("EXITING", "KERNEL_THREAD", "Tasks")

EXITING = 0x00000004
KERNEL_THREAD = 0x00200000

_TASK = "struct task_struct"


class Tasks:
    """
    A list of processes.

    :param more: Other members of ``struct task_struct``, as for :meth:`Toy.struct()`
    """

    def __init__(self, toy: Toy, **more: object) -> None:
        self.toy = toy
        array = toy.prog.array_type(toy.prog.type("char"), 16)
        name = toy.prog.array_type(toy.prog.type("char"), 65)
        toy.struct("utsname", nodename=name)
        uts = toy.struct("uts_namespace", name=toy.prog.type("struct utsname"))
        net = toy.struct("net", number="int")
        toy.struct(
            "nsproxy",
            uts_ns=toy.prog.pointer_type(uts),
            net_ns=toy.prog.pointer_type(net),
        )
        toy.struct("signal_struct", thread_head="struct list_head")
        toy.struct(
            "task_struct",
            flags="unsigned int",
            pid="int",
            tgid="int",
            tasks="struct list_head",
            thread_node="struct list_head",
            signal="void *",
            nsproxy=toy.prog.pointer_type(toy.prog.type("struct nsproxy")),
            cgroups="void *",
            comm=array,
            **more,
        )
        toy.struct("kernfs_node", parent="void *", name="void *")
        toy.struct("cgroup", kn="void *")
        toy.struct("css_set", dfl_cgrp="void *", cgrp_links="struct list_head")
        toy.struct("cgrp_cset_link", cgrp="void *", cgrp_link="struct list_head")
        self.head = toy.variable("init_task", _TASK)
        self.uts = toy.place("struct uts_namespace")
        self.write(self.uts, b"node-1")
        self.all = [self.head]
        self.threads: dict[int, list[int]] = {}
        self.nodes = self.offset("tasks")
        self.nsproxies: dict[int, int] = {0: 0, NOWHERE: NOWHERE}
        self.css_sets: dict[tuple[str, ...], int] = {}
        self.roots: dict[int, int] = {}
        self._link((self.head,), "tasks")

    def offset(self, member: str, type: str = _TASK) -> int:
        return offsetof(self.toy.prog.type(type), member)

    def write(self, at: int, text: bytes) -> None:
        for i, byte in enumerate(text):
            self.toy.put(at + i, "B", byte)

    def _link(
        self, all: Sequence[int], member: str, head: int = 0, type: str = _TASK
    ) -> None:
        nodes = [one + self.offset(member, type) for one in all]
        nodes = [head, *nodes] if head else nodes
        for i, node in enumerate(nodes):
            following = nodes[(i + 1) % len(nodes)]
            self.toy.set("struct list_head", node, next=following)
            self.toy.set("struct list_head", following, prev=node)

    def nsproxy(self, net: int) -> int:
        if net not in self.nsproxies:
            self.nsproxies[net] = self.toy.place("struct nsproxy")
            self.toy.set(
                "struct nsproxy", self.nsproxies[net], net_ns=net, uts_ns=self.uts
            )
        return self.nsproxies[net]

    def node(self, path: str, hierarchy: int = 0) -> int:
        """Return the directory of a cgroup."""
        at = self.toy.place("struct kernfs_node")
        above, _, name = path.rpartition("/")
        if not name:
            self.toy.set("struct kernfs_node", at, name=self.toy.text(b""))
            return at
        parent = self.node(above, hierarchy)
        text = self.toy.text(name.encode())
        self.toy.set("struct kernfs_node", at, name=text, parent=parent)
        return at

    def css_set(self, *paths: str) -> int:
        """Return a set of cgroups: that of version 2 first."""
        if paths not in self.css_sets:
            css_set = self.css_sets[paths] = self.toy.place("struct css_set")
            links = []
            for path in paths:
                cgroup = self.toy.place("struct cgroup")
                self.toy.set("struct cgroup", cgroup, kn=self.node(path))
                links.append(self.toy.place("struct cgrp_cset_link"))
                self.toy.set("struct cgrp_cset_link", links[-1], cgrp=cgroup)
                if len(links) == 1:
                    self.toy.set("struct css_set", css_set, dfl_cgrp=cgroup)
            head = css_set + self.offset("cgrp_links", "struct css_set")
            self._link(links, "cgrp_link", head, "struct cgrp_cset_link")
        return self.css_sets[paths]

    def add(
        self,
        pid: int,
        net: int,
        comm: bytes = b"x",
        flags: int = 0,
        cgroups: Sequence[str] = ("/",),
    ) -> int:
        """Add a process."""
        signal = self.toy.place("struct signal_struct")
        task = self._task(pid, pid, net, comm, flags, cgroups, signal)
        self.all.append(task)
        self._link(self.all, "tasks")
        self.threads[task] = [task]
        self._link([task], "thread_node", signal)
        return task

    def _task(
        self,
        pid: int,
        tgid: int,
        net: int,
        comm: bytes,
        flags: int,
        cgroups: Sequence[str],
        signal: int,
    ) -> int:
        task = self.toy.place(_TASK)
        self.toy.set(
            _TASK,
            task,
            pid=pid,
            tgid=tgid,
            flags=flags,
            nsproxy=self.nsproxy(net),
            signal=signal,
            cgroups=self.css_set(*cgroups),
        )
        self.write(task + self.offset("comm"), comm)
        return task

    def thread(
        self,
        leader: int,
        pid: int,
        net: int,
        comm: bytes = b"t",
        flags: int = 0,
        cgroups: Sequence[str] = ("/",),
    ) -> int:
        """Add a thread to a process."""
        tgid = self.toy.prog.read_u32(leader + self.offset("tgid"))
        signal = self.toy.prog.read_word(leader + self.offset("signal"))
        task = self._task(pid, tgid, net, comm, flags, cgroups, signal)
        self.threads[leader].append(task)
        self._link(self.threads[leader], "thread_node", signal)
        return task

    def point(self, task: int, **where: int) -> None:
        self.toy.set(_TASK, task, **where)
