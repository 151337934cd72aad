# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Lists on kernel stacks
----------------------

A function that works at several objects chains them on a list whose head is a local
variable, and nothing else may lead to them. Such a head is recognized without symbols
of the function: what it points to points back to it.

Upstream: nothing.
"""

from collections.abc import Iterator
import struct
from typing import Optional

from drgn import Object, Program, sizeof

from ..core.byte_order import byteorder, struct_order
from ..core.errors import is_read_error
from ..core.names import check_names

__all__ = ("for_each_list_head_on_stack", "stack_words")

# THREAD_SIZE of most kernels. It is larger with KASAN.
_THREAD_SIZE = 1 << 14
_MOST = 1 << 18
# What is between them has THREAD_SIZE: INIT_TASK_DATA()
# (include/asm-generic/vmlinux.lds.h).
_BOUNDS = (
    ("__start_init_stack", "__end_init_stack"),
    # Up to v6.9.
    ("__start_init_task", "__end_init_task"),
)
_CACHE = "drgn_veth.thread_size"
_FIRST_PAGE = 1 << 12


def _thread_size(prog: Program) -> Optional[int]:
    # THREAD_SIZE, None if it is unknown.
    for start, end in _BOUNDS:
        try:
            size = prog.symbol(end).address - prog.symbol(start).address
        except LookupError:
            continue
        if _FIRST_PAGE <= size <= _MOST:
            return size
    return None


def _saved_stack_pointer(task: Object) -> int:
    # Of a task that sleeps; 0 if it runs, or on an architecture that keeps it
    # elsewhere.
    try:
        if task.on_cpu.value_():
            return 0
    except AttributeError:  # CONFIG_SMP=n
        pass
    for name in ("sp", "cpu_context", "ksp"):
        try:
            saved = task.thread.member_(name)
            return saved.sp.value_() if name == "cpu_context" else saved.value_()
        except (AttributeError, LookupError):
            continue
    return 0


def stack_words(task: Object) -> tuple[int, tuple[int, ...]]:
    """
    Return the kernel stack of a task in use: of one that sleeps, from its stack pointer
    on. If the kernel's symbols do not tell how large a stack is, it is taken for 16
    KiB or a page.

    :param task: ``struct task_struct *``
    :return: Address of the first word, and the words
    :raises FaultError: if it cannot be read
    :raises ValueError: if there can be no stack, or if its stack pointer is not in it
    :raises WalkError: if names are to be left out
    """
    prog = task.prog_
    check_names(prog)  # Arguments of system calls are there, too.
    base = task.stack.value_()
    word = sizeof(task.type_)
    if base % word:
        raise ValueError(f"no stack is at {base:#x}")
    if _CACHE not in prog.cache:
        prog.cache[_CACHE] = _thread_size(prog)
    known: Optional[int] = prog.cache[_CACHE]
    size = known or max(_THREAD_SIZE, prog["PAGE_SIZE"].value_())
    first = base
    saved = _saved_stack_pointer(task)
    if saved:
        while known is None and size <= saved - base < _MOST:
            size *= 2
        if not 0 <= saved - base < size:
            raise ValueError(f"a stack pointer is {saved:#x}, the stack at {base:#x}")
        first = saved & -word
    data = prog.read(first, base + size - first)
    code = struct_order(byteorder(prog)) + ("Q" if word == 8 else "I")
    return first, tuple(value for (value,) in struct.iter_unpack(code, data))


def for_each_list_head_on_stack(task: Object) -> Iterator[int]:
    """
    Iterate over the heads of ``struct list_head`` lists on the kernel stack of a task
    whose first and last entry point back to it. Empty lists are skipped.

    :param task: ``struct task_struct *``
    :return: Iterator of addresses
    :raises FaultError: if the stack cannot be read
    :raises ValueError: as :func:`stack_words()`
    :raises WalkError: as :func:`stack_words()`
    """
    prog = task.prog_
    word = sizeof(task.type_)
    first, words = stack_words(task)

    def points_back(entry: int, head: int) -> bool:
        try:
            return prog.read_word(entry) == head
        except Exception as e:
            if is_read_error(e):
                return False
            raise

    for i in range(len(words) - 1):
        head = first + i * word
        following, before = words[i], words[i + 1]
        if min(following, before) < _FIRST_PAGE or (following | before) % word:
            continue
        if head in (following, before):
            continue
        if points_back(following + word, head) and points_back(before, head):
            yield head
