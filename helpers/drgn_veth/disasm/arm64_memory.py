# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loads and stores of arm64."""

from typing import NamedTuple, Optional

__all__ = ("Memory", "memory_of", "signed_field")


def signed_field(word: int, low: int, size: int) -> int:
    """Return a signed number that some bits of an instruction are."""
    value = word >> low & ((1 << size) - 1)
    return value - (value >> size - 1 << size)


class Memory(NamedTuple):
    """What an instruction does in memory, and to registers."""

    base: int
    offset: Optional[int]  # None: that is in a register, too
    size: int  # of each operand
    number: int = 1  # of them
    reads: bool = True
    writes: bool = False
    changes: tuple[int, ...] = ()
    stores: tuple[int, ...] = ()


def memory_of(word: int) -> Optional[Memory]:
    """
    Return what a load or a store does. None: vectors, tags or whole blocks of memory,
    which the kernel has in functions of their own.
    """
    kind = word >> 27 & 7
    is_vector = bool(word >> 26 & 1)
    if kind == 5:
        return _pair(word, is_vector)
    if kind == 7:
        return _single(word, is_vector)
    if is_vector:
        return None
    if kind == 1 and not word >> 24 & 1:
        return _exclusive(word)
    if kind == 3 and word >> 24 & 1 and not word >> 21 & 1 and not word >> 10 & 3:
        return _ordered(word)
    return None


def _pair(word: int, is_vector: bool) -> Optional[Memory]:
    # ldp, stp
    opcode, loads = word >> 30, bool(word >> 22 & 1)
    base = word >> 5 & 31
    data: tuple[int, ...] = (word & 31, word >> 10 & 31)
    if not is_vector and opcode == 1 and not loads:
        return None  # stgp: a tag and two registers
    size = 4 << opcode if is_vector else 8 if opcode == 2 else 4
    how = word >> 23 & 3
    offset = (
        0 if how == 1 else size * signed_field(word, 15, 7)
    )  # 1: the base changes then
    if is_vector:
        data = ()
    changes = (data if loads else ()) + ((base,) if how & 1 else ())
    stores = () if loads else data
    return Memory(base, offset, size, 2, loads, not loads, changes, stores)


def _single(word: int, is_vector: bool) -> Optional[Memory]:
    # ldr, str and what is like them
    log, opcode = word >> 30, word >> 22 & 3
    target, base = word & 31, word >> 5 & 31
    if is_vector and opcode & 2:
        log = 4
    size = 1 << log
    loads = bool(opcode & 1) if is_vector else opcode != 0
    data: tuple[int, ...] = () if is_vector else (target,)
    how = word >> 10 & 3
    # That of ldadda and the like, swpa and ldapr is the same as that of prfm.
    is_atomic = not word >> 24 & 1 and word >> 21 & 1 and how == 0
    if not is_vector and log == 3 and opcode == 2 and not is_atomic:  # prfm
        data, size = (), 0
    offset: Optional[int] = None
    if word >> 24 & 1:
        offset = size * (word >> 10 & 0xFFF)
    elif not word >> 21 & 1:
        offset = 0 if how == 1 else signed_field(word, 12, 9)
        if how & 1:
            if loads:
                data += (base,)
            else:
                return Memory(base, offset, size, 1, False, True, (base,), data)
    elif how == 0:  # ldadd and the like, swp; ldapr only loads
        writes = word >> 12 & 15 != 12
        source = (word >> 16 & 31,) if writes else ()
        return Memory(base, 0, size, 1, True, writes, (target,), source)
    elif how != 2:
        return None  # ldraa
    if loads:
        return Memory(base, offset, size, 1, True, False, data)
    return Memory(base, offset, size, 1, False, True, (), data)


def _exclusive(word: int) -> Memory:
    # ldxr, stxr, ldar, stlr, cas
    log, base, target = word >> 30, word >> 5 & 31, word & 31
    loads, is_pair = bool(word >> 22 & 1), bool(word >> 21 & 1)
    status, second = word >> 16 & 31, word >> 10 & 31
    size, count = 1 << log, 1
    if is_pair and word >> 23 & 1:  # cas
        return Memory(base, 0, size, 1, True, True, (status,), (target,))
    if is_pair:
        size, count = 4 << (log & 1), 2
        if not word >> 31:  # casp
            changes = (status, status + 1)
            return Memory(base, 0, size, 2, True, True, changes, (target, target + 1))
    data = (target, second) if is_pair else (target,)
    if loads:
        return Memory(base, 0, size, count, True, False, data)
    changed = () if word >> 23 & 1 else (status,)
    return Memory(base, 0, size, count, False, True, changed, data)


def _ordered(word: int) -> Memory:
    # ldapur, stlur
    loads = word >> 22 & 3 != 0
    base, offset, size = word >> 5 & 31, signed_field(word, 12, 9), 1 << (word >> 30)
    data = (word & 31,)
    if loads:
        return Memory(base, offset, size, 1, True, False, data)
    return Memory(base, offset, size, 1, False, True, (), data)
