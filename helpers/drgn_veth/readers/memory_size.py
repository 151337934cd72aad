# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much memory there is
------------------------

There cannot be more objects than there is memory for them: a list of more is damaged.

Upstream: nothing.
"""

from drgn import Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.budget import MAX_LIST_ENTRIES
from ..core.errors import attempt
from ..core.unreadable import Unreadable

__all__ = ("most_that_fit", "totalram_pages")

#: So many there may be, however little memory there is said to be.
_FEWEST = 1 << 12


@takes_program_or_default
def totalram_pages(prog: Program) -> int:
    """
    Return how many pages the kernel manages, as totalram_pages() does
    (include/linux/mm.h).

    :return: ``unsigned long``
    :raises LookupError: if the symbol is missing
    """
    # Since Linux kernel commit ("mm: convert totalram_pages and totalhigh_pages
    # variables to atomic") (in v5.0), it is an atomic_long_t.
    return prog["_totalram_pages"].counter.value_()


@takes_program_or_default
def most_that_fit(prog: Program, size: int) -> int:
    """
    Return how many objects fit into the memory of a kernel.

    :param size: The least that one of them takes, with all that belongs to it, in bytes
    :return: No more than :data:`MAX_LIST_ENTRIES`, which is the answer, too, where the
        size of the memory is not known
    """
    pages = attempt(totalram_pages, prog)
    if isinstance(pages, Unreadable):
        return MAX_LIST_ENTRIES
    memory = pages * prog["PAGE_SIZE"].value_()
    return max(_FEWEST, min(MAX_LIST_ENTRIES, memory // size))
