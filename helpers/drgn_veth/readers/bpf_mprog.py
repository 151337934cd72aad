# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Several programs at one hook
----------------------------

What tcx and netkit run, one after the other (include/linux/bpf_mprog.h, since v6.6).

Upstream: all.
"""

from collections.abc import Iterator

from drgn import Object

from .array import expect_array

__all__ = ("for_each_mprog_prog",)


def for_each_mprog_prog(entry: Object) -> Iterator[Object]:
    """
    Iterate over the programs of a hook, in the order in which they run, as
    bpf_mprog_foreach_prog() does.

    :param entry: ``struct bpf_mprog_entry *``
    :return: Iterator of ``struct bpf_prog *`` objects
    """
    items = expect_array(entry.fp_items)
    for i in range(items.type_.length or 0):
        prog = items[i].prog.read_()
        if not prog:
            return
        yield prog
