# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Maps of CPUs
------------

``BPF_MAP_TYPE_CPUMAP`` (kernel/bpf/cpumap.c).

Upstream: all but the bounds.
"""

from collections.abc import Iterator

from drgn import NULL, Object, container_of

from .array import for_each_pointer

__all__ = ("cpumap_entry_prog", "cpumap_entry_qsize", "for_each_cpumap_entry")


def for_each_cpumap_entry(map: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the entries of a map of CPUs. The key of an entry is its CPU.

    :param map: ``struct bpf_map *`` of type ``BPF_MAP_TYPE_CPUMAP``
    :return: Iterator of keys and ``struct bpf_cpu_map_entry *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = map.prog_
    pointer = prog.type("struct bpf_cpu_map_entry *")
    first = container_of(map, "struct bpf_cpu_map", "map").cpu_map.value_()
    count = map.max_entries.value_()
    for key, at in for_each_pointer(prog, first, count, "a map of CPUs: "):
        yield key, Object(prog, pointer, at)


def cpumap_entry_qsize(entry: Object) -> int:
    """
    Return how many frames can wait for a CPU.

    :param entry: ``struct bpf_cpu_map_entry *``
    :return: ``bpf_cpumap_val.qsize`` (``u32``)
    """
    try:
        return entry.value.qsize.value_()
    except AttributeError:
        # Since Linux kernel commit 644bfe51fa49 ("cpumap: Formalize map value as a
        # named struct") (in v5.9), it is in a struct.
        return entry.qsize.value_()


def cpumap_entry_prog(entry: Object) -> Object:
    """
    Return the program that runs on frames on an entry's CPU.

    :param entry: ``struct bpf_cpu_map_entry *``
    :return: ``struct bpf_prog *``, ``NULL`` if there is none
    """
    try:
        return entry.prog.read_()
    except AttributeError:
        # Since Linux kernel commit 9216477449f3 ("bpf: cpumap: Add the possibility to
        # attach an eBPF program to cpumap") (in v5.9).
        return NULL(entry.prog_, "struct bpf_prog *")
