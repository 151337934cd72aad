# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arrays whose length stands elsewhere in memory."""

from typing import List

from drgn import Object

__all__ = ("array_values",)


def array_values(flexible: Object, count: int, limit: int, what: str) -> List[int]:
    """
    Return the first elements of a flexible array of integers or pointers.

    :param flexible: ``type []``, a reference
    :param count: How many there are, as kernel memory says
    :param limit: How many there can be
    :param what: What *count* counts, for the error
    :raises ValueError: if *count* is more than *limit*
    """
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
