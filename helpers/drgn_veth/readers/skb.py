# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Socket buffers
--------------

The numbers behind the limits of XDP (include/linux/skbuff.h), as the target's kernel
was built.

Upstream: all.
"""

import math

from drgn import Architecture, Program, offsetof, sizeof
from drgn.helpers.common.prog import takes_program_or_default

__all__ = (
    "max_skb_frags",
    "net_ip_align",
    "page_size",
    "skb_shared_info_size",
    "smp_cache_bytes",
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
