# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks that may hold a device which netdev_run_todo() waits for, of a toy kernel."""

from types import SimpleNamespace
from typing import Any

from drgn import (
    Object,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    offsetof,
)
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Device
from drgn_veth.snapshot.ref_tasks import add_ref_tasks
import pytest

from tests.support.snapshots import BAD, HOST, device
from tests.support.toy import NOWHERE, Toy
from tests.support.toy_tasks import Tasks

STACK = 1 << 14
REGISTERED, UNREGISTERED = 1, 3
DEVICE = "struct net_device"


class Waiting:
    """A device, and tasks with a stack each."""

    def __init__(self, toy: Toy, count: str = "dev_refcnt") -> None:
        self.toy = toy
        thread = toy.struct("thread_struct", sp="unsigned long")
        self.tasks = Tasks(toy, thread=thread, stack="void *", on_cpu="int")
        net = toy.prog.pointer_type(toy.prog.type("struct net"))
        toy.struct(
            "net_device",
            nd_net=toy.struct("possible_net", net=net),
            name=toy.prog.array_type(toy.prog.type("char"), 16),
            reg_state="unsigned char",
            **{count: "int"},
            **dict.fromkeys(
                ("unreg_list", "close_list", "todo_list"), "struct list_head"
            ),
        )
        toy.constant("PAGE_SIZE", 1 << 12)
        self.net = toy.place("struct net")
        self.dev = toy.place(DEVICE)
        toy.set(DEVICE, self.dev, nd_net__net=self.net, reg_state=UNREGISTERED)
        toy.put(self.dev + offsetof(toy.prog.type(DEVICE), "name"), "B", ord("d"))
        self.stacks = [self._stack(self.tasks.head), *map(self._task, (10, 11))]

    def _task(self, pid: int) -> int:
        return self._stack(self.tasks.add(pid, 0))

    def _stack(self, task: int) -> int:
        # A small part of it is looked at: one of what is used of it.
        stack = self.toy.place("struct list_head", 32)
        base = stack + 512 - STACK
        self.tasks.point(task, stack=base, thread__sp=stack)
        return stack

    def held_by(self, *, state: int = UNREGISTERED, refs: Any = 2) -> Any:
        self.toy.set(DEVICE, self.dev, reg_state=state)
        layouts = SimpleNamespace(
            prog=self.toy.prog,
            net_device=SimpleNamespace(
                read=lambda at: SimpleNamespace(reg_state=state)
            ),
            dev=lambda at: Object(self.toy.prog, f"{DEVICE} *", at),
        )
        one = device(HOST, 7, "d", net_device=self.dev, refcount=refs)
        other = device(HOST, 8, "e", net_device=NOWHERE)
        made: list[Device] = add_ref_tasks(layouts, [one, other])  # type: ignore[arg-type]
        assert made[1] == other
        found = made[0].ref_tasks
        if found is None or isinstance(found, Unreadable):
            return found
        return [task.pid for task in found]


@pytest.fixture
def waiting(toy: Toy) -> Waiting:
    return Waiting(toy)


def test_a_task_that_works_with_it(waiting: Waiting) -> None:
    assert waiting.held_by() == []
    waiting.toy.put(waiting.stacks[1] + 80, "Q", waiting.dev)
    assert waiting.held_by() == [10]


def test_not_the_one_that_waits_for_it(waiting: Waiting) -> None:
    """The list of the devices that it unregisters begins on its stack."""
    offset = offsetof(waiting.toy.prog.type(DEVICE), "todo_list")
    head, node = waiting.stacks[1] + 160, waiting.dev + offset
    for stack in waiting.stacks[1:]:
        waiting.toy.put(stack + 80, "Q", waiting.dev)
    assert waiting.held_by() == [10, 11]
    for one, two in ((head, node), (node, head)):
        waiting.toy.set("struct list_head", one, next=two, prev=two)
    assert waiting.held_by() == [11]


def test_not_one_that_is_in_netdev_run_todo(waiting: Waiting) -> None:
    """Before v5.18, it takes the device off the list before it waits."""
    waiting.toy.put(waiting.stacks[1] + 80, "Q", waiting.dev)
    start, end = 0xFFFFFFFF81A00000, 0x300
    symbol = Symbol(
        *("netdev_run_todo", start, end, SymbolBinding.GLOBAL, SymbolKind.FUNC)
    )
    finder = SymbolIndex([symbol])
    waiting.toy.prog.register_symbol_finder("toy", finder, enable_index=0)
    assert waiting.held_by() == [10]
    waiting.toy.put(waiting.stacks[1] + 160, "Q", start + 16)
    assert waiting.held_by() == []


def test_before_v513_nobody_is_no_reference(toy: Toy) -> None:
    waiting = Waiting(toy, "pcpu_refcnt")
    assert waiting.held_by(refs=0) is None
    assert waiting.held_by(refs=1) == []


@pytest.mark.parametrize("refs", [BAD, None, 0, 1])
def test_a_device_that_nobody_holds(waiting: Waiting, refs: Any) -> None:
    """Or of which that cannot be told."""
    waiting.toy.put(waiting.stacks[1] + 80, "Q", waiting.dev)
    assert waiting.held_by(refs=refs) is None
    assert waiting.held_by(state=REGISTERED) is None


def test_stack_that_cannot_be_read(waiting: Waiting) -> None:
    """It is not said that nobody holds it; what is found, is."""
    waiting.tasks.point(waiting.tasks.all[2], stack=NOWHERE, thread__sp=0)
    found = waiting.held_by()
    assert isinstance(found, Unreadable) and "a kernel stack: " in found.reason
    waiting.toy.put(waiting.stacks[1] + 80, "Q", waiting.dev)
    assert waiting.held_by() == [10]
