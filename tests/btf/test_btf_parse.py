# SPDX-License-Identifier: LGPL-2.1-or-later
"""BTF that is broken is refused: made by hand."""

from typing import Callable

from drgn import Program
from drgn_veth.btf.parse import Btf, BtfError, Kind
from drgn_veth.btf.types import BtfTypes
import pytest

from tests.support.bounds import takes_less_than
from tests.support.btf.blob import Blob
from tests.support.btf.look import SECONDS, within_bounds
from tests.support.btf.platforms import LITTLE_64


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


@pytest.mark.slow
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
    types = BtfTypes(Program(LITTLE_64), Btf(data, "little"))
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
