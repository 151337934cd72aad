# SPDX-License-Identifier: LGPL-2.1-or-later
"""
IDRs
----

drgn's walk over an IDR trusts the tree. This one always ends, and reports what it could
not reach. Follows include/linux/xarray.h.

Upstream: nothing; for an intact tree, drgn's own ``idr_for_each()`` is enough.
"""

from collections.abc import Iterator
import struct

from drgn import Object, offsetof, sizeof

from ..core.budget import budget_of
from ..core.byte_order import byteorder, struct_order
from ..core.errors import WalkError
from ..core.salvage import Salvage

__all__ = ("for_each_idr_entry", "for_each_idr_pointer")

_WIDEST = 1 << 20  # slots of a node; the kernel has 16 or 64
_INTERNAL = 2
_KIND = 3  # the lowest bits: 0 a pointer, 2 a node or a mark, else a number
_MAX_MARK = 4096


class _Node:
    # What is read of each node of a tree.
    def __init__(self, idr: Object) -> None:
        self._prog = prog = idr.prog_
        node = prog.type("struct xa_node")
        self._shift, self._slots = offsetof(node, "shift"), offsetof(node, "slots")
        self._parent, self._count = offsetof(node, "parent"), offsetof(node, "count")
        self._size = sizeof(node.member("slots").type)
        word = sizeof(prog.type("void *"))
        if not 0 < self._size <= _WIDEST:
            raise WalkError(f"a node of a tree has {self._size} bytes of slots")
        code = "Q" if word == 8 else "I"
        self._unpack = struct.Struct(
            f"{struct_order(byteorder(prog))}{self._size // word}{code}"
        ).unpack
        self.top_shift = 8 * word

    def read(
        self, node: int, above: int, owner: int, salvage: Salvage
    ) -> tuple[int, tuple[int, ...]]:
        """Return its shift and its slots, no slots if they are not plausible."""
        prog = self._prog
        # The walk can do without parent and count: they only confirm.
        confirm = Salvage()
        shift = salvage.read(prog.read_u8, node + self._shift)
        data = salvage.read(prog.read, node + self._slots, self._size)
        parent = confirm.read(prog.read_word, node + self._parent)
        count = confirm.read(prog.read_u8, node + self._count)
        if shift is None or data is None:
            return 0, ()
        if shift >= above:
            salvage.lose(f"node {node:#x} is not below the one above it")
            return 0, ()
        if parent not in (owner, None):
            salvage.lose(f"node {node:#x} does not point back to {owner:#x}")
            return 0, ()
        slots = self._unpack(data)
        used = len(slots) - slots.count(0)
        # An ID may be taken and have no pointer yet; not in the IDRs of BPF.
        if count not in (used, None):
            salvage.lose(f"node {node:#x} has count {count} but {used} used slots")
        return shift, slots


def for_each_idr_entry(idr: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the IDs in an IDR and their pointers, in the order of the IDs.

    :param idr: ``struct idr`` whose IDs begin at 0
    :return: Iterator of IDs and ``void *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = idr.prog_
    pointer = prog.type("void *")
    node = _Node(idr)
    salvage = Salvage()
    budget = budget_of(prog)
    # Each node covers less than the one above it: a loop ends.
    head = idr.idr_rt.xa_head.value_()
    stack: list[tuple[int, int, int, int]] = [(head, node.top_shift, 0, 0)]
    while stack:
        entry, above, owner, first = stack.pop()
        if entry & _KIND == 0:
            if entry:
                budget.step()
                yield first, Object(prog, pointer, entry)
        elif entry & _KIND == _INTERNAL and entry > _MAX_MARK:
            budget.step()
            at = entry - _INTERNAL
            shift, slots = node.read(at, above, owner, salvage)
            stack.extend(
                (slot, shift, at, first + (i << shift))
                for i, slot in reversed(list(enumerate(slots)))
            )
    salvage.finish()


def for_each_idr_pointer(idr: Object) -> Iterator[Object]:
    """
    Iterate over the pointers in an IDR, in the order of their IDs.

    :param idr: ``struct idr``
    :return: Iterator of ``void *`` objects
    :raises WalkError: after all that could be reached
    """
    for _, pointer in for_each_idr_entry(idr):
        yield pointer
