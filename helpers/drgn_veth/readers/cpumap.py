# SPDX-License-Identifier: LGPL-2.1-or-later
"""
CPUMAPs
-------

Maps that redirect packets to other CPUs (kernel/bpf/cpumap.c). Each entry has a ring,
which a kernel thread on that CPU empties.

Upstream: all.
"""

from collections.abc import Iterator

from drgn import Object, cast

from ..core.errors import WalkError
from .array import array_values

__all__ = ("for_each_cpu_map_entry", "is_cpumap", "is_cpumap_skb")

_MAX_CPUS = 1 << 16
# __ptr_set_bit(0, ...) in cpu_map_generic_redirect().
_SKB_FLAG = 1


def is_cpumap(map: Object) -> bool:
    """
    Return whether a map is a CPUMAP.

    :param map: ``struct bpf_map *``
    """
    return map.map_type.value_() == map.prog_.constant("BPF_MAP_TYPE_CPUMAP").value_()


def is_cpumap_skb(entry: int) -> bool:
    """
    Return whether an entry of a ring is a socket buffer, of generic XDP; else it is an
    XDP frame.

    :param entry: Pointer in ``bpf_cpu_map_entry.queue``, with its lowest bit
    """
    # Since "bpf: cpumap: Implement generic cpumap" (in v5.15). Before, all are frames,
    # whose address is even.
    return bool(entry & _SKB_FLAG)


def for_each_cpu_map_entry(map: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the entries of a CPUMAP.

    :param map: ``struct bpf_map *`` of type CPUMAP
    :return: Iterator of keys, which are CPUs, and ``struct bpf_cpu_map_entry *``
        objects
    :raises WalkError: if it has more entries than there can be CPUs
    """
    prog = map.prog_
    count = map.max_entries.value_()
    if count > _MAX_CPUS:
        raise WalkError(f"a CPUMAP with {count} entries")
    # struct bpf_cpu_map begins with its struct bpf_map.
    entries = cast("struct bpf_cpu_map *", map).cpu_map.read_()
    if not count or not entries:
        return
    array = Object(
        prog, prog.array_type(entries.type_.type, count), address=entries.value_()
    )
    for key, address in enumerate(array_values(array, count, _MAX_CPUS, "max_entries")):
        if address:
            yield key, Object(prog, entries.type_.type, address)
