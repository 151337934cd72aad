# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Devices that are unregistered
-----------------------------

unregister_netdevice_many() takes devices off the list of their namespace first, and
netdev_run_todo() waits until nobody refers to them any longer (net/core/dev.c).
Meanwhile only lists lead to them whose heads are on the stack of the task that does it.

Upstream: netdev_refcnt_read().
"""

from collections.abc import Collection, Iterator
from typing import Optional

from drgn import Architecture, Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default
from drgn.helpers.linux.percpu import per_cpu_ptr

from ..core.errors import attempt
from ..core.salvage import Salvage
from .bounded import bounded_nodes
from .cpumask import possible_cpus
from .kernel_stack import for_each_list_head_on_stack, stack_words
from .netdev_names import dev_valid_name
from .netns import dev_net
from .task import for_each_thread

__all__ = (
    "NETREG_REGISTERED",
    "NETREG_UNREGISTERED",
    "NETREG_UNREGISTERING",
    "dev_unreg_count",
    "for_each_netdev_chained",
    "for_each_netdev_on_stack",
    "for_each_netdev_pointer_on_stack",
    "for_each_netdev_todo",
    "for_each_task_with_address",
    "for_each_waiting_task",
    "is_in_netdev_run_todo",
    "netdev_initial_refcnt",
    "netdev_refcnt_read",
)

#: ``enum netreg_state``; its constants have no name in older kernels' types.
NETREG_REGISTERED = 1
NETREG_UNREGISTERING = 2
NETREG_UNREGISTERED = 3

# Lists that a device is on while it goes.
_CHAINS = ("unreg_list", "close_list", "todo_list")

_TASK_UNINTERRUPTIBLE = 0x0002
_TASK_NOLOAD = 0x0400
_MAX_STACKS = 1 << 12
_NETDEV_ALIGN = 32
_WORD = (1 << 64) - 1
_RUN_TODO_SIZE = 0x400  # less than it has anywhere, where symbols have no size


def netdev_refcnt_read(dev: Object) -> int:
    """
    Return how many references to a device there are, as netdev_refcnt_read() does: the
    "Usage count" of "waiting for lo to become free".

    :param dev: ``struct net_device *``
    :return: ``int``
    """
    # Since Linux kernel commit 919067cc845f ("net: add CONFIG_PCPU_DEV_REFCNT") (in
    # v5.13).
    try:
        counts = dev.pcpu_refcnt.read_()
    except AttributeError:
        return dev.dev_refcnt.refs.counter.value_()
    return sum(per_cpu_ptr(counts, cpu)[0].value_() for cpu in possible_cpus(dev.prog_))


@takes_program_or_default
def netdev_initial_refcnt(prog: Program) -> Optional[int]:
    """
    Return the reference count of a device that nobody refers to.

    :return: None if that cannot be told: it is 1 since v5.13, and was 0 before
    """
    # Since Linux kernel commit 4d92b95ff2f9 ("net: add net device refcount tracker
    # infrastructure") (in v5.17). It is there with any configuration. xps_maps is of
    # v5.13, too: commit 044ab86d431b ("net: move the xps maps to an array").
    type = prog.type("struct net_device")
    for name in ("dev_refcnt", "refcnt_tracker", "dev_registered_tracker", "xps_maps"):
        if type.has_member(name):
            return 1
    return None


def _is_going(prog: Program, nets: Collection[int], address: int) -> bool:
    # Whether something in memory is a device of one of some namespaces that goes.
    dev = Object(prog, prog.type("struct net_device *"), address)
    if dev_net(dev).value_() not in nets:
        return False
    name = dev.name.string_()
    return dev_valid_name(name) and (
        NETREG_REGISTERED <= dev.reg_state.value_() <= NETREG_UNREGISTERED
    )


def _chained(
    prog: Program, head: int, member: str, nets: Collection[int]
) -> Iterator[Object]:
    pointer = prog.type("struct net_device *")
    offset = offsetof(pointer.type, member)
    salvage = Salvage(f"{member}: ")
    walk = bounded_nodes(prog, head, lambda node: node - offset)
    for address in salvage.walk(walk):
        # In a ring that is entered at a device, the head of the list is an entry; and
        # those that have been freed stay on unreg_list.
        if attempt(_is_going, prog, nets, address) is True:
            yield Object(prog, pointer, address)
    salvage.finish()


def for_each_netdev_chained(dev: Object, nets: Collection[int]) -> Iterator[Object]:
    """
    Iterate over the devices that are unregistered together with a device
    (``dev->unreg_list``, ``close_list`` and ``todo_list``).

    :param dev: ``struct net_device *``
    :param nets: Addresses of the ``struct net`` that they may be in
    :return: Iterator of ``struct net_device *``; some may come several times
    :raises WalkError: after all that could be reached
    """
    prog = dev.prog_
    word = sizeof(prog.type("void *"))
    salvage = Salvage()
    for member in _CHAINS:
        head = dev.member_(member).address_of_().value_()
        following = salvage.read(prog.read_word, head)
        before = salvage.read(prog.read_word, head + word)
        # Off the list it points to itself, or to LIST_POISON1. One neighbour is enough:
        # the other may be the head, on a stack that is not there.
        if following is None or before is None or following == head:
            continue
        around = (
            attempt(prog.read_word, following + word),
            attempt(prog.read_word, before),
        )
        if head not in around:
            continue
        yield from salvage.walk(_chained(prog, head, member, nets))
    salvage.finish()


@takes_program_or_default
def for_each_netdev_todo(prog: Program, nets: Collection[int]) -> Iterator[Object]:
    """
    Iterate over the devices that netdev_run_todo() has not begun with
    (``net_todo_list``).

    :param nets: Addresses of the ``struct net`` that they may be in
    :return: Iterator of ``struct net_device *``
    :raises WalkError: after all that could be reached
    """
    head = prog["net_todo_list"].address_of_().value_()
    return _chained(prog, head, "todo_list", nets)


def for_each_netdev_on_stack(task: Object, nets: Collection[int]) -> Iterator[Object]:
    """
    Iterate over the devices that a task unregisters: those on lists whose heads are on
    its stack.

    :param task: ``struct task_struct *``
    :param nets: Addresses of the ``struct net`` that they may be in
    :return: Iterator of ``struct net_device *``; some may come several times
    :raises FaultError: if the stack cannot be read
    :raises WalkError: after all that could be reached
    """
    prog = task.prog_
    type = prog.type("struct net_device")
    offsets = {member: offsetof(type, member) for member in _CHAINS}
    salvage = Salvage()
    for head in for_each_list_head_on_stack(task):
        first = prog.read_word(head)
        for member, offset in offsets.items():
            if attempt(_is_going, prog, nets, first - offset) is True:
                yield from salvage.walk(_chained(prog, head, member, nets))
    salvage.finish()


def for_each_netdev_pointer_on_stack(
    task: Object, nets: Collection[int]
) -> Iterator[Object]:
    """
    Iterate over the devices that are unregistered and that words on the stack of a task
    point to. Before v5.18, netdev_run_todo() takes a device off all lists before it
    waits for it.

    :param task: ``struct task_struct *``
    :param nets: Addresses of the ``struct net`` that they may be in
    :return: Iterator of ``struct net_device *``
    :raises FaultError: if the stack cannot be read
    """
    prog = task.prog_
    pointer = prog.type("struct net_device *")
    for word in sorted(set(stack_words(task)[1])):
        if word and not word % _NETDEV_ALIGN:
            if attempt(_is_going, prog, nets, word) is True:
                yield Object(prog, pointer, word)


def is_in_netdev_run_todo(task: Object) -> bool:
    """
    Return whether a task is in netdev_run_todo(), which waits for references to
    devices: whether its stack has an address in there.

    :param task: ``struct task_struct *``
    :raises LookupError: if the kernel's symbols do not have the function
    :raises FaultError: if the stack cannot be read
    """
    function = task.prog_.symbol("netdev_run_todo")
    end = function.address + (function.size or _RUN_TODO_SIZE)
    signed = 0
    platform = task.prog_.platform
    if platform is not None and platform.arch == Architecture.AARCH64:
        # Pointer authentication signs return addresses in bits that are 1 without it.
        signed = -1 << _leading_ones(function.address) & _WORD
    words = stack_words(task)[1]
    return any(function.address < word | signed < end for word in words)


def _leading_ones(address: int) -> int:
    # Return the position of the lowest of them.
    return (~address & _WORD).bit_length()


@takes_program_or_default
def dev_unreg_count(prog: Program, nets: Collection[int]) -> int:
    """
    Return how many devices netdev_run_todo() has to do with.

    :param nets: Addresses of all ``struct net``
    :return: ``unsigned int``
    """
    # Since Linux kernel commit ffabe98cb576 ("net: make dev_unreg_count global") (in
    # v6.9). Before, each namespace has one.
    try:
        return prog["dev_unreg_count"].counter.value_()
    except LookupError:
        pass
    pointer = prog.type("struct net *")
    offset = offsetof(pointer.type, "dev_unreg_count")
    return sum(prog.read_u32(net + offset) for net in nets)


@takes_program_or_default
def for_each_waiting_task(prog: Program) -> Iterator[Object]:
    """
    Iterate over the tasks that run, or wait for something that no signal ends.

    :return: Iterator of ``struct task_struct *``
    :raises WalkError: after all that could be reached
    """
    pointer = prog.type("struct task_struct *")
    type = pointer.type
    # Since Linux kernel commit 2f064a59a11f ("sched: Change task_struct::state") (in
    # v5.14).
    state = type.member("__state" if type.has_member("__state") else "state")
    # Before, it was a long.
    read = prog.read_u64 if sizeof(state.type) == 8 else prog.read_u32
    # Without CONFIG_SMP nothing says which task runs: the rtnl owner may be it.
    on_cpu = type.member("on_cpu") if type.has_member("on_cpu") else None

    def waits(task: int) -> bool:
        bits = read(task + state.offset)
        if bits & _TASK_UNINTERRUPTIBLE:
            return not bits & _TASK_NOLOAD
        return on_cpu is not None and any(
            prog.read(task + on_cpu.offset, sizeof(on_cpu.type))
        )

    salvage = Salvage()
    count = 0
    for task in salvage.walk(for_each_thread(prog)):
        if salvage.read(waits, task):
            count += 1
            if count > _MAX_STACKS:
                salvage.lose(f"more than {_MAX_STACKS} tasks wait")
                break
            yield Object(prog, pointer, task)
    salvage.finish()


@takes_program_or_default
def for_each_task_with_address(
    prog: Program, addresses: Collection[int]
) -> Iterator[tuple[Object, int]]:
    """
    Iterate over the tasks that have an address on their kernel stack: they may be
    working with what is there.

    :param addresses: Which
    :return: Iterator of ``struct task_struct *``, and which of them
    :raises WalkError: after all that could be reached
    """
    pointer = prog.type("struct task_struct *")
    salvage = Salvage("a kernel stack: ")
    for count, address in enumerate(salvage.walk(for_each_thread(prog))):
        if count >= _MAX_STACKS:
            salvage.lose(f"there are more than {_MAX_STACKS} tasks")
            break
        task = Object(prog, pointer, address)
        stack = salvage.read(stack_words, task)
        if stack is not None:
            for found in set(stack[1]).intersection(addresses):
                yield task, found
    salvage.finish()
