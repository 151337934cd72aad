# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who holds rtnl_mutex."""

from typing import Any

from drgn import Type, TypeMember
from drgn_veth.readers.rtnl import rtnl_owner
import pytest

from tests.support.toy import NOWHERE, Toy


class _Kernel(Toy):
    # With one task, the only thread of its process.
    def __init__(self) -> None:
        super().__init__()
        self.declare(
            self.prog.struct_type(
                "list_head",
                16,
                (TypeMember(self._node, "next"), TypeMember(self._node, "prev", 64)),
            )
        )
        node = "struct list_head"
        self.struct("task_struct", pid="int", tasks=node, thread_node=node)
        self.task = self.place("struct task_struct")
        # The head of its list of threads. In that of all processes is its parent.
        self.head = self.place(node)
        self.link(self.head)
        self.set("struct task_struct", self.task, tasks__next=self.head)

    def _node(self) -> Type:
        return self.prog.pointer_type(self.prog.type("struct list_head"))

    def link(self, next: int) -> None:
        self.set("struct task_struct", self.task, thread_node__next=next)
        self.set("struct list_head", self.head, prev=self.task + 24)

    def own(self, owner: int) -> None:
        self.struct("mutex", owner=self.struct("atomic", counter="long"))
        mutex = self.variable("rtnl_mutex", "struct mutex")
        self.set("struct mutex", mutex, owner__counter=owner)


@pytest.fixture
def kernel() -> _Kernel:
    return _Kernel()


@pytest.mark.parametrize("flags", range(8))
def test_rtnl_owner(kernel: _Kernel, flags: int) -> None:
    counter = kernel.struct("atomic", counter="long")
    kernel.struct("mutex", owner=counter)
    mutex = kernel.variable("rtnl_mutex", "struct mutex")
    kernel.set("struct mutex", mutex, owner__counter=kernel.task | flags)
    owner = rtnl_owner(kernel.prog)
    assert owner.type_.type_name() == "struct task_struct *"
    assert owner.value_() == kernel.task
    kernel.set("struct mutex", mutex, owner__counter=flags)
    assert not rtnl_owner(kernel.prog)


@pytest.mark.parametrize("waiters", (0, 1))
@pytest.mark.parametrize("member", ("rtmutex", "lock"))
def test_rtnl_owner_with_preempt_rt(kernel: _Kernel, member: str, waiters: int) -> None:
    base = kernel.struct("rt_mutex", owner="struct task_struct *")
    kernel.struct("mutex", **{member: base})
    mutex = kernel.variable("rtnl_mutex", "struct mutex")
    kernel.set("struct mutex", mutex, **{f"{member}__owner": kernel.task | waiters})
    assert rtnl_owner(kernel.prog).value_() == kernel.task
    kernel.set("struct mutex", mutex, **{f"{member}__owner": waiters})
    assert not rtnl_owner(kernel.prog)


def _elsewhere(kernel: _Kernel) -> int:
    return kernel.place("struct task_struct")


def _astray(kernel: _Kernel) -> int:
    kernel.link(kernel.head + 8)
    return kernel.task


def _within(kernel: _Kernel) -> int:
    return kernel.task + 8


@pytest.mark.parametrize("owner", [_elsewhere, _astray, _within])
def test_what_is_no_task(kernel: _Kernel, owner: Any) -> None:
    kernel.own(owner(kernel))
    with pytest.raises(ValueError):
        rtnl_owner(kernel.prog)


@pytest.mark.parametrize("lost", ["tasks__next", "thread_node__next"])
def test_one_list_is_enough(kernel: _Kernel, lost: str) -> None:
    """A slice has the threads of no kernel thread."""
    kernel.own(kernel.task)
    if lost == "thread_node__next":
        kernel.set("struct list_head", kernel.head, prev=kernel.task + 8)
    kernel.set("struct task_struct", kernel.task, **{lost: NOWHERE})
    assert rtnl_owner(kernel.prog).value_() == kernel.task


def test_a_task_whose_list_has_lost_it(kernel: _Kernel) -> None:
    kernel.own(kernel.task)
    kernel.set("struct list_head", kernel.head, prev=NOWHERE)
    with pytest.raises(ValueError, match=f"^what is at {kernel.task:#x} is no task$"):
        rtnl_owner(kernel.prog)


def test_rtnl_owner_of_a_mutex_that_does_not_say(kernel: _Kernel) -> None:
    kernel.struct("mutex", count="int")
    kernel.variable("rtnl_mutex", "struct mutex")
    with pytest.raises(AttributeError):
        rtnl_owner(kernel.prog)
