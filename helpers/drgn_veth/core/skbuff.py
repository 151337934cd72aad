# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arithmetic of include/linux/skbuff.h."""

__all__ = ("skb_data_align",)


def skb_data_align(size: int, smp_cache_bytes: int) -> int:
    """
    Return ``SKB_DATA_ALIGN(size)``.

    :param size: Bytes
    :param smp_cache_bytes: ``SMP_CACHE_BYTES``, a power of two
    """
    return size + smp_cache_bytes - 1 & -smp_cache_bytes
