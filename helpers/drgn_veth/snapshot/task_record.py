# SPDX-License-Identifier: LGPL-2.1-or-later
"""The record of a task."""

from drgn import Object

from ..core.errors import attempt
from ..core.text import decode
from ..model import Task
from ..readers.task import check_pid, task_comm

__all__ = ("task_record",)


def task_record(task: Object) -> Task:
    """
    Return the record of a task.

    :param task: ``struct task_struct *``
    """
    return Task(
        attempt(lambda: check_pid(task.pid.value_())),
        attempt(decode, attempt(task_comm, task)),
    )
