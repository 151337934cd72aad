# SPDX-License-Identifier: LGPL-2.1-or-later
"""Maps of a program, and maps in maps, whose tables are damaged."""

from collections.abc import Iterable, Sequence

from drgn import Object, TypeEnumerator, offsetof
from drgn_veth.core.budget import MAX_LIST_ENTRIES
from drgn_veth.core.errors import WalkError
from drgn_veth.readers.bpf_map import (
    bpf_map_type,
    for_each_inner_map,
    for_each_prog_in_array,
    for_each_used_map,
)
from drgn_veth.readers.bpf_mprog import for_each_mprog_prog
import pytest

from tests.support.toy import BASE, NOWHERE, Toy

MOST_MAPS = 1 << 12
TYPES = ("UNSPEC", "HASH", "ARRAY_OF_MAPS", "HASH_OF_MAPS")
ARRAY_OF_MAPS, HASH_OF_MAPS = 2, 3
HTAB, ELEMENT = "struct bpf_htab", "struct htab_elem"


class Maps:
    """Maps of a toy kernel."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        u32 = toy.prog.int_type("u32", 4, False)
        names = [
            TypeEnumerator(f"BPF_MAP_TYPE_{name}", i) for i, name in enumerate(TYPES)
        ]
        kind = toy.prog.enum_type("bpf_map_type", u32, names)
        map = toy.struct(
            "bpf_map", map_type=kind, key_size=u32, max_entries=u32, id=u32
        )
        pointers = toy.prog.array_type(toy.prog.type("void *"), 0)
        toy.struct("bpf_array", map=map, index_mask=u32, ptrs=pointers)
        toy.struct("hlist_nulls_node", next="void *", pprev="void *")
        head = toy.struct("hlist_nulls_head", first="void *")
        bucket = toy.struct("bucket", head=head, raw_lock="unsigned long")
        buckets = toy.prog.pointer_type(bucket)
        toy.struct("bpf_htab", map=map, buckets=buckets, n_buckets=u32)
        key = toy.prog.array_type(toy.prog.int_type("char", 1, True), 0)
        toy.struct("htab_elem", hash_node="struct hlist_nulls_node", hash=u32, key=key)
        toy.struct("bpf_prog_aux", used_map_cnt=u32, used_maps="void *")
        aux = toy.prog.pointer_type(toy.prog.type("struct bpf_prog_aux"))
        toy.struct("bpf_prog", aux=aux)

    def room(self, size: int) -> int:
        return self.toy.place("void *", -(-size // 8))

    def hash(self, key_size: int, *chains: Sequence[int]) -> int:
        """Return a hash table whose buckets have values, and its entries."""
        buckets = self.toy.place("struct bucket", len(chains))
        self.entries: list[int] = []
        value = offsetof(self.toy.prog.type(ELEMENT), "key") + -(-key_size // 8) * 8
        for i, chain in enumerate(chains):
            before = buckets + 16 * i
            for one in chain:
                entry = self.room(value + 8)
                self.entries.append(entry)
                self.toy.put(before, "Q", entry)
                self.toy.put(entry + 8, "Q", before)
                self.toy.put(entry + value, "Q", one)
                before = entry
            self.toy.put(before, "Q", i << 1 | 1)
        at = self.toy.place(HTAB)
        map = {"map__map_type": HASH_OF_MAPS, "map__key_size": key_size}
        self.toy.set(HTAB, at, **map, buckets=buckets, n_buckets=len(chains))
        return at

    def array(self, *pointers: int) -> int:
        first = offsetof(self.toy.prog.type("struct bpf_array"), "ptrs")
        at = self.room(first + 8 * len(pointers))
        map = {"map__map_type": ARRAY_OF_MAPS, "map__max_entries": len(pointers)}
        self.toy.set("struct bpf_array", at, **map)
        self.toy.put(at + first, f"{len(pointers)}Q", *pointers)
        return at

    def map(self, at: int) -> Object:
        return Object(self.toy.prog, "struct bpf_map *", at)

    def prog(self, count: int, used_maps: int) -> Object:
        aux = self.toy.place("struct bpf_prog_aux")
        self.toy.set(
            "struct bpf_prog_aux", aux, used_map_cnt=count, used_maps=used_maps
        )
        at = self.toy.place("struct bpf_prog")
        self.toy.set("struct bpf_prog", at, aux=aux)
        return Object(self.toy.prog, "struct bpf_prog *", at)


@pytest.fixture
def maps(toy: Toy) -> Maps:
    return Maps(toy)


def seen(walk: Iterable[Object], error: str = "") -> "list[int]":
    """What was reached, and that an error was said."""
    found: list[int] = []
    if not error:
        return [one.value_() for one in walk]
    with pytest.raises(WalkError, match=error):
        for one in walk:
            found.append(one.value_())
    return found


@pytest.mark.parametrize("key_size", [1, 4, 8, 9, 16])
def test_hash_of_maps(maps: Maps, key_size: int) -> None:
    """A value is behind its key, which takes whole words."""
    map = maps.map(maps.hash(key_size, (), (0x100, 0x200, 0), (0x300,)))
    assert bpf_map_type(map) == "hash_of_maps"
    assert seen(for_each_inner_map(map)) == [0x100, 0x200, 0x300]


def test_entry_that_does_not_point_back(maps: Maps) -> None:
    """What is behind it is not reached; other buckets are."""
    map = maps.map(maps.hash(4, (0x100, 0x200, 0x300), (0x400,)))
    maps.toy.put(maps.entries[1] + 8, "Q", maps.entries[1])
    assert seen(for_each_inner_map(map), "does not point back") == [0x100, 0x400]
    maps.toy.put(maps.entries[1] + 8, "Q", maps.entries[0])
    # A loop.
    maps.toy.put(maps.entries[2], "Q", maps.entries[0])
    found = seen(for_each_inner_map(map), "does not point back")
    assert found == [0x100, 0x200, 0x300, 0x400]


def test_entry_that_is_not_there(maps: Maps) -> None:
    map = maps.map(maps.hash(4, (0x100,), (0x200,)))
    maps.toy.put(maps.entries[0], "Q", NOWHERE)
    assert seen(for_each_inner_map(map), "a hash table: ") == [0x100, 0x200]


def test_buckets_that_are_not_there(maps: Maps) -> None:
    at = maps.hash(4, (0x100,))
    maps.toy.set(HTAB, at, buckets=NOWHERE - 8, n_buckets=1 << 13)
    assert seen(for_each_inner_map(maps.map(at)), "a hash table: ") == []
    maps.toy.set(HTAB, at, n_buckets=MAX_LIST_ENTRIES + 1)
    many = f"a hash table of {MAX_LIST_ENTRIES + 1} buckets"
    assert seen(for_each_inner_map(maps.map(at)), many) == []


def test_array_of_maps(maps: Maps) -> None:
    map = maps.map(maps.array(0, 0x100, 0, 0x200))
    assert bpf_map_type(map) == "array_of_maps"
    assert seen(for_each_inner_map(map)) == [0x100, 0x200]
    assert seen(for_each_prog_in_array(map)) == [0x100, 0x200]
    empty = maps.map(maps.array(*[0] * 9))
    assert seen(for_each_inner_map(empty)) == []


def test_array_that_is_longer_than_any(maps: Maps) -> None:
    """What is there is reached, and the rest is said."""

    def zeros(address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(count)

    maps.toy.prog.add_memory_segment(NOWHERE, 1 << 24, zeros)
    at = maps.array(0x100, 0x200)
    maps.toy.set("struct bpf_array", at, map__max_entries=MAX_LIST_ENTRIES)
    assert seen(for_each_inner_map(maps.map(at))) == [0x100, 0x200]
    maps.toy.set("struct bpf_array", at, map__max_entries=MAX_LIST_ENTRIES + 1)
    said = f"an array of {MAX_LIST_ENTRIES + 1} pointers: gave up"
    assert seen(for_each_inner_map(maps.map(at)), said) == [0x100, 0x200]


def test_maps_of_a_program(maps: Maps) -> None:
    used = maps.room(16)
    maps.toy.put(used, "2Q", 0x100, 0x200)
    assert seen(for_each_used_map(maps.prog(2, used))) == [0x100, 0x200]
    assert seen(for_each_used_map(maps.prog(1, used))) == [0x100]
    # Nothing says where those of a program without maps are.
    assert seen(for_each_used_map(maps.prog(0, NOWHERE))) == []


def test_maps_of_a_program_have_a_limit(maps: Maps) -> None:
    assert seen(for_each_used_map(maps.prog(MOST_MAPS, BASE))) != []
    many = f"a program with {MOST_MAPS + 1} maps"
    assert seen(for_each_used_map(maps.prog(MOST_MAPS + 1, BASE)), many) == []


def test_programs_of_one_hook(toy: Toy) -> None:
    """They end with the first that is not there, or with the array."""
    program = toy.struct("bpf_prog", len="unsigned int")
    item = toy.struct("bpf_mprog_fp", prog=toy.prog.pointer_type(program))
    entry = toy.struct("bpf_mprog_entry", fp_items=toy.prog.array_type(item, 4))
    at = toy.place("struct bpf_mprog_entry")
    hook = Object(toy.prog, toy.prog.pointer_type(entry), at)
    for count in (0, 1, 4):
        programs = [0x100 * i for i in range(1, count + 1)]
        toy.put(at, "4Q", *programs, *[0] * (4 - count))
        assert seen(for_each_mprog_prog(hook)) == programs
    toy.put(at, "4Q", 0x100, 0, 0x300, 0)
    assert seen(for_each_mprog_prog(hook)) == [0x100]
