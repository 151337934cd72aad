# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who may hold a device that cannot go
------------------------------------

netdev_run_todo() waits until nobody refers to a device any longer ("waiting for lo to
become free"). A task that is in the middle of something with the device has its address
on its kernel stack.
"""

from collections.abc import Sequence

from drgn import Object

from ..core.errors import attempt
from ..core.salvage import Salvage
from ..core.unreadable import Maybe, Unreadable
from ..model import Device, Task
from ..readers.netns import dev_net
from ..readers.unregister import (
    NETREG_UNREGISTERED,
    for_each_netdev_on_stack,
    for_each_task_with_address,
    is_in_netdev_run_todo,
    netdev_initial_refcnt,
)
from .layouts import Layouts
from .ref_trackers import ref_trackers
from .task_record import task_record

__all__ = ("add_ref_tasks",)

_MAX_DEVICES = 64
_MAX_GONE = 1 << 16
_MAX_TASKS = 10


def _waited_for(layouts: Layouts, devices: Sequence[Device]) -> dict[int, int]:
    # Devices that netdev_run_todo() waits for, and the namespace of each.
    gone = [device for device in devices if isinstance(device.refcount, int)]
    if not gone:
        return {}
    least = attempt(lambda: netdev_initial_refcnt(layouts.prog))
    if isinstance(least, Unreadable):
        return {}
    stuck: dict[int, int] = {}
    for device in gone[:_MAX_GONE]:
        raw = layouts.net_device.read(device.net_device)
        if raw.reg_state != NETREG_UNREGISTERED:
            continue
        refs = device.refcount
        if isinstance(refs, int) and refs > (least or 0) and len(stuck) < _MAX_DEVICES:
            stuck[device.net_device] = dev_net(layouts.dev(device.net_device)).value_()
    return stuck


def _waits(task: Object, address: int, net: int) -> bool:
    # Whether a task is the one that waits for a device.
    if attempt(is_in_netdev_run_todo, task) is True:
        return True
    chained = attempt(
        lambda: {dev.value_() for dev in for_each_netdev_on_stack(task, {net})}
    )
    return not isinstance(chained, Unreadable) and address in chained


def add_ref_tasks(layouts: Layouts, devices: Sequence[Device]) -> list[Device]:
    """
    Return devices, with the tasks that may hold those whose references
    netdev_run_todo() waits for, and with who took these.
    """
    prog = layouts.prog
    stuck = _waited_for(layouts, devices)
    if not stuck:
        return list(devices)
    salvage = Salvage()
    found: dict[int, list[Task]] = {address: [] for address in stuck}
    for task, address in salvage.walk(for_each_task_with_address(prog, set(stuck))):
        # Not the one that waits for it.
        if not _waits(task, address, stuck[address]):
            found[address].append(task_record(task))

    def tasks(address: int) -> Maybe[tuple[Task, ...]]:
        if salvage.lost is not None and not found[address]:
            return Unreadable(salvage.lost)
        return tuple(found[address][:_MAX_TASKS])

    return [
        device._replace(
            ref_tasks=tasks(device.net_device),
            ref_trackers=ref_trackers(prog, device.net_device),
        )
        if device.net_device in stuck
        else device
        for device in devices
    ]
