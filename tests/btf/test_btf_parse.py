# SPDX-License-Identifier: LGPL-2.1-or-later
"""BTF that is broken is refused: by hand, and by chance."""

import contextlib
import functools
import os
from pathlib import Path
import tracemalloc
from typing import Callable, Optional

from drgn import (
    Architecture,
    FaultError,
    Object,
    Platform,
    PlatformFlags,
    Program,
    Type,
    TypeKind,
)
from drgn_veth.btf.parse import Btf, BtfError, Kind
from drgn_veth.btf.types import BtfTypes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
import pytest

from tests.support.bounds import takes_less_than
from tests.support.btf.blob import Blob

PLATFORM = Platform(
    Architecture.X86_64, PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
)
SECONDS = 1.0
MEMORY = 16 << 20


def look_at_all(data: bytes, base: Optional[BtfTypes]) -> int:
    """Make each type that can be made, and look at all that is in it."""
    prog = base.prog if base else Program(PLATFORM)
    try:
        btf = Btf(data, "little", base.btf if base else None)
    except BtfError:
        return 0
    types = BtfTypes(prog, btf, base)
    made = 0
    for id in range(btf.first_id if base else 0, len(btf)):
        try:
            found = types.type(id)
        except BtfError:
            continue
        made += 1
        look_at(prog, found)
    btf.find("x")
    types.enumerator("x")
    return made


def look_at(prog: Program, found: Type) -> None:
    with contextlib.suppress(TypeError, ValueError):
        str(found)  # Of a function it takes the name.
    found.type_name()
    if found.kind not in (TypeKind.STRUCT, TypeKind.UNION):
        return
    if not found.is_complete():
        return
    for member in found.members or ():
        member.type.type_name()
        assert member.bit_field_size is None or member.bit_field_size > 0
    found.has_member("nothing")
    if found.size and found.size <= 1 << 12:
        # What is said of the memory behind pointers does not matter here.
        with contextlib.suppress(FaultError):
            str(Object.from_bytes_(prog, found, bytes(found.size)))


def within_bounds(data: bytes, base: Optional[BtfTypes] = None) -> int:
    tracemalloc.start()
    try:
        with takes_less_than(SECONDS):
            made = look_at_all(data, base)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY + 100 * len(data), f"{peak} bytes"
    return made


# By hand


def refused(data: bytes, match: str) -> None:
    with pytest.raises(BtfError, match=match):
        Btf(data, "little")


def test_header() -> None:
    blob = Blob()
    blob.integer()
    good = blob.build()
    assert len(Btf(good, "little")) == 2
    for size in range(len(good)):
        refused(good[:size], "cut off")
    refused(b"", "cut off")
    refused(blob.build(magic=0x1234), "this is not BTF")
    refused(blob.build(magic=0x9FEB), "byte order")
    with pytest.raises(BtfError, match="byte order"):
        Btf(good, "big")
    refused(blob.build(version=2), "unknown version")
    refused(blob.build(flags=1), "unknown version")
    refused(good[:4] + b"\x10\0\0\0" + good[8:], "header says")
    # A longer one is newer, and may say more.
    assert len(Btf(blob.build(header_length=32), "little")) == 2


@pytest.mark.parametrize("field", range(4))
def test_section_out_of_range(field: int) -> None:
    blob = Blob()
    blob.integer()
    good = blob.build()
    at = 8 + 4 * field
    refused(good[:at] + b"\xfc\xff\xff\xff" + good[at + 4 :], "cut off")


def test_strings_without_end() -> None:
    blob = Blob()
    blob.integer()
    refused(blob.build()[:-1] + b"x", "begin and end with NUL")


@pytest.mark.parametrize("kind", [0, *range(20, 32)])
def test_unknown_kind(kind: int) -> None:
    blob = Blob()
    blob.integer()
    blob.add(kind)
    blob.integer()
    refused(blob.build(), f"type 2 is of an unknown kind, {kind}")


def test_too_many_members() -> None:
    blob = Blob()
    blob.add(Kind.STRUCT, "s", 4, [0, 0, 0], vlen=0xFFFF)
    refused(blob.build(), "in the middle of a type")


def test_too_large() -> None:
    refused(bytes(1 << 26), "too large")


def test_too_many_types() -> None:
    blob = Blob()
    blob.ptr(0)
    one = bytes(blob._types)
    blob._types += one * (1 << 20)
    with takes_less_than(SECONDS):
        refused(blob.build(), "too many types")


def _chain(kind: int) -> Callable[[Blob], int]:
    def make(blob: Blob) -> int:
        for id in range(1, 100):
            blob.add(kind, "t" if kind == Kind.TYPEDEF else "", id + 1)
        return 1

    return make


def _self(kind: int) -> Callable[[Blob], int]:
    return lambda blob: blob.add(kind, "t" if kind == Kind.TYPEDEF else "", 1)


def _self_array(blob: Blob) -> int:
    return blob.array(1, 2)


def _self_struct(blob: Blob) -> int:
    return blob.struct("s", 8, [("", 1, 0)])


