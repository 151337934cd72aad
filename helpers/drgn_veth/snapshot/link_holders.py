# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tasks that hold BPF links
-------------------------

A link lives as long as a pin or an open descriptor holds it.
"""

from collections.abc import Collection
from typing import Optional

from drgn import Object, Program, offsetof

from ..model import Holder
from ..readers.files import bpf_link_file_operations, for_each_open_file
from .holders import MAX_HOLDERS
from .task_record import task_record

__all__ = ("open_bpf_links",)


def open_bpf_links(
    prog: Program, links: Collection[int]
) -> dict[int, tuple[Holder, ...]]:
    """
    Return the tasks that have some BPF links open, and by which descriptors; the first
    ten of each.

    :param links: Addresses of ``struct bpf_link``
    :raises LookupError: if the kernel has no such types or variables
    :raises WalkError: if not all could be reached
    """
    file_type = prog.type("struct file")
    op_at = offsetof(file_type, "f_op")
    private_at = offsetof(file_type, "private_data")
    operations = bpf_link_file_operations(prog)

    def link_of(file: int) -> Optional[int]:
        if prog.read_word(file + op_at) not in operations:
            return None
        link = prog.read_word(file + private_at)
        return link if link in links else None

    found: dict[int, list[Holder]] = {}
    for task, fd, link in for_each_open_file(prog, link_of):
        holders = found.setdefault(link, [])
        if len(holders) < MAX_HOLDERS:
            record = task_record(Object(prog, "struct task_struct *", task))
            holders.append(Holder("fd", record.pid, record.comm, fd))
    return {link: tuple(holders) for link, holders in found.items()}
