# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Maps of devices
---------------

``BPF_MAP_TYPE_DEVMAP`` and ``BPF_MAP_TYPE_DEVMAP_HASH`` (kernel/bpf/devmap.c).

Upstream: all but the bounds.
"""

from collections.abc import Iterator

from drgn import NULL, Object, container_of, offsetof, sizeof

from ..core.salvage import Salvage
from .array import for_each_pointer
from .bounded import bounded_hlist
from .bpf_map import bpf_map_type

__all__ = ("devmap_entry_dev", "devmap_entry_prog", "for_each_devmap_entry")


def _in_buckets(table: Object) -> Iterator[int]:
    # As dev_map_hash_get_next_key() walks them.
    prog = table.prog_
    first = table.dev_index_head.value_()
    node_at = offsetof(prog.type("struct bpf_dtab_netdev"), "index_hlist")
    word = sizeof(prog.type("void *"))
    salvage = Salvage()
    heads = for_each_pointer(prog, first, table.n_buckets.value_())
    for i, _ in salvage.walk(heads):
        for node in salvage.walk(bounded_hlist(prog, first + i * word)):
            yield node - node_at
    salvage.finish()


def for_each_devmap_entry(map: Object) -> Iterator[tuple[int, Object]]:
    """
    Iterate over the entries of a map of devices, in the kernel's order.

    :param map: ``struct bpf_map *`` of type ``BPF_MAP_TYPE_DEVMAP`` or
        ``BPF_MAP_TYPE_DEVMAP_HASH``
    :return: Iterator of keys and ``struct bpf_dtab_netdev *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = map.prog_
    entry = prog.type("struct bpf_dtab_netdev")
    pointer = prog.pointer_type(entry)
    table = container_of(map, "struct bpf_dtab", "map")
    what = "a map of devices: "
    if bpf_map_type(map) != "devmap_hash":
        first, count = table.netdev_map.value_(), map.max_entries.value_()
        for key, at in for_each_pointer(prog, first, count, what):
            yield key, Object(prog, pointer, at)
        return
    salvage = Salvage(what)
    idx_at = offsetof(entry, "idx")
    for at in salvage.walk(_in_buckets(table)):
        hashed = salvage.read(prog.read_u32, at + idx_at)
        if hashed is not None:
            yield hashed, Object(prog, pointer, at)
    salvage.finish()


def devmap_entry_dev(entry: Object) -> Object:
    """
    Return the device that an entry leads to.

    :param entry: ``struct bpf_dtab_netdev *``
    :return: ``struct net_device *``
    """
    return entry.dev.read_()


def devmap_entry_prog(entry: Object) -> Object:
    """
    Return the program that runs on frames that an entry takes.

    :param entry: ``struct bpf_dtab_netdev *``
    :return: ``struct bpf_prog *``, ``NULL`` if there is none
    """
    try:
        return entry.xdp_prog.read_()
    except AttributeError:
        # Since Linux kernel commit fbee97feed9b ("bpf: Add support to attach bpf
        # program to a devmap entry") (in v5.8).
        return NULL(entry.prog_, "struct bpf_prog *")
