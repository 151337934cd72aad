# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Network namespaces that are torn down
-------------------------------------

cleanup_net() takes a namespace off ``net_namespace_list`` before it does anything else
(net/core/net_namespace.c). After that, only its own list leads to the namespace, whose
head is on the stack of the worker.

The trees of namespaces that v6.18 brought (kernel/nstree.c) do not lead to it either:
cleanup_net() takes it off these one line before. So they are not walked here.

Upstream: all but the bounded walks, and what looks beside known namespaces.
"""

from collections.abc import Collection, Iterator
from typing import Optional

from drgn import NULL, Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import WalkError, attempt
from ..core.salvage import Salvage
from ..core.unreadable import Unreadable
from .bounded import bounded_nodes
from .kernel_stack import for_each_list_head_on_stack
from .task import for_each_thread

__all__ = (
    "cleanup_net_is_idle",
    "cleanup_net_worker",
    "for_each_net_beside",
    "for_each_net_in_cleanup",
    "is_struct_net",
)

_PF_WQ_WORKER = 0x00000020
_WORK_STRUCT_PENDING = 1
# Bytes. slub_max_order defaults to 3: 8 pages of up to 64 KiB each, and some room.
_MAX_SLAB = 1 << 20
_OO_SHIFT = 16


@takes_program_or_default
def cleanup_net_is_idle(prog: Program) -> Optional[bool]:
    """
    Return whether cleanup_net() has certainly nothing to do: it holds
    ``pernet_ops_rwsem`` while it works, and ``net_cleanup_work`` is pending if there is
    work for it.

    :return: None if this kernel cannot tell: with CONFIG_PREEMPT_RT, or before v4.17
    :raises FaultError: if these cannot be read
    """
    try:
        count = prog["pernet_ops_rwsem"].count.counter.value_()
        data = prog["net_cleanup_work"].data.counter.value_()
    except (AttributeError, LookupError):
        return None
    return not count and not data & _WORK_STRUCT_PENDING


def is_struct_net(prog: Program, address: int) -> bool:
    """
    Return whether something in memory is a network namespace with a loopback device.

    Memory of a namespace that was freed has none: lo is the last of its devices.

    :param address: Where a ``struct net`` may be
    :raises FaultError: if it cannot be read
    """
    net = Object(prog, prog.type("struct net *"), address)
    if net.ns.ops.value_() != prog["init_net"].ns.ops.value_() or not net.ns.inum:
        return False
    head = net.dev_base_head.address_of_()
    if head.next.prev.value_() != head.value_():
        return False
    lo = net.loopback_dev.read_()
    return bool(lo) and lo.nd_net.net.value_() == address


@takes_program_or_default
def cleanup_net_worker(prog: Program) -> Object:
    """
    Return the worker that runs cleanup_net() (``worker->current_work`` is
    ``net_cleanup_work``).

    :return: ``struct task_struct *``, ``NULL`` if there is none
    :raises LookupError: if the kernel has no such types or variables
    :raises WalkError: if there is none among the tasks that could be reached
    """
    work = prog["net_cleanup_work"].address_of_().value_()
    pointer = prog.type("struct task_struct *")
    flags = offsetof(pointer.type, "flags")
    # Since Linux kernel commit e32cf5dfbe22 ("kthread: Generalize pf_io_worker so it
    # can point to struct kthread") (in v5.17).
    try:
        kthread = offsetof(pointer.type, "worker_private")
    except LookupError:
        kthread = offsetof(pointer.type, "set_child_tid")
    data = offsetof(prog.type("struct kthread"), "data")
    current_work = offsetof(prog.type("struct worker"), "current_work")

    def works_at(task: int) -> int:
        if not prog.read_u32(task + flags) & _PF_WQ_WORKER:
            return 0
        worker = prog.read_word(prog.read_word(task + kthread) + data)
        return prog.read_word(worker + current_work) if worker else 0

    salvage = Salvage()
    for task in salvage.walk(for_each_thread(prog)):
        if salvage.read(works_at, task) == work:
            return Object(prog, pointer, task)
    salvage.finish()
    return NULL(prog, pointer)


def for_each_net_in_cleanup(worker: Object) -> Iterator[Object]:
    """
    Iterate over the network namespaces that cleanup_net() tears down
    (``net->exit_list``, whose head is on its stack).

    :param worker: ``struct task_struct *``: see :func:`cleanup_net_worker()`
    :return: Iterator of ``struct net *``
    :raises FaultError: if the stack cannot be read
    :raises WalkError: after all that could be reached
    """
    prog = worker.prog_
    pointer = prog.type("struct net *")
    offset = offsetof(pointer.type, "exit_list")
    salvage = Salvage("a namespace in cleanup_net(): ")
    for head in for_each_list_head_on_stack(worker):
        first = prog.read_word(head) - offset
        if attempt(is_struct_net, prog, first) is not True:
            continue
        walk = bounded_nodes(prog, head, lambda node: node - offset)
        for address in salvage.walk(walk):
            if salvage.read(is_struct_net, prog, address):
                yield Object(prog, pointer, address)
    salvage.finish()


def for_each_net_beside(prog: Program, known: Collection[int]) -> Iterator[Object]:
    """
    Iterate over the network namespaces that share a slab with known ones, and are none
    of these. The slab is found from the address of a known one: this needs no ``struct
    page``.

    :param known: Addresses of ``struct net``
    :return: Iterator of ``struct net *``
    :raises LookupError: if the kernel has no such variable or types
    :raises WalkError: after all that could be reached
    """
    pointer = prog.type("struct net *")
    cache = prog["net_cachep"]
    size = cache.size.value_()
    # A slab is aligned to its own size.
    slab = prog["PAGE_SIZE"].value_() << (cache.oo.x.value_() >> _OO_SHIFT)
    if not sizeof(pointer.type) <= size <= slab <= _MAX_SLAB:
        raise WalkError(f"slabs of {slab} bytes with objects of {size}")
    init = prog["init_net"].address_of_().value_()
    ns_ops = offsetof(pointer.type, "ns.ops")
    salvage = Salvage("slabs of net_namespace: ")
    known = set(known)
    for base in sorted({net & -slab for net in known if net != init}):
        first = min(net for net in known if net & -slab == base)
        for address in range(
            base + (first - base) % size, base + slab - size + 1, size
        ):
            if address in known:
                continue
            ops = attempt(prog.read_word, address + ns_ops)
            if isinstance(ops, Unreadable):
                salvage.lose(ops.reason)
            # Free memory may hold anything.
            elif attempt(is_struct_net, prog, address) is True:
                yield Object(prog, pointer, address)
    salvage.finish()