def _struct_in_circle(blob: Blob) -> int:
    blob.struct("a", 8, [("b", 2, 0)])
    blob.struct("b", 8, [("c", 3, 0)])
    return blob.array(1, 1)


def _takes_itself(blob: Blob) -> int:
    blob.proto(0, [("f", 2)])
    return blob.ptr(1)


def _huge_array(blob: Blob) -> int:
    return blob.array(blob.integer(), 0xFFFFFFFF)


def _huge_empty_array(blob: Blob) -> int:
    return blob.array(blob.struct("s", 0, []), 0xFFFFFFFF)


def _huge_struct(blob: Blob) -> int:
    return blob.struct("s", 0xFFFFFFFF, [])


def _outside(blob: Blob) -> int:
    return blob.struct("s", 4, [("x", blob.integer(), 8)])


def _wide_bit_field(blob: Blob) -> int:
    return blob.struct("s", 8, [("x", blob.integer(), 33 << 24)], flag=True)


def _bit_field_of_pointer(blob: Blob) -> int:
    return blob.struct("s", 8, [("x", blob.ptr(0), 3 << 24)], flag=True)


def _no_such_type(blob: Blob) -> int:
    return blob.ptr(0xFFFFFFFF)


def _no_such_member(blob: Blob) -> int:
    return blob.struct("s", 8, [("x", 999, 0)])


def _void_member(blob: Blob) -> int:
    return blob.struct("s", 8, [("x", 0, 0)])


def _odd_integer(blob: Blob) -> int:
    return blob.integer("int", 3)


def _no_bits(blob: Blob) -> int:
    return blob.integer("int", 4, bits=0)


def _no_such_name(blob: Blob) -> int:
    blob.integer()
    blob._types[:4] = b"\xff\xff\xff\x7f"
    return 1


def _doubling(blob: Blob) -> int:
    # Each has two of the one before: 2**40 in the last.
    id = blob.integer()
    for _ in range(40):
        id = blob.struct("", 4, [("", id, 0), ("", id, 0)], Kind.UNION)
    return id


def _long_name(blob: Blob) -> int:
    return blob.integer("x" * 5000)


@pytest.mark.parametrize(
    "make",
    [
        *map(_self, (Kind.PTR, Kind.CONST, Kind.TYPEDEF, Kind.TYPE_TAG)),
        *map(_chain, (Kind.PTR, Kind.VOLATILE, Kind.TYPEDEF)),
        _self_array,
        _self_struct,
        _struct_in_circle,
        _takes_itself,
        _huge_array,
        _huge_empty_array,
        _huge_struct,
        _outside,
        _wide_bit_field,
        _bit_field_of_pointer,
        _no_such_type,
        _no_such_member,
        _void_member,
        _odd_integer,
        _no_bits,
        _no_such_name,
        _doubling,
        _long_name,
    ],
)
def test_refused_type(make: Callable[[Blob], int]) -> None:
    blob = Blob()
    id = make(blob)
    data = blob.build()
    types = BtfTypes(Program(PLATFORM), Btf(data, "little"))
    with pytest.raises(BtfError):
        types.type(id)
    within_bounds(data)


def test_many_types_with_one_name() -> None:
    blob = Blob()
    blob.add(Kind.TYPEDEF, "x", 0)
    blob._types += bytes(blob._types) * 50_000
    btf = Btf(blob.build(), "little")
    with takes_less_than(SECONDS):
        assert len(btf.find("x")) == 50_001


# By chance: the same each time, $DRGN_VETH_FUZZ times.

_EXAMPLES = int(os.environ.get("DRGN_VETH_FUZZ", "200"))
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _some_of_each() -> bytes:
    # Every kind, and structs in structs: what a kernel has.
    blob = Blob()
    integer = blob.integer()
    blob.integer("unsigned char", 1, 0)
    blob.integer("_Bool", 1, 4)
    pointer = blob.ptr(5)
    blob.struct("node", 16, [("next", pointer, 0), ("prev", pointer, 64)])
    array = blob.array(integer, 4)
    union = blob.struct("", 16, [("a", array, 0), ("n", 5, 0)], Kind.UNION)
    blob.struct("s", 40, [("", union, 0), ("m", 5, 128), ("i", integer, 256)])
    blob.struct(
        "b", 4, [("x", integer, 3 << 24), ("y", integer, 4 << 24 | 3)], flag=True
    )
    blob.enum("e", [("A", 0), ("B", -1)], flag=True)
    blob.enum64("f", [("C", 1 << 40)])
    id = blob.add(Kind.TYPEDEF, "t", integer)
    for kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG):
        id = blob.add(kind, "" if kind != Kind.TYPE_TAG else "rcu", id)
    proto = blob.proto(id, [("x", integer), ("y", blob.ptr(id)), ("", 0)])
    blob.add(Kind.FUNC, "run", proto, vlen=1)
    variable = blob.add(Kind.VAR, "v", integer, [1])
    blob.add(Kind.DATASEC, ".data..percpu", 4, [variable, 0, 4], 1)
    blob.add(Kind.FLOAT, "double", 8)
    blob.add(Kind.FWD, "later")
    blob.add(Kind.DECL_TAG, "tag", integer, [0xFFFFFFFF])
    return blob.build()


