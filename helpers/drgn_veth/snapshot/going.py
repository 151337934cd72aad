# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Namespaces and devices that are on no list
------------------------------------------

cleanup_net() and unregister_netdevice_many() take what they work at off the lists
first. Where the kernel says that nobody does either, this takes a few reads.
"""

from collections.abc import Collection, Iterator
from typing import Callable, Optional

from drgn import Object, Program

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import Task
from ..readers.cleanup_net import (
    cleanup_net_is_idle,
    cleanup_net_worker,
    for_each_net_beside,
    for_each_net_in_cleanup,
)
from ..readers.netns import net_is_dying
from ..readers.rtnl import rtnl_owner
from ..readers.unregister import (
    NETREG_UNREGISTERED,
    NETREG_UNREGISTERING,
    dev_unreg_count,
    for_each_netdev_chained,
    for_each_netdev_on_stack,
    for_each_netdev_pointer_on_stack,
    for_each_netdev_todo,
    for_each_waiting_task,
)
from .task_record import task_record

__all__ = ("Going",)

_Walk = Callable[..., Iterator[Object]]

_NETS = "namespaces that are on no list"
_DEVICES = "devices that are on no list"


class Going:
    """Finds what is torn down."""

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        #: Walks that could not be finished, and why.
        self.incomplete: list[tuple[str, str]] = []
        #: The task that runs cleanup_net(), None if none does.
        self.worker: Maybe[Optional[Object]] = None

    def worker_record(self) -> Maybe[Optional[Task]]:
        """Return the record of the task that runs cleanup_net()."""
        worker = self.worker
        if worker is None or isinstance(worker, Unreadable):
            return worker
        return task_record(worker)

    def _lost(self, what: str, why: str) -> None:
        # One line says enough.
        if all(what != told for told, _ in self.incomplete):
            self.incomplete.append((what, why))

    def nets(self, listed: Collection[int]) -> Iterator[Object]:
        """
        Iterate over the network namespaces that are on no list, and those on the list
        that wait for cleanup_net().

        :param listed: Addresses of those that are on the list
        :return: Iterator of ``struct net *``, each once
        """
        prog = self._prog
        if attempt(cleanup_net_is_idle, prog) is True:
            return
        salvage = Salvage()
        seen: set[int] = set()
        pointer = prog.type("struct net *")

        def each(walk: _Walk, *args: object) -> Iterator[Object]:
            for net in salvage.walk(salvage.read(walk, *args) or ()):
                if net.value_() not in seen:
                    seen.add(net.value_())
                    yield net

        # cleanup_net() has not begun with these.
        for at in tuple(listed):
            net = Object(prog, pointer, at)
            if attempt(net_is_dying, net) is True:
                seen.add(at)
                yield net
        worker = attempt(cleanup_net_worker, prog)
        if isinstance(worker, Unreadable):
            self.worker = worker
            salvage.lose(worker.reason)
        elif worker:
            self.worker = worker
            yield from each(for_each_net_in_cleanup, worker)
        yield from each(for_each_net_beside, prog, listed)
        if salvage.lost is not None:
            self._lost(_NETS, f"some might not be seen: {salvage.lost}")

    def devices(
        self, nets: Collection[int], dying: Collection[int]
    ) -> Iterator[Object]:
        """
        Iterate over the devices that are on no list of their namespace because a task
        unregisters them.

        :param nets: Addresses of all ``struct net``
        :param dying: Those of which are on no list
        :return: Iterator of ``struct net_device *``, each once
        """
        prog = self._prog
        count = attempt(dev_unreg_count, prog, nets)
        owner = attempt(rtnl_owner, prog)
        salvage = Salvage()
        seen: set[int] = set()

        def each(walk: _Walk, *args: object) -> Iterator[Object]:
            for dev in salvage.walk(salvage.read(walk, *args) or ()):
                if dev.value_() not in seen:
                    seen.add(dev.value_())
                    yield dev

        tasks: dict[int, Object] = {}
        for task in (owner, self.worker):
            if task is not None and not isinstance(task, Unreadable) and task:
                tasks[task.value_()] = task
        if isinstance(count, Unreadable):
            salvage.lose(count.reason)
        elif count:
            yield from each(for_each_netdev_todo, prog, nets)
            waiting = salvage.read(for_each_waiting_task, prog)
            for task in salvage.walk(waiting or ()):
                tasks[task.value_()] = task
        for task in tasks.values():
            yield from each(for_each_netdev_on_stack, task, nets)
        if isinstance(count, int) and self._unregistered(seen) < count:
            for task in tasks.values():
                yield from each(for_each_netdev_pointer_on_stack, task, nets)
        for net in dying:
            lo = attempt(lambda: Object(prog, "struct net *", net).loopback_dev.read_())  # noqa: B023
            if not isinstance(lo, Unreadable) and lo:
                yield from each(iter, (lo,))
                yield from each(for_each_netdev_chained, lo, nets)
        if salvage.lost is not None:
            self._lost(_DEVICES, f"some might not be seen: {salvage.lost}")
        elif isinstance(count, int):
            number = self._unregistered(seen)
            if number < count:
                self._lost(
                    _DEVICES,
                    f"netdev_run_todo() has {count}, and only {number} were found",
                )

    def _unregistered(self, devices: Collection[int]) -> int:
        # How many of these net_set_todo() has counted.
        def is_counted(address: int) -> bool:
            dev = Object(self._prog, "struct net_device *", address)
            state = dev.reg_state.value_()
            # Nothing but list_add_tail() writes to todo_list.
            return state == NETREG_UNREGISTERED or (
                state == NETREG_UNREGISTERING and bool(dev.todo_list.next)
            )

        return sum(attempt(is_counted, at) is True for at in devices)
