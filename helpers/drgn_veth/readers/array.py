# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Arrays
------

Distributions may make pointers of them, and the length of a flexible one is elsewhere.

Upstream: all, as drgn has neither.
"""

from drgn import Object, TypeKind

__all__ = ("array_values", "expect_array")


def expect_array(member: Object) -> Object:
    """
    Return a member that is known to be an array.

    :raises ValueError: if it is something else in this kernel
    """
    if member.type_.unaliased_kind() != TypeKind.ARRAY:
        raise ValueError(f"expected an array, found {member.type_.type_name()}")
    return member


def array_values(flexible: Object, count: int, limit: int, what: str) -> list[int]:
    """
    Return the first elements of a flexible array of integers or pointers.

    :param flexible: ``type []``, a reference
    :param count: How many there are, as kernel memory says
    :param limit: How many there can be
    :param what: What *count* counts, for the error
    :raises ValueError: if *count* is more than *limit*, or it is no array
    """
    expect_array(flexible)
    if count > limit:
        raise ValueError(f"{what} is {count}, more than there can be ({limit})")
    if not count:
        return []
    prog = flexible.prog_
    array = Object(
        prog,
        prog.array_type(flexible.type_.type, count),
        address=flexible.address_,
    )
    return array.value_()
