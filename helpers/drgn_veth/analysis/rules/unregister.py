# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about devices that cannot go."""

from collections.abc import Iterator
from typing import Optional

from ...core import messages
from ...core.unreadable import Unreadable
from ...model import Device, RefTracker, Task
from ..names import name_of
from ..need import need
from .context import Context, End
from .finding import WARNING, Symptom, Value
from .rule import Rule, Sign

__all__ = ("RULES",)


def _task(task: Task) -> str:
    name = "?" if isinstance(task.comm, Unreadable) else task.comm
    pid = "?" if isinstance(task.pid, Unreadable) else task.pid
    return f"{name} (pid {pid})"


def _tracker(tracker: RefTracker) -> str:
    functions = tracker.functions
    if isinstance(functions, Unreadable) or not functions:
        where = "?"
    else:
        where = ", called by ".join(f"{name}()" for name in functions)
    return f"{tracker.references} in {where}"


def _trackers(device: Device) -> Iterator[tuple[str, Value]]:
    # As evidence: most kernels do not know.
    trackers = device.ref_trackers
    if isinstance(trackers, Unreadable):
        yield "refcnt_tracker", trackers
    elif trackers is not None:
        yield "refcnt_tracker", tuple(map(_tracker, trackers))


def _gone(context: Context) -> list[End]:
    return [
        End(device, None)
        for device in context.snapshot.devices
        if device.ref_tasks is not None or isinstance(device.refcount, Unreadable)
    ]


def _stuck(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    refs = need(device.refcount, "its reference count")
    tasks = device.ref_tasks
    if refs is None or tasks is None:
        return None
    if isinstance(tasks, Unreadable):
        who = "what holds it could not be determined"
    elif tasks:
        who = f"its address is on the kernel stack of {', '.join(map(_task, tasks))}"
    else:
        who = "no task has its address on its kernel stack"
    if isinstance(device.ref_trackers, tuple):
        taken = "; ".join(map(_tracker, device.ref_trackers))
        who += f". Its references were taken: {taken}"
    return Symptom(
        "it is unregistered, and cannot be freed because of references to it "
        f'("waiting for {name_of(device)} to become free. Usage count = {refs}"): '
        f"{who}",
        (
            ("netdev_refcnt_read()", refs),
            (
                "tasks",
                tasks if isinstance(tasks, Unreadable) else tuple(map(_task, tasks)),
            ),
            *_trackers(device),
        ),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="device-stuck-unregistering",
        severity=WARNING,
        title="a deleted device waits for references to it",
        predicate=(
            "reg_state is NETREG_UNREGISTERED && the sum of pcpu_refcnt (dev_refcnt "
            "without CONFIG_PCPU_DEV_REFCNT) is more than 1 (0 before v5.13)"
        ),
        sees=(
            'The kernel says "unregister_netdevice: waiting for NAME to become free. '
            'Usage count = N" every ten seconds. `ip link del` does not return, and a '
            "network namespace that is being torn down stays, and so do all that come "
            "after it, because one worker tears them down one after the other."
        ),
        fix=(
            "This is normal for a moment. If it lasts, end the processes that the "
            "finding names: they are in the middle of an operation on the device. If "
            "none is named, a route, a neighbour, a packet in a queue or a module may "
            "hold it: only a kernel with CONFIG_NET_DEV_REFCNT_TRACKER knows which, "
            "and the finding then names the functions that took the references. A "
            "reference that is never dropped is a kernel bug."
        ),
        why=(
            "netdev_run_todo() (net/core/dev.c) frees a device only once its last "
            "reference is gone, and waits in netdev_wait_allrefs_any() "
            "(netdev_wait_allrefs() before v5.18). It rebroadcasts "
            "NETDEV_UNREGISTER until then; whoever still holds a reference keeps the "
            "device. A task that has the device's address on its kernel stack works "
            "with it; it need not be the one that holds it."
        ),
        symptoms=(
            Sign("log", messages.UNREGISTER),
            Sign("seen", "ip link del does not return"),
        ),
        subjects=_gone,
        check=_stuck,
    ),
)
