# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Maps of AF_XDP sockets
----------------------

``BPF_MAP_TYPE_XSKMAP`` (net/xdp/xskmap.c).

Upstream: all but the bounds.
"""

from collections.abc import Iterator

from drgn import Object, container_of

from .array import expect_array, for_each_pointer

__all__ = ("for_each_xskmap_entry",)


def for_each_xskmap_entry(map: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the entries of a map of AF_XDP sockets.

    :param map: ``struct bpf_map *`` of type ``BPF_MAP_TYPE_XSKMAP``
    :return: Iterator of keys and ``struct xdp_sock *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = map.prog_
    pointer = prog.type("struct xdp_sock *")
    sockets = expect_array(container_of(map, "struct xsk_map", "map").xsk_map)
    assert sockets.address_ is not None
    first, count = sockets.address_, map.max_entries.value_()
    for key, at in for_each_pointer(prog, first, count, "a map of sockets: "):
        yield key, Object(prog, pointer, at)
