# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tasks that hold BPF links
-------------------------

A link lives as long as a pin or an open descriptor holds it.
"""

from collections.abc import Collection

from ..model import Holder
from .open_files import OpenFiles, TaskFile

__all__ = ("open_bpf_links",)


def open_bpf_links(
    open_files: OpenFiles, links: Collection[int]
) -> dict[int, tuple[Holder, ...]]:
    """
    Return the tasks that have some BPF links open, and by which descriptors; the first
    ten of each.

    :param links: Addresses of ``struct bpf_link``
    :raises WalkError: if not all could be reached
    """

    def holder(file: TaskFile) -> Holder:
        return Holder("fd", *file.task, file.fd)

    found = open_files.of_links()
    return {link: tuple(map(holder, found[link])) for link in links if link in found}
