# SPDX-License-Identifier: LGPL-2.1-or-later
"""Strings and structs that are read at once, and those that are read exactly."""

from drgn import FaultError, offsetof
from drgn_veth.core.c_string import read_c_string
from drgn_veth.core.exact_reads import read_exactly
from drgn_veth.core.sparse_layout import SpanLayout, SparseLayout
from drgn_veth.core.struct_layout import Members, number
import pytest

from tests.support.toy import BASE, NOWHERE, SIZE, Toy


class Few(Members):
    first = number("first")
    last = number("last")


class More(Few):
    between = number("between")


def _read_of(toy: Toy) -> list[tuple[int, int]]:
    # Which reads a toy sees from now on: address and size.
    reads: list[tuple[int, int]] = []
    below = toy.read

    def read(address: int, count: int, offset: int, physical: bool) -> bytes:
        reads.append((address, count))
        return below(address, count, offset, physical)

    toy.prog.add_memory_segment(BASE, SIZE, read)
    return reads


@pytest.mark.parametrize("length", [0, 1, 75, 255, 256, 300, 600])
def test_string(toy: Toy, length: int) -> None:
    toy.text(b"x" * 100)
    text = b"ab" * (length // 2) + b"c" * (length % 2)
    address = toy.text(text)
    for size in (1, 16, length, length + 1, 700):
        if size:
            assert read_c_string(toy.prog, address, size) == text[:size]


def test_string_at_the_end_of_memory(toy: Toy) -> None:
    """What is behind it cannot be read."""
    address = NOWHERE - 4
    toy.put(address, "4B", *b"end\0")
    assert read_c_string(toy.prog, address, 16) == b"end"
    toy.put(address, "4B", *b"end!")
    with pytest.raises(FaultError):
        read_c_string(toy.prog, address, 16)
    with pytest.raises(FaultError):
        read_c_string(toy.prog, NOWHERE, 16)


def test_string_takes_one_read(toy: Toy) -> None:
    address = toy.text(b"docker-0123456789.scope")
    reads = _read_of(toy)
    read_c_string(toy.prog, address, 256)
    assert len(reads) == 1


def test_exact_string(toy: Toy) -> None:
    """Nothing behind it is read: a slice keeps what is read."""
    address = toy.text(b"name")
    toy.text(b"someone else's")
    read_exactly(toy.prog)
    reads = _read_of(toy)
    assert read_c_string(toy.prog, address, 256) == b"name"
    assert max(at + size for at, size in reads) == address + len(b"name\0")


def _struct(toy: Toy) -> int:
    padding = toy.prog.array_type(toy.prog.type("char"), 1000)
    toy.struct("large", first="int", a=padding, between="int", b=padding, last="int")
    address = toy.place("struct large")
    toy.set("struct large", address, first=1, between=2, last=3)
    return address


def _layout(toy: Toy) -> "SpanLayout[Few]":
    type = toy.prog.type("struct large")
    return SpanLayout(toy.prog, type, More, SparseLayout(toy.prog, type, Few))


def test_span(toy: Toy) -> None:
    address = _struct(toy)
    layout = _layout(toy)
    reads = _read_of(toy)
    record = layout.read(address)
    assert isinstance(record, tuple) and set(record) == {1, 2, 3}
    assert (record.first, record.last) == (1, 3)
    end = offsetof(toy.prog.type("struct large"), "last") + 4
    assert reads == [(address, end)]


def test_span_with_a_hole(toy: Toy) -> None:
    """As in a slice: the parts are read, of this one and of all others."""
    address = _struct(toy)
    other = toy.place("struct large")

    def hole(address: int, count: int, offset: int, physical: bool) -> bytes:
        raise FaultError("nothing is there", address)

    toy.prog.add_memory_segment(address + 1000, 16, hole)
    layout = _layout(toy)
    record = layout.read(address)
    assert (record.first, record.last) == (1, 3)
    assert not hasattr(record, "between")
    reads = _read_of(toy)
    layout.read(other)
    assert [size for _, size in reads] == [4, 4]
