# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Socket buffers
--------------

The numbers behind the limits of XDP (include/linux/skbuff.h), as the target's kernel
was built, and queues of socket buffers.

Upstream: all but the members, and what takes layouts.
"""

from collections.abc import Iterator
import math

from drgn import Architecture, Object, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

from ..core.budget import budget_of
from ..core.byte_order import byteorder
from ..core.errors import WalkError
from ..core.struct_layout import Layout, Members, number, pointer
from ..core.unreadable import Maybe, Unreadable

__all__ = (
    "SkBuff",
    "SkBuffHead",
    "check_skb",
    "max_skb_frags",
    "net_ip_align",
    "page_size",
    "skb_protocol",
    "skb_queue_walk",
    "skb_shared_info_size",
    "smp_cache_bytes",
    "walk_skb_chain",
    "walk_skb_queue",
)

_MIN_CACHE_LINE = 16

# include/linux/skbuff.h. Where CPUs do not mind unaligned access,
# arch/*/include/asm/processor.h defines it as 0.
_NET_IP_ALIGN = 2
_UNALIGNED_IS_FINE = (
    Architecture.X86_64,
    Architecture.I386,
    Architecture.AARCH64,
    Architecture.PPC64,
)


@takes_program_or_default
def page_size(prog: Program) -> int:
    """
    Return the size of a page.

    :return: ``PAGE_SIZE``, in bytes
    """
    return prog["PAGE_SIZE"].value_()


@takes_program_or_default
def skb_shared_info_size(prog: Program) -> int:
    """
    Return the size of the struct that follows the data of a buffer.

    :return: ``sizeof(struct skb_shared_info)``, in bytes
    :raises LookupError: if the kernel's types are not there
    """
    return sizeof(prog.type("struct skb_shared_info"))


@takes_program_or_default
def max_skb_frags(prog: Program) -> int:
    """
    Return how many fragments a buffer can have.

    :return: ``MAX_SKB_FRAGS``, the length of ``skb_shared_info.frags``
    :raises LookupError: if the kernel's types are not there
    :raises ValueError: if ``skb_shared_info.frags`` has no length
    """
    # Since Linux kernel commit 3948b05950fd ("net: introduce a config option to tweak
    # MAX_SKB_FRAGS") (in v6.4), it is configured.
    frags = prog.type("struct skb_shared_info").member("frags").type
    if frags.length is None:
        raise ValueError("skb_shared_info.frags has no length")
    return frags.length


@takes_program_or_default
def smp_cache_bytes(prog: Program) -> int:
    """
    Return the size of a cache line, as the kernel was built.

    :return: ``SMP_CACHE_BYTES``
    :raises ValueError: if no type shows it, as in a kernel for one CPU
    """
    # No type has it. But ____cacheline_aligned_in_smp makes each part of a ptr_ring
    # begin on a new cache line, so all offsets are multiples of a line. The last part
    # has no lock, which debugging could enlarge, and fits into one line: no larger
    # number divides them all.
    ring = prog.type("struct ptr_ring")
    size = math.gcd(
        offsetof(ring, "consumer_head"), offsetof(ring, "size"), sizeof(ring)
    )
    if size < _MIN_CACHE_LINE or size & (size - 1):
        raise ValueError(
            f"struct ptr_ring is laid out in units of {size}: not a cache line"
        )
    return size


@takes_program_or_default
def net_ip_align(prog: Program) -> int:
    """
    Return how many bytes a driver puts before a packet to align its IP header.

    :return: ``NET_IP_ALIGN``, in bytes
    :raises ValueError: if the architecture is unknown
    """
    if prog.platform is None or prog.platform.arch == Architecture.UNKNOWN:
        raise ValueError("the architecture is unknown")
    return 0 if prog.platform.arch in _UNALIGNED_IS_FINE else _NET_IP_ALIGN


class SkBuff(Members):
    """Members of ``struct sk_buff``: nothing of what is in the packet."""

    next = pointer("next")
    prev = pointer("prev")
    dev = pointer("dev")
    len = number("len")
    data_len = number("data_len")
    protocol = number("protocol")
    users = number("users.refs.counter")
    head = pointer("head")
    data = pointer("data")


class SkBuffHead(Members):
    """Members of ``struct sk_buff_head``."""

    next = pointer("next")
    prev = pointer("prev")
    qlen = number("qlen")


def check_skb(skb: SkBuff) -> None:
    """
    Check whether a pointer may lead to a socket buffer.

    :param skb: Its members
    :raises ValueError: if it cannot
    """
    for value in (skb.len, skb.data_len, skb.users, skb.head, skb.data):
        if isinstance(value, Unreadable):
            raise WalkError(value.reason)
    assert isinstance(skb.len, int) and isinstance(skb.data_len, int)
    assert isinstance(skb.head, int) and isinstance(skb.data, int)
    if not skb.users or skb.data_len > skb.len or skb.data < skb.head:
        raise ValueError("this is no socket buffer, or a freed one")


def skb_protocol(prog: Program, protocol: int) -> int:
    """
    Return the protocol of a packet.

    :param protocol: ``sk_buff.protocol`` (``__be16``), as it is read
    :return: ``ETH_P_*``
    """
    if byteorder(prog) == "big":
        return protocol
    return (protocol & 0xFF) << 8 | protocol >> 8


def _known(value: Maybe[int]) -> int:
    if isinstance(value, Unreadable):
        raise WalkError(value.reason)
    return value


def walk_skb_queue(
    layout: Layout[SkBuff],
    head: int,
    first: Maybe[int],
    back: bool = False,
) -> Iterator[tuple[int, SkBuff]]:
    """
    Iterate over a list that leads from a head back to it, such as a ``struct
    sk_buff_head``: address and members of each buffer. Each has to point back to the
    one before it.

    :param layout: Layout of ``struct sk_buff``
    :param head: Address of the head
    :param first: Where its ``next`` points; its ``prev`` if *back*
    :param back: From the last to the first
    :raises WalkError: where the list is broken
    """
    before, at = head, _known(first)
    budget = budget_of(layout.prog)
    while at != head:
        if not at:
            raise WalkError("a NULL pointer in the list")
        budget.step()
        skb = layout.read(at)
        following, previous = (skb.prev, skb.next) if back else (skb.next, skb.prev)
        if _known(previous) != before:
            raise WalkError(f"{at:#x} does not point back to {before:#x}")
        yield at, skb
        before, at = at, _known(following)


def walk_skb_chain(
    layout: Layout[SkBuff], first: Maybe[int]
) -> Iterator[tuple[int, SkBuff]]:
    """
    Iterate over buffers that are linked by ``next`` alone, up to NULL, as in a ``struct
    qdisc_skb_head``: address and members of each.

    :param layout: Layout of ``struct sk_buff``
    :param first: Address of the first buffer, 0 if there is none
    :raises WalkError: where the chain is broken, or loops
    """
    at = _known(first)
    seen: set[int] = set()
    budget = budget_of(layout.prog)
    while at:
        if at in seen:
            raise WalkError(f"the list loops at {at:#x}")
        budget.step()
        seen.add(at)
        skb = layout.read(at)
        yield at, skb
        at = _known(skb.next)


def skb_queue_walk(queue: Object) -> Iterator[Object]:
    """
    Iterate over a queue of socket buffers, oldest first, as skb_queue_walk() does.

    >>> queue = softnet_data(0).input_pkt_queue.address_of_()
    >>> [skb.len for skb in skb_queue_walk(queue)]
    []

    :param queue: ``struct sk_buff_head *``
    :return: Iterator of ``struct sk_buff *`` objects
    :raises WalkError: where the list is broken
    """
    prog = queue.prog_
    type = prog.type("struct sk_buff")
    layout = Layout(prog, type, SkBuff)
    pointer_type = prog.pointer_type(type)
    for at, _ in walk_skb_queue(layout, queue.value_(), queue.next.value_()):
        yield Object(prog, pointer_type, at)
