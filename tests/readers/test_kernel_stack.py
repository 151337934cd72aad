# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists whose heads are on a kernel stack."""

from drgn import FaultError, Object
from drgn_veth.core.errors import WalkError
from drgn_veth.core.names import leave_names_out
from drgn_veth.readers.kernel_stack import for_each_list_head_on_stack, stack_words
import pytest

from tests.support.toy import NOWHERE, Toy

SIZE = 1 << 14


class Stack:
    """A task with a stack."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        thread = toy.struct("thread_struct", sp="unsigned long")
        toy.struct("task_struct", stack="void *", on_cpu="int", thread=thread)
        self.task = toy.variable("task", "struct task_struct")
        self.base = toy.place("struct list_head", SIZE // 16)
        toy.set("struct task_struct", self.task, stack=self.base)
        toy.constant("PAGE_SIZE", 1 << 12)

    def set(self, **values: int) -> None:
        self.toy.set("struct task_struct", self.task, **values)

    def link(self, head: int, *nodes: int) -> None:
        ring = (head, *nodes)
        for i, one in enumerate(ring):
            before, after = ring[i - 1], ring[(i + 1) % len(ring)]
            self.toy.set("struct list_head", one, next=after, prev=before)

    def heads(self) -> list[int]:
        task = Object(self.toy.prog, "struct task_struct *", self.task)
        return list(for_each_list_head_on_stack(task))


@pytest.fixture
def stack(toy: Toy) -> Stack:
    return Stack(toy)


def test_heads(stack: Stack) -> None:
    nodes = [stack.toy.place("struct list_head") for _ in range(3)]
    one, three, empty = (stack.base + at for at in (SIZE - 16, 8, 800))
    stack.link(one, nodes[0])
    stack.link(three, *nodes[1:])
    stack.link(empty)
    assert stack.heads() == [three, one]


def test_what_does_not_point_back(stack: Stack) -> None:
    node = stack.toy.place("struct list_head")
    head = stack.base + 160
    stack.link(head, node)
    for damage in ({"next": node}, {"prev": node}, {"prev": NOWHERE}, {"next": 0}):
        stack.link(head, node)
        stack.toy.set("struct list_head", node, **damage)
        assert stack.heads() == []
    for damage in ({"next": NOWHERE}, {"next": 1}, {"prev": node + 1}):
        stack.link(head, node)
        stack.toy.set("struct list_head", head, **damage)
        assert stack.heads() == []


def test_a_task_that_sleeps(stack: Stack) -> None:
    """What is below its stack pointer is left over from earlier calls."""
    nodes = [stack.toy.place("struct list_head") for _ in range(2)]
    above, below = stack.base + 320, stack.base + 304
    stack.link(above, nodes[0])
    stack.link(below, nodes[1])
    assert stack.heads() == [below, above]
    stack.set(thread__sp=above)
    assert stack.heads() == [above]
    stack.set(on_cpu=1)
    assert stack.heads() == [below, above]
    stack.set(on_cpu=0, thread__sp=1 << 40)
    with pytest.raises(ValueError, match="a stack pointer is"):
        stack.heads()


def test_stack_pointer_within_what_a_stack_may_have(stack: Stack) -> None:
    task = Object(stack.toy.prog, "struct task_struct *", stack.task)
    stack.set(thread__sp=stack.base)
    assert stack_words(task)[0] == stack.base
    most = 1 << 18
    stack.set(stack=NOWHERE - 8, thread__sp=NOWHERE - 8 + most - 8)
    with pytest.raises(FaultError):
        stack_words(task)
    for wrong in (NOWHERE - 8 + most, NOWHERE - 16):
        stack.set(thread__sp=wrong)
        with pytest.raises(ValueError, match="a stack pointer is"):
            stack_words(task)


def test_machine_that_keeps_its_stack_pointer_elsewhere(toy: Toy) -> None:
    """All of the stack may be in use."""
    thread = toy.struct("thread_struct", flags="unsigned long")
    toy.struct("task_struct", stack="void *", thread=thread)
    task = Object(toy.prog, "struct task_struct *", toy.place("struct task_struct"))
    base = toy.place("struct list_head", SIZE // 16)
    toy.set("struct task_struct", task.value_(), stack=base)
    toy.constant("PAGE_SIZE", 1 << 12)
    first, words = stack_words(task)
    assert (first, len(words)) == (base, SIZE // 8)


def test_larger_stacks(toy: Toy) -> None:
    """Never less than a page; the stack pointer shows that of a kernel with KASAN."""
    stack = Stack(toy)
    toy.place("struct list_head", SIZE // 16)  # The other half.
    task = Object(toy.prog, "struct task_struct *", stack.task)
    last = stack.base + 2 * SIZE - 64
    stack.set(thread__sp=last)
    first, words = stack_words(task)
    assert (first, len(words)) == (last, 8)
    stack.set(on_cpu=1)
    assert len(stack_words(task)[1]) == SIZE // 8
    toy.constant("PAGE_SIZE", 2 * SIZE)
    assert len(stack_words(task)[1]) == 2 * SIZE // 8


SYMBOLS = [("__start_init_stack", "__end_init_stack")]
SYMBOLS += [("__start_init_task", "__end_init_task")]


@pytest.mark.parametrize("names", SYMBOLS)
@pytest.mark.parametrize("size", [1 << 12, SIZE, 2 * SIZE])
def test_size_that_symbols_tell(toy: Toy, names: tuple[str, str], size: int) -> None:
    stack = Stack(toy)
    toy.place("struct list_head", SIZE // 16)  # The other half.
    toy.constant("PAGE_SIZE", 4 * SIZE)
    toy.symbols(**dict(zip(names, (0x1000, 0x1000 + size))))
    task = Object(toy.prog, "struct task_struct *", stack.task)
    first, words = stack_words(task)
    assert (first, len(words)) == (stack.base, size // 8)
    stack.set(thread__sp=stack.base + size - 8)
    assert len(stack_words(task)[1]) == 1
    stack.set(thread__sp=stack.base + size)
    with pytest.raises(ValueError, match="a stack pointer is"):
        stack_words(task)


@pytest.mark.parametrize("size", [-SIZE, 0, 1 << 11, 1 << 19])
def test_size_that_no_stack_has(toy: Toy, size: int) -> None:
    stack = Stack(toy)
    toy.symbols(__start_init_stack=1 << 20, __end_init_stack=(1 << 20) + size)
    task = Object(toy.prog, "struct task_struct *", stack.task)
    assert len(stack_words(task)[1]) == SIZE // 8


@pytest.mark.parametrize("low", [1, 4, 7])
@pytest.mark.parametrize("sleeps", [True, False])
def test_stack_that_cannot_be(stack: Stack, low: int, sleeps: bool) -> None:
    task = Object(stack.toy.prog, "struct task_struct *", stack.task)
    stack.set(stack=stack.base + low, thread__sp=stack.base + 64 if sleeps else 0)
    with pytest.raises(ValueError, match=f"^no stack is at {stack.base + low:#x}$"):
        stack_words(task)


def test_names_are_left_out(stack: Stack) -> None:
    """Arguments of system calls are on a stack: addresses, host names."""
    leave_names_out(stack.toy.prog)
    with pytest.raises(WalkError, match="left out"):
        stack.heads()


def test_a_stack_that_is_not_there(stack: Stack) -> None:
    stack.set(stack=NOWHERE)
    task = Object(stack.toy.prog, "struct task_struct *", stack.task)
    with pytest.raises(FaultError):
        stack_words(task)
