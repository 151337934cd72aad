# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Layouts
-------

Some members of a struct, decoded out of one read by one call. Where the members
are is decided once per program, with the types that it has; after that a struct
costs one memory read and no look-up. An Object gives the same values one by one,
about twenty times slower.
"""

import collections
import re
import struct
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from drgn import Program, Type, TypeKind, sizeof

from .errors import attempt
from .model import Unreadable

__all__ = ("Layout",)

_INTEGER = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _find(type: Type, path: str) -> Tuple[int, Type, Optional[int]]:
    # Offset in bits, type and bit-field size of a member such as
    # "xdp_state[0].prog".
    offset = 0
    bits: Optional[int] = None
    for part in re.findall(r"\w+|\[\d+\]", path):
        while type.kind == TypeKind.TYPEDEF:
            type = type.type
        if part.startswith("["):
            type = type.type
            offset += int(part[1:-1]) * sizeof(type) * 8
        else:
            member = type.member(part)
            offset += member.bit_offset
            bits = member.bit_field_size
            type = member.type
    return offset, type, bits


def _code(path: str, type: Type, bits: Optional[int]) -> str:
    while type.kind == TypeKind.TYPEDEF:
        type = type.type
    if type.kind == TypeKind.ARRAY:
        return f"{sizeof(type)}s"
    if type.kind == TypeKind.ENUM:
        # IF_OPER_* and the like: as many bytes, unsigned unless it says.
        type = type.type
    size = sizeof(type) if bits is None else bits // 8
    code = _INTEGER[size]
    signed = type.kind == TypeKind.INT and type.is_signed
    return code.lower() if signed else code


class Layout:
    """
    Members of a struct type.

    :param prog: Program
    :param type: Struct type
    :param members: Name of each value, and the member it is: a path such as
        ``"xdp_state[0].prog"``, or several of which the first that this kernel
        has is taken. A value for which it has none is None in every record.
    """

    def __init__(
        self,
        prog: Program,
        type: Type,
        members: Mapping[str, Union[str, Sequence[str]]],
    ) -> None:
        self.prog = prog
        self.size = type.size
        #: Where each value is in the struct, in bytes.
        self.offset: Dict[str, int] = {}
        absent: List[str] = []
        codes: Dict[str, str] = {}
        for name, paths in members.items():
            for path in [paths] if isinstance(paths, str) else paths:
                try:
                    offset, member, bits = _find(type, path)
                except LookupError:
                    continue
                if offset % 8 or (bits or 0) % 8:
                    raise ValueError(f"{path} is a bit-field within a byte")
                self.offset[name] = offset // 8
                codes[name] = _code(path, member, bits)
                break
            else:
                absent.append(name)
        present = sorted(self.offset, key=self.offset.__getitem__)
        assert prog.platform is not None
        little = bool(prog.platform.flags & prog.platform.flags.IS_LITTLE_ENDIAN)
        self._order = "<" if little else ">"
        self._fields = [
            (self.offset[name], struct.Struct(self._order + codes[name]))
            for name in present
        ]
        self._columns: Dict[str, struct.Struct] = {}
        text = self._order
        position = 0
        for name in present:
            text += f"{self.offset[name] - position}x{codes[name]}"
            position = self.offset[name] + struct.calcsize(self._order + codes[name])
        self._struct = struct.Struct(f"{text}{self.size - position}x")
        self._absent = (None,) * len(absent)
        record = collections.namedtuple(  # type: ignore[misc]
            "record", present + absent
        )
        self._make = record._make

    def decode(self, data: bytes, offset: int = 0) -> Any:
        """Return the record of a struct that was read already."""
        return self._make(self._struct.unpack_from(data, offset) + self._absent)

    def read(self, address: int) -> Any:
        """
        Read the struct at an address.

        :return: A record with an attribute for each value, an int, or bytes for
            an array. If the struct cannot be read in whole, each member is read
            for itself, and those that cannot be are
            :class:`~drgn_veth.model.Unreadable`.
        """
        try:
            data = self.prog.read(address, self.size)
        except Exception:  # Whatever it was, it will be said of each member.
            return self._read_members(address)
        return self._make(self._struct.unpack(data) + self._absent)

    def _read_members(self, address: int) -> Any:
        values: List[Any] = []
        for offset, one in self._fields:
            data = attempt(self.prog.read, address + offset, one.size)
            if isinstance(data, Unreadable):
                values.append(data)
            else:
                values.append(one.unpack(data)[0])
        return self._make(tuple(values) + self._absent)

    def is_zero(self, name: str, data: bytes, first: int = 0) -> bool:
        """
        Return whether one value of each struct of an array is 0: see
        :meth:`column()`.

        :param name: Name of the value; it is a pointer, and so is aligned
        """
        size, offset = self.size, self.offset[name]
        if size % 8 or offset % 8:
            return not any(self.column(name, data, first))
        words = memoryview(data).cast("Q")[(first * size + offset) // 8 :: size // 8]
        return not any(words.tolist())

    def column(self, name: str, data: bytes, first: int = 0) -> Tuple[int, ...]:
        """
        Return one value of each struct of an array that was read already.

        :param name: Name of the value; it is an int
        :param first: Index of the first struct
        """
        try:
            one = self._columns[name]
        except KeyError:
            offset, code = next(f for f in self._fields if f[0] == self.offset[name])
            behind = self.size - offset - code.size
            text = code.format
            one = struct.Struct(f"{text[:1]}{offset}x{text[1:]}{behind}x")
            self._columns[name] = one
        rest = memoryview(data)[first * self.size :]
        return tuple([value for (value,) in one.iter_unpack(rest)])

    def read_array(self, address: int, count: int) -> Iterator[Any]:
        """
        Read an array of the struct: see :meth:`read()`.

        :param count: How many; the caller has bounded it
        """
        if count != 1:
            data = attempt(self.prog.read, address, self.size * count)
            if not isinstance(data, Unreadable):
                for values in self._struct.iter_unpack(data):
                    yield self._make(values + self._absent)
                return
        for i in range(count):
            yield self.read(address + i * self.size)
