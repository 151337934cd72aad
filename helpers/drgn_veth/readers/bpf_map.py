# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BPF maps
--------

The maps of a program (``bpf_prog_aux.used_maps``), and the maps in a map of maps
(kernel/bpf/arraymap.c, kernel/bpf/hashtab.c, kernel/bpf/map_in_map.c).

Upstream: all but the bounds.
"""

from collections.abc import Iterator
from typing import Optional

from drgn import Object, container_of, offsetof

from ..core.budget import MAX_LIST_ENTRIES, budget_of
from ..core.errors import WalkError
from ..core.salvage import Salvage
from ..core.struct_layout import Layout, Members, pointer
from ..core.unreadable import Maybe, Unreadable
from .array import for_each_pointer

__all__ = (
    "bpf_map_id",
    "bpf_map_name",
    "bpf_map_type",
    "for_each_inner_map",
    "for_each_prog_in_array",
    "for_each_used_map",
)

# Far above MAX_USED_MAPS of the verifier, which is 64.
_MAX_USED_MAPS = 1 << 12
_PREFIX = "BPF_MAP_TYPE_"
_CHUNK = 1 << 12  # buckets that are read at once
_IN_A_STEP = 1 << 8


class _Bucket(Members):
    # struct bucket
    first = pointer("head.first")


def bpf_map_id(map: Object) -> int:
    """
    Return the identifier of a map.

    :param map: ``struct bpf_map *``
    :return: ``u32``; 0 if the map is being freed
    """
    return map.id.value_()


def bpf_map_name(map: Object) -> bytes:
    """
    Return the name of a map, 15 bytes at most, as the kernel keeps it.

    :param map: ``struct bpf_map *``
    """
    return map.name.string_()


def bpf_map_type(map: Object) -> str:
    """
    Return the type of a map, as bpftool calls it: ``devmap_hash``.

    :param map: ``struct bpf_map *``
    :raises ValueError: if the kernel has no such type
    """
    type = map.map_type.read_()
    for name, value in type.type_.enumerators or ():
        if value == type.value_() and name.startswith(_PREFIX):
            return name[len(_PREFIX) :].lower()
    raise ValueError(f"no map is of type {type.value_()}")


def for_each_used_map(prog: Object) -> Iterator[Object]:
    """
    Iterate over the maps that a program uses, those of its global variables among them.

    :param prog: ``struct bpf_prog *``
    :return: Iterator of ``struct bpf_map *`` objects
    :raises WalkError: if it has more maps than any program; or, after all that could be
        reached, if some could not be read
    """
    aux = prog.aux.read_()
    count = aux.used_map_cnt.value_()
    if not count:
        return
    if count > _MAX_USED_MAPS:
        raise WalkError(f"a program with {count} maps")
    kernel = prog.prog_
    pointer = kernel.type("struct bpf_map *")
    for _, at in for_each_pointer(kernel, aux.used_maps.value_(), count):
        yield Object(kernel, pointer, at)


def _heads(table: Object) -> Iterator[tuple[int, Maybe[int]]]:
    # Where the lists of a hash table begin, and with what.
    prog = table.prog_
    count = table.n_buckets.value_()
    if count > MAX_LIST_ENTRIES:
        raise WalkError(f"a hash table of {count} buckets")
    # Other files of the kernel have a struct bucket, too.
    layout = Layout(prog, table.buckets.type_.type, _Bucket)
    first = layout.offset["first"]
    budget = budget_of(prog)
    buckets = table.buckets.value_()
    for start in range(0, count, _CHUNK):
        some = min(_CHUNK, count - start)
        budget.step(some // _IN_A_STEP)
        at = buckets + start * layout.size
        for i, bucket in enumerate(layout.read_array(at, some)):
            yield at + i * layout.size + first, bucket.first


def _in_hash(map: Object) -> Iterator[int]:
    # Where the values of a hash table are.
    prog = map.prog_
    read = prog.read_word
    element = prog.type("struct htab_elem")
    node = offsetof(element, "hash_node")
    behind = offsetof(element, "hash_node.pprev") - node
    key_size = map.key_size.value_()
    value = offsetof(element, "key") + (key_size + 7) // 8 * 8
    salvage = Salvage("a hash table: ")
    budget = budget_of(prog)
    for before, first in _heads(container_of(map, "struct bpf_htab", "map")):
        if isinstance(first, Unreadable):
            salvage.lose(first.reason)
            continue
        at: Optional[int] = first
        # The end of such a list is an odd number.
        while at and not at & 1:
            budget.step()
            if salvage.read(read, at + behind) != before:
                salvage.lose(f"{at:#x} does not point back to {before:#x}")
                break
            yield at - node + value
            before = at
            at = salvage.read(read, before)
    salvage.finish()


def _pointers_in_array(map: Object, type: str) -> Iterator[Object]:
    prog = map.prog_
    pointer = prog.type(type)
    first = container_of(map, "struct bpf_array", "map").ptrs.address_
    assert first is not None
    for _, at in for_each_pointer(prog, first, map.max_entries.value_()):
        yield Object(prog, pointer, at)


def for_each_inner_map(map: Object) -> Iterator[Object]:
    """
    Iterate over the maps in a map of maps.

    :param map: ``struct bpf_map *`` of any type; only ``BPF_MAP_TYPE_ARRAY_OF_MAPS``
        and ``BPF_MAP_TYPE_HASH_OF_MAPS`` have maps in them
    :return: Iterator of ``struct bpf_map *`` objects
    :raises WalkError: after all that could be reached
    """
    prog = map.prog_
    pointer = prog.type("struct bpf_map *")
    type = bpf_map_type(map)
    if type == "array_of_maps":
        yield from _pointers_in_array(map, "struct bpf_map *")
    elif type == "hash_of_maps":
        salvage = Salvage("a hash table: ")
        for slot in salvage.walk(_in_hash(map)):
            inner = salvage.read(prog.read_word, slot)
            if inner:
                yield Object(prog, pointer, inner)
        salvage.finish()


def for_each_prog_in_array(map: Object) -> Iterator[Object]:
    """
    Iterate over the programs that another one may jump into by ``bpf_tail_call()``.
    Follows fd_array_map_lookup_elem() (kernel/bpf/arraymap.c).

    :param map: ``struct bpf_map *`` of type ``BPF_MAP_TYPE_PROG_ARRAY``
    :return: Iterator of ``struct bpf_prog *`` objects
    :raises WalkError: after all that could be reached
    """
    return _pointers_in_array(map, "struct bpf_prog *")
