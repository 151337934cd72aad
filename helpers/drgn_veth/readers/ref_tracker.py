# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who took a reference
--------------------

With CONFIG_NET_DEV_REFCNT_TRACKER, each reference to a device that was taken by
netdev_hold() has an entry in ``dev->refcnt_tracker``, with the call stack of who took
it. Follows lib/ref_tracker.c and lib/stackdepot.c.

Upstream: for intact memory, drgn's own ``stack_depot_fetch()`` is enough.
"""

from collections.abc import Iterator
import struct

from drgn import Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.byte_order import byteorder, struct_order
from ..core.errors import WalkError
from .bounded import for_each_entry_bounded

__all__ = ("for_each_netdev_tracker", "has_netdev_trackers", "ref_tracker_stack")

_MAX_FRAMES = 64  # CONFIG_STACKDEPOT_MAX_FRAMES of every kernel
_ALIGN = 4  # DEPOT_STACK_ALIGN


@takes_program_or_default
def has_netdev_trackers(prog: Program) -> bool:
    """
    Return whether this kernel can have entries for the references to its devices.
    """
    # Since Linux kernel commit 4d92b95ff2f9 ("net: add net device refcount tracker
    # infrastructure") (in v5.17). Without CONFIG_REF_TRACKER the struct is empty.
    type = prog.type("struct net_device")
    if not type.has_member("refcnt_tracker"):
        return False
    return type.member("refcnt_tracker").type.has_member("list")


def for_each_netdev_tracker(dev: Object) -> Iterator[Object]:
    """
    Iterate over the references to a device that are known one by one
    (``dev->refcnt_tracker.list``).

    :param dev: ``struct net_device *``
    :return: Iterator of ``struct ref_tracker *``; none with CONFIG_REF_TRACKER alone
    :raises AttributeError: if the kernel has no such entries: see
        :func:`has_netdev_trackers()`
    :raises LookupError: if its types are missing
    :raises WalkError: after all that could be reached
    """
    head = dev.refcnt_tracker.list.address_of_()
    for tracker in for_each_entry_bounded(head, "struct ref_tracker", "head"):
        # Dead ones have been put back, and are on another list.
        if not tracker.dead:
            yield tracker


def _pool(prog: Program, parts: Object) -> int:
    # The name changed with each rewrite of lib/stackdepot.c. Since Linux kernel commit
    # a6c1d9cb9a68 ("stackdepot: rename pool_index to pool_index_plus_1") (in v6.9), it
    # begins with 1; a short time before, it did so under its old name.
    for member, first in (
        ("pool_index_plus_1", 1),
        ("pool_index", 0),
        ("slab_index", 0),
        ("slabindex", 0),
    ):
        if parts.type_.has_member(member):
            index = parts.member_(member).value_() - first
            break
    else:
        raise LookupError("union handle_parts has no index of a pool")
    # Since Linux kernel commit 961c949b012f ("lib/stackdepot: rename slab to pool") (in
    # v6.3).
    try:
        pools = prog["stack_pools"]
    except LookupError:
        pools = prog["stack_slabs"]
    pool: int = pools[index].value_() if index >= 0 else 0
    return pool


def ref_tracker_stack(tracker: Object) -> tuple[int, ...]:
    """
    Return where a reference was taken: the return addresses, innermost first.

    :param tracker: ``struct ref_tracker *``
    :return: ``()`` if the kernel had no memory to keep them
    :raises LookupError: if the kernel's types or variables are missing
    :raises WalkError: if what is there is not the stack of this reference
    """
    prog = tracker.prog_
    handle = tracker.alloc_stack_handle.value_()
    if not handle:
        return ()
    union = prog.type("union handle_parts")
    order = byteorder(prog)
    parts = Object.from_bytes_(prog, union, handle.to_bytes(sizeof(union), order))
    pool = _pool(prog, parts)
    if not pool:
        raise WalkError(f"there is no stack {handle:#x}")
    record_type = prog.type("struct stack_record")
    at = pool + (parts.offset.value_() << _ALIGN)
    record = Object(prog, record_type, address=at)
    if record.handle.handle.value_() != handle:
        raise WalkError(f"what is at {at:#x} is not stack {handle:#x}")
    size = record.size.value_()
    if size > _MAX_FRAMES:
        raise WalkError(f"a stack of {size} frames")
    word = sizeof(prog.type("void *"))
    data = prog.read(at + offsetof(record_type, "entries"), size * word)
    code = struct_order(order) + ("Q" if word == 8 else "I")
    return tuple(value for (value,) in struct.iter_unpack(code, data))
