# SPDX-License-Identifier: LGPL-2.1-or-later
"""
XDP frames
----------

``struct xdp_frame`` (include/net/xdp.h): what XDP_REDIRECT and XDP_TX queue. It lies at
the beginning of the packet's own memory.

Upstream: nothing; the members are plain.
"""

from drgn import Program, sizeof

from ..core.struct_layout import Members, number, pointer

__all__ = ("XdpFrame", "check_xdp_frame", "is_cpumap_skb")

# __ptr_set_bit(0, ...) in cpu_map_generic_redirect().
_SKB_FLAG = 1
_MAX_METASIZE = 255


class XdpFrame(Members):
    """Members of ``struct xdp_frame``: nothing of what is in the packet."""

    data = pointer("data")
    len = number("len")
    headroom = number("headroom")
    dev_rx = pointer("dev_rx")


def check_xdp_frame(prog: Program, address: int, data: int, headroom: int) -> None:
    """
    Check whether a pointer may lead to an XDP frame: its headroom and the packet follow
    it (xdp_update_frame_from_buff(),
    xdp_convert_zc_to_xdp_frame()).

    :param address: Where it is
    :param data: ``xdp_frame.data``
    :param headroom: ``xdp_frame.headroom``, in bytes
    :raises ValueError: if it cannot
    """
    start = address + sizeof(prog.type("struct xdp_frame")) + headroom
    if not start <= data <= start + _MAX_METASIZE:
        raise ValueError("this is no XDP frame")


def is_cpumap_skb(entry: int) -> bool:
    """
    Return whether an entry of a ring is a socket buffer, of generic XDP; else it is an
    XDP frame. In rings of other users, this bit is set for XDP frames.

    :param entry: Pointer in ``bpf_cpu_map_entry.queue``, with its lowest bit
    """
    # Since "bpf: cpumap: Implement generic cpumap" (in v5.15). Before, all are frames,
    # whose address is even.
    return bool(entry & _SKB_FLAG)
