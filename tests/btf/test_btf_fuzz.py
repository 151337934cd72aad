# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BTF that is broken by chance
----------------------------

The same each time, $DRGN_VETH_FUZZ times.
"""

import functools
import os
from pathlib import Path

from drgn import Program
from drgn_veth.btf.parse import Btf, Kind
from drgn_veth.btf.types import BtfTypes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
import pytest

from tests.support.btf.blob import Blob
from tests.support.btf.look import within_bounds
from tests.support.btf.platforms import LITTLE_64

pytestmark = pytest.mark.slow

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
    return BtfTypes(Program(LITTLE_64), Btf(blob.build(), "little"))


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