GOOD = _some_of_each()


def test_good_is_good() -> None:
    btf = Btf(GOOD, "little")
    no_types = sum(1 for kind in (12, 14, 15, 17) for _ in btf.of_kind(kind))
    assert within_bounds(GOOD) == len(btf) - no_types == len(btf) - 4


@_SETTINGS
@given(st.binary(max_size=400))
@example(b"")
def test_any_bytes(data: bytes) -> None:
    within_bounds(data)


@_SETTINGS
@given(
    st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=200).map(
        lambda words: b"".join(word.to_bytes(4, "little") for word in words)
    ),
    st.binary(max_size=50),
)
def test_any_types_behind_a_right_header(types: bytes, strings: bytes) -> None:
    blob = Blob()
    blob._types += types
    blob._strings += strings + b"\0"
    within_bounds(blob.build())


@st.composite
def _records(draw: st.DrawFn) -> bytes:
    # Records that are well-formed and refer to one another at random.
    blob = Blob()
    count = draw(st.integers(1, 25))
    ids = st.integers(0, count + 1)
    bits = st.sampled_from([0, 0, 8, 32, 64, 3 << 24, 0x80000000]) | st.integers(
        0, 2**32 - 1
    )
    sizes = st.sampled_from([0, 1, 4, 8, 16, 64, 2**32 - 1])
    names = st.sampled_from(["", "x", "y", "list_head"])
    for _ in range(count):
        kind = draw(st.sampled_from(list(Kind)[1:]))
        name = draw(names)
        flag = draw(st.booleans())
        if kind in (Kind.STRUCT, Kind.UNION):
            members = draw(st.lists(st.tuples(names, ids, bits), max_size=4))
            blob.struct(name, draw(sizes), members, kind, flag)
        elif kind == Kind.ARRAY:
            blob.array(draw(ids), draw(sizes))
        elif kind == Kind.INT:
            blob.integer(
                name, draw(sizes), draw(st.integers(0, 7)), draw(st.integers(0, 255))
            )
        elif kind == Kind.ENUM:
            blob.enum(name, [("A", draw(bits))], draw(sizes), flag)
        elif kind == Kind.ENUM64:
            blob.enum64(name, [("A", draw(bits))], flag)
        elif kind == Kind.FUNC_PROTO:
            blob.proto(draw(ids), draw(st.lists(st.tuples(names, ids), max_size=3)))
        elif kind == Kind.DATASEC:
            blob.add(kind, name, draw(sizes), [draw(ids), 0, 4], 1)
        elif kind in (Kind.VAR, Kind.DECL_TAG):
            blob.add(kind, name, draw(ids), [0])
        else:
            blob.add(kind, name, draw(ids), flag=flag)
    return blob.build()


@_SETTINGS
@given(_records())
def test_any_records(data: bytes) -> None:
    within_bounds(data)


@_SETTINGS
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, len(GOOD)),
)
def test_some_bytes_changed(changes: list[list[int]], cut: int) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    within_bounds(bytes(data))
    within_bounds(bytes(data[:cut]))


# A real module's, on a base that is as large as its own.
VETH = (Path(__file__).parent / "data" / "veth-6.1.btf").read_bytes()
VETH_BASE_TYPES = 95247
VETH_BASE_STRINGS = 1694074


@functools.cache
def _base() -> BtfTypes:
    blob = Blob()
    blob.integer()
    blob.struct("node", 8, [("next", 3, 0)])
    blob.ptr(2)
    blob._types += bytes(blob._types[-12:]) * (VETH_BASE_TYPES - 4)
    blob._strings += bytes(VETH_BASE_STRINGS - len(blob._strings))
    return BtfTypes(Program(PLATFORM), Btf(blob.build(), "little"))


def test_real_module() -> None:
    base = _base()
    assert (len(base.btf), base.btf.end_of_strings) == (
        VETH_BASE_TYPES,
        VETH_BASE_STRINGS,
    )
    btf = Btf(VETH, "little", base.btf)
    (id,) = btf.find("veth_priv")
    found = BtfTypes(base.prog, btf, base).type(id)
    assert (found.tag, found.size, len(found.members or ())) == ("veth_priv", 40, 5)


@_SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, len(VETH) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(VETH)) | st.just(len(VETH)),
)
def test_changed_module(changes: list[list[int]], cut: int) -> None:
    data = bytearray(VETH)
    for at, value in changes:
        data[at] = value
    within_bounds(bytes(data[:cut]), _base())


@_SETTINGS
@given(st.integers(6, len(VETH) // 4 - 1), st.integers(0, 2**32 - 1))
def test_changed_word_of_a_module(at: int, word: int) -> None:
    data = VETH[: 4 * at] + word.to_bytes(4, "little") + VETH[4 * at + 4 :]
    within_bounds(data, _base())
