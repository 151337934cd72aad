# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arrays
------

Distributions may turn an array into a pointer, and the length of a flexible array is
stored elsewhere.

Upstream: all; drgn has no such helpers.
"""

from collections.abc import Iterator
import struct

from drgn import Object, Program, TypeKind, sizeof

from ..core.budget import MAX_LIST_ENTRIES, budget_of
from ..core.byte_order import byteorder, struct_order
from ..core.salvage import Salvage

__all__ = ("array_values", "expect_array", "for_each_pointer")

_CHUNK = 1 << 13  # pointers that are read at once


def expect_array(member: Object) -> Object:
    """
    Return a member that should be an array.

    :param member: Member of a struct, a reference
    :return: *member*
    :raises ValueError: if it is not an array in this kernel
    """
    if member.type_.unaliased_kind() != TypeKind.ARRAY:
        raise ValueError(f"expected an array, found {member.type_.type_name()}")
    return member


def array_values(flexible: Object, count: int, limit: int, what: str) -> list[int]:
    """
    Return the first elements of a flexible array of integers or pointers.

    :param flexible: ``type []``, a reference
    :param count: How many there are, according to kernel memory
    :param limit: How many are possible
    :param what: Name of *count*, for the error
    :raises ValueError: if *count* is more than *limit*, or if it is not an array
    """
    expect_array(flexible)
    if count > limit:
        raise ValueError(f"{what} is {count}, more than possible ({limit})")
    if not count:
        return []
    prog = flexible.prog_
    array = Object(
        prog,
        prog.array_type(flexible.type_.type, count),
        address=flexible.address_,
    )
    return array.value_()


def for_each_pointer(
    prog: Program, address: int, count: int, what: str = ""
) -> Iterator[tuple[int, int]]:
    """
    Iterate over the pointers of an array that are not ``NULL``.

    :param address: Of the array
    :param count: How many pointers it has, according to kernel memory
    :param what: What the array is, for the error: ``"a map of CPUs: "``
    :return: Iterator of indexes and pointers
    :raises WalkError: after all that could be reached, if a part could not be read, or
        if there are more than ``MAX_LIST_ENTRIES``
    """
    word = sizeof(prog.type("void *"))
    code = struct_order(byteorder(prog)) + ("Q" if word == 8 else "I")
    unpack = struct.Struct(code).iter_unpack
    salvage = Salvage(what)
    if count > MAX_LIST_ENTRIES:
        salvage.lose(f"an array of {count} pointers: gave up")
        count = MAX_LIST_ENTRIES
    budget = budget_of(prog)
    for start in range(0, count, _CHUNK):
        budget.step()
        size = min(_CHUNK, count - start) * word
        data = salvage.read(prog.read, address + start * word, size)
        if data is None or not any(data):
            continue
        for i, (pointer,) in enumerate(unpack(data), start):
            if pointer:
                budget.step()
                yield i, pointer
    salvage.finish()
