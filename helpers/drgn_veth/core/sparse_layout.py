# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Layouts of large structs
------------------------

A :class:`~drgn_veth.core.struct_layout.Layout` reads a struct as a whole. Of a struct
of several pages, that would be far more than its members. What is between these may be
read with them, or not: see :mod:`drgn_veth.core.exact_reads`.
"""

import struct
from typing import TypeVar

import drgn
from drgn import Program

from .struct_layout import Layout, Members

__all__ = ("SpanLayout", "SparseLayout")

R = TypeVar("R", bound=Members)


class SparseLayout(Layout[R]):
    """
    A few members of a large struct: only the parts that they are in are read, and so
    only these get into a slice.
    """

    _FAR = 256  # Bytes between two members that are not read together.

    def __init__(self, prog: Program, type: drgn.Type, declared: type[R]) -> None:
        super().__init__(prog, type, declared)
        # Where each part is, and its size.
        self._parts: list[tuple[int, int]] = []
        text = self._order
        start = end = -self._FAR
        for offset, one in self._fields:
            if offset - end < self._FAR:
                text += f"{offset - end}x"
                self._parts.pop()
            else:
                start = offset
            end = offset + one.size
            text += one.format[1:]
            self._parts.append((start, end - start))
        self._joined = struct.Struct(text)

    def read(self, address: int) -> R:
        """
        Read the members of the struct at an address: see
        :meth:`~drgn_veth.core.struct_layout.Layout.read()`.
        """
        if self.by_member:
            return self._read_members(address)
        read = self.prog.read
        try:
            data = b"".join([read(address + at, size) for at, size in self._parts])
        except Exception:  # Each member gets its own error.
            return self._read_members(address)
        values = self._joined.unpack(data)
        return self._make(values + self._absent if self._absent else values)


class SpanLayout(Layout[R]):
    """
    A few members of a large struct: all from the first to the last is read at once.

    :param otherwise: What reads the struct if that fails, and all others then: a slice
        has only parts of them. Its records may have fewer values.
    """

    def __init__(
        self,
        prog: Program,
        type: drgn.Type,
        declared: type[R],
        otherwise: Layout[R],
    ) -> None:
        super().__init__(prog, type, declared)
        self._otherwise = otherwise
        self._is_whole = True

    def read(self, address: int) -> R:
        """
        Read the members of the struct at an address: see
        :meth:`~drgn_veth.core.struct_layout.Layout.read()`.
        """
        if self._is_whole:
            span = self._span
            try:
                data = self.prog.read(address + self._start, span.size)
            except Exception:
                self._is_whole = False
            else:
                return self._make(span.unpack(data) + self._absent)
        return self._otherwise.read(address)
