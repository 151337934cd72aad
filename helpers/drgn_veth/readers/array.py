# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arrays
------

Distributions may turn an array into a pointer, and the length of a flexible array is
stored elsewhere.

Upstream: all; drgn has no such helpers.
"""

from drgn import Object, TypeKind

__all__ = ("array_values", "expect_array")


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
