# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Rings of pointers
-----------------

``struct ptr_ring`` (include/linux/ptr_ring.h): veth, tun, tap, cpumaps and pfifo_fast
keep packets in it. An entry is in use if it is not NULL; users mark what kind of packet
one is in the lowest bit of the pointer.

Upstream: all but the members, and what takes numbers.
"""

from collections.abc import Iterator
import struct

from drgn import Object, Program, cast, sizeof

from ..core.byte_order import byteorder, struct_order
from ..core.errors import WalkError
from ..core.struct_layout import Members, number, pointer

__all__ = (
    "MAX_RING_SIZE",
    "PtrRing",
    "check_ring_size",
    "for_each_ptr_ring_entry",
    "next_in_ptr_ring",
    "ptr_ring_entries",
    "ptr_ring_length",
    "ptr_ring_used",
)

# The kernel allows KMALLOC_MAX_SIZE / sizeof(void *) (__ptr_ring_init_queue_alloc()).
MAX_RING_SIZE = 1 << 20


class PtrRing(Members):
    """Members of ``struct ptr_ring``."""

    producer = number("producer")
    consumer_head = number("consumer_head")
    size = number("size")
    queue = pointer("queue")


def check_ring_size(size: int) -> int:
    """
    Check the number of entries of a ring.

    :param size: ``ptr_ring.size``
    :return: *size*
    :raises ValueError: if no ring has that many entries
    """
    if not 0 <= size <= MAX_RING_SIZE:
        raise ValueError(f"a ring with {size} entries")
    return size


def next_in_ptr_ring(prog: Program, head: int, size: int, queue: int) -> int:
    """
    Return the entry that the consumer takes next, 0 if the ring is empty, as
    __ptr_ring_peek() does.

    :param head: ``ptr_ring.consumer_head``
    :param size: ``ptr_ring.size``
    :param queue: ``ptr_ring.queue``
    :return: ``void *``, with the bits that mark it
    :raises ValueError: if *head* is not in the ring
    """
    if not 0 <= head < size:
        raise ValueError(f"consumer_head is {head}, but the ring has {size} entries")
    return prog.read_word(queue + head * sizeof(prog.type("void *")))


def ptr_ring_length(
    prog: Program, producer: int, head: int, size: int, queue: int
) -> int:
    """
    Return how many entries of a ring are in use.

    :param producer: ``ptr_ring.producer``
    :param head: ``ptr_ring.consumer_head``
    :param size: ``ptr_ring.size``
    :param queue: ``ptr_ring.queue``
    :return: At most *size*
    :raises ValueError: if these numbers do not fit together
    """
    if not check_ring_size(size):  # It cannot hold anything.
        return 0
    if not 0 <= producer < size:
        raise ValueError(f"producer is {producer}, but the ring has {size} entries")
    if producer == head:  # Empty, or full.
        return size if next_in_ptr_ring(prog, head, size, queue) else 0
    if not 0 <= head < size:
        raise ValueError(f"consumer_head is {head}, but the ring has {size} entries")
    return (producer - head) % size


def ptr_ring_entries(
    prog: Program, head: int, size: int, queue: int, length: int
) -> list[int]:
    """
    Return the entries of a ring, oldest first.

    :param head: ``ptr_ring.consumer_head``
    :param size: ``ptr_ring.size``
    :param queue: ``ptr_ring.queue``
    :param length: What :func:`ptr_ring_length()` returned
    :raises WalkError: if an entry in between is NULL
    """
    word = sizeof(prog.type("void *"))
    order = struct_order(byteorder(prog))
    entries: list[int] = []
    for start, end in ((head, min(head + length, size)), (0, head + length - size)):
        if start < end:
            data = prog.read(queue + start * word, (end - start) * word)
            code = f"{order}{end - start}{'Q' if word == 8 else 'I'}"
            entries.extend(struct.unpack(code, data))
    if 0 in entries:
        at = (head + entries.index(0)) % size
        raise WalkError(f"entry {at} of the ring is NULL, but it should be in use")
    return entries


def _numbers(ring: Object) -> tuple[int, int, int, int]:
    return (
        ring.producer.value_(),
        ring.consumer_head.value_(),
        ring.size.value_(),
        ring.queue.value_(),
    )


def ptr_ring_used(ring: Object) -> int:
    """
    Return how many entries of a ring are in use.

    >>> ptr_ring_used(veth_rqs(netdev_get_by_name("xnata")).xdp_ring.address_of_())
    0

    :param ring: ``struct ptr_ring *``
    :return: At most ``ring.size``
    :raises ValueError: if its numbers do not fit together
    """
    return ptr_ring_length(ring.prog_, *_numbers(ring))


def for_each_ptr_ring_entry(ring: Object) -> Iterator[Object]:
    """
    Iterate over the entries of a ring, oldest first.

    :param ring: ``struct ptr_ring *``. That of a veth without NAPI has no memory any
        more.
    :return: Iterator of ``void *`` objects, with the bits that mark them
    :raises ValueError: if its numbers do not fit together
    :raises WalkError: if an entry in between is NULL
    """
    prog = ring.prog_
    producer, head, size, queue = _numbers(ring)
    length = ptr_ring_length(prog, producer, head, size, queue)
    for entry in ptr_ring_entries(prog, head, size, queue, length):
        yield cast("void *", Object(prog, "unsigned long", entry))
