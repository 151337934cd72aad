# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Strings in kernel memory
------------------------

drgn reads a string byte by byte, each byte by a read of its own. Of thousands of names,
these reads take more time than all others.
"""

from drgn import Program

from .errors import is_read_error
from .exact_reads import are_reads_exact

__all__ = ("read_c_string",)

# Longer than nearly all names, and a part of a page.
_BLOCK = 256


def read_c_string(prog: Program, address: int, max_size: int) -> bytes:
    """
    Read a string that ends with a zero byte.

    :param max_size: Most bytes to read; a string that does not end there is cut
    :raises FaultError: if it cannot be read
    """
    if are_reads_exact(prog):
        return prog.read_c_string(address, max_size=max_size)
    # Blocks are aligned: none reaches into another page.
    size = min(max_size, _BLOCK - address % _BLOCK)
    try:
        text, end, _ = prog.read(address, size).partition(b"\0")
    except Exception as e:
        # Perhaps only what is behind the string is missing.
        if not is_read_error(e):
            raise
        return prog.read_c_string(address, max_size=max_size)
    if end or size == max_size:
        return text
    return text + read_c_string(prog, address + size, max_size - size)
