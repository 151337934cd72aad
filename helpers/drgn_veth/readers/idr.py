# SPDX-License-Identifier: LGPL-2.1-or-later
"""
IDRs
----

drgn's walk over an IDR trusts its tree. This one ends, and says what it could not
reach. Follows include/linux/xarray.h.
"""

import struct
from typing import Iterator, List, Tuple

from drgn import Object, PlatformFlags, offsetof, sizeof

from ..core.errors import WalkError, attempt
from ..core.unreadable import Unreadable
from .walk import MAX_LIST_ENTRIES

__all__ = ("for_each_idr_pointer",)

_MAX_NODES = 1 << 16
_WIDEST = 1 << 20  # slots of a node; the kernel has 16 or 64
_INTERNAL = 2
_KIND = 3  # the lowest bits: 0 a pointer, 2 a node or a mark, else a number
_MAX_MARK = 4096


def for_each_idr_pointer(idr: Object) -> Iterator[int]:
    """
    Iterate over the pointers in an IDR, in the order of their IDs.

    :param idr: ``struct idr``
    :return: Iterator of addresses
    :raises WalkError: after all that could be reached
    """
    prog = idr.prog_
    node_type = prog.type("struct xa_node")
    shift_at, slots_at = offsetof(node_type, "shift"), offsetof(node_type, "slots")
    parent_at, count_at = offsetof(node_type, "parent"), offsetof(node_type, "count")
    size = sizeof(node_type.member("slots").type)
    word = sizeof(prog.type("void *"))
    if not 0 < size <= _WIDEST:
        raise WalkError(f"a node of a tree has {size} bytes of slots")
    platform = prog.platform
    assert platform is not None
    order = "<" if platform.flags & PlatformFlags.IS_LITTLE_ENDIAN else ">"
    slots = struct.Struct(f"{order}{size // word}{'Q' if word == 8 else 'I'}")
    broken = ""
    nodes = entries = 0
    # Each node covers less than the one above it: a loop ends.
    stack: List[Tuple[int, int, int]] = [(idr.idr_rt.xa_head.value_(), 8 * word, 0)]
    while stack:
        entry, above, owner = stack.pop()
        if entry & _KIND == 0:
            if entry:
                entries += 1
                if entries > MAX_LIST_ENTRIES:
                    raise WalkError(f"more than {MAX_LIST_ENTRIES} entries: gave up")
                yield entry
            continue
        if entry & _KIND != _INTERNAL or entry <= _MAX_MARK:
            continue
        nodes += 1
        if nodes > _MAX_NODES:
            raise WalkError(f"more than {_MAX_NODES} nodes: gave up")
        node = entry - _INTERNAL
        shift = attempt(prog.read_u8, node + shift_at)
        parent = attempt(prog.read_word, node + parent_at)
        count = attempt(prog.read_u8, node + count_at)
        data = attempt(prog.read, node + slots_at, size)
        if isinstance(shift, Unreadable):
            broken = shift.reason
        elif isinstance(data, Unreadable):
            broken = data.reason
        elif shift >= above:
            broken = f"node {node:#x} is not below the one above it"
        elif parent != owner and not isinstance(parent, Unreadable):
            broken = f"node {node:#x} does not point back to {owner:#x}"
        else:
            below = slots.unpack(data)
            used = len(below) - below.count(0)
            # An ID may be taken and have no pointer yet; not in the IDRs of BPF.
            if count != used and not isinstance(count, Unreadable):
                broken = f"node {node:#x} has count {count} but {used} used slots"
            stack.extend((slot, shift, node) for slot in reversed(below))
    if broken:
        raise WalkError(broken)
