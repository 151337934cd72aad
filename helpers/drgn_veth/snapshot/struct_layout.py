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
import enum
import re
import struct
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from drgn import Program, Type, TypeKind, sizeof

from ..core.errors import attempt
from ..core.unreadable import Unreadable

__all__ = ("Kind", "Layout", "Member", "kind_of")

_INTEGER = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Kind(enum.Flag):
    """What a member is. Distributions make pointers of arrays, and the reverse."""

    NUMBER = enum.auto()
    POINTER = enum.auto()
    ARRAY = enum.auto()


class Member(NamedTuple):
    """A member of a struct that a Layout decodes."""

    #: Paths such as ``"xps_maps[0]"``; the first that this kernel has is taken.
    paths: Tuple[str, ...]
    #: What it has to be. A member of another kind is not read.
    kind: Kind = Kind.NUMBER
    #: Whether some kernels do not have it; the value is None there.
    optional: bool = False


def _without_typedefs(type: Type) -> Type:
    while type.kind == TypeKind.TYPEDEF:
        type = type.type
    return type


def kind_of(type: Type) -> Optional[Kind]:
    """Return the kind of a type, None if it is none of them."""
    kind = _without_typedefs(type).kind
    if kind in (TypeKind.INT, TypeKind.BOOL, TypeKind.ENUM):
        return Kind.NUMBER
    return {TypeKind.POINTER: Kind.POINTER, TypeKind.ARRAY: Kind.ARRAY}.get(kind)


class _Place(NamedTuple):
    offset: int  # in bits
    type: Type
    bits: Optional[int]


def _find(type: Type, path: str) -> _Place:
    """
    Find a member such as "xdp_state[0].prog".

    :raises LookupError: if there is no such member
    :raises TypeError: if a type on the way to it is of another kind
    """
    offset = 0
    bits: Optional[int] = None
    for part in re.findall(r"\w+|\[\d+\]", path):
        type = _without_typedefs(type)
        if part.startswith("["):
            index = int(part[1:-1])
            if type.kind != TypeKind.ARRAY or index >= (type.length or 0):
                raise TypeError(f"{type.type_name()} has no element {index}")
            type = type.type
            offset += index * sizeof(type) * 8
        else:
            member = type.member(part)
            offset += member.bit_offset
            bits = member.bit_field_size
            type = member.type
    return _Place(offset, type, bits)


def _place(type: Type, member: Member) -> Union[_Place, Unreadable, None]:
    where = f"{type.type_name()}.{member.paths[0]}"
    for path in member.paths:
        try:
            found = _find(type, path)
        except LookupError:
            continue
        except TypeError as e:
            return Unreadable(f"{where} has an unexpected type: {e}")
        kind = kind_of(found.type)
        if kind is None or kind not in member.kind or not _is_decodable(found):
            name = found.type.type_name()
            return Unreadable(f"{where} has an unexpected type: {name}")
        return found
    return None if member.optional else Unreadable(f"this kernel has no {where}")


def _is_decodable(place: _Place) -> bool:
    # Whole bytes, and as many as struct knows.
    try:
        _code(place.type, place.bits)
    except (KeyError, TypeError, ValueError):
        return False
    return not place.offset % 8 and not (place.bits or 0) % 8


def _code(type: Type, bits: Optional[int]) -> str:
    type = _without_typedefs(type)
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
    :param members: Name of each value, and the member it is. A value whose member is
        not there, or is of another kind, is
        :class:`~drgn_veth.core.unreadable.Unreadable` in every record; None if it is
        optional.
    """

    def __init__(
        self,
        prog: Program,
        type: Type,
        members: Mapping[str, Member],
    ) -> None:
        self.prog = prog
        self.size = type.size
        #: Where each value is in the struct, in bytes.
        self.offset: Dict[str, int] = {}
        self._missing: Dict[str, Optional[Unreadable]] = {}
        absent = self._missing
        codes: Dict[str, str] = {}
        for name, member in members.items():
            place = _place(type, member)
            if place is None or isinstance(place, Unreadable):
                absent[name] = place
                continue
            self.offset[name] = place.offset // 8
            codes[name] = _code(place.type, place.bits)
        present = self._apart(codes)
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
        self._absent = tuple(absent.values())
        record = collections.namedtuple(  # type: ignore[misc]
            "record", [*present, *absent]
        )
        self._make = record._make

    def _apart(self, codes: Mapping[str, str]) -> List[str]:
        # The values in the order of the struct, without those that others overlap.
        present: List[str] = []
        end = 0
        for name in sorted(self.offset, key=self.offset.__getitem__):
            if self.offset[name] < end:
                self._missing[name] = Unreadable(f"{name} overlaps {present[-1]}")
                del self.offset[name]
            else:
                present.append(name)
                end = self.offset[name] + struct.calcsize("<" + codes[name])
        return present

    def decode(self, data: bytes, offset: int = 0) -> Any:
        """Return the record of a struct that was read already."""
        return self._make(self._struct.unpack_from(data, offset) + self._absent)

    def read(self, address: int) -> Any:
        """
        Read the struct at an address.

        :return: A record with an attribute for each value, an int, or bytes for
            an array. If the struct cannot be read in whole, each member is read
            for itself, and those that cannot be are
            :class:`~drgn_veth.core.unreadable.Unreadable`.
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

    def _offset(self, name: str) -> int:
        try:
            return self.offset[name]
        except KeyError:
            why = self._missing[name]
            raise LookupError(why.reason if why else f"no member {name}") from None

    def is_zero(self, name: str, data: bytes, first: int = 0) -> bool:
        """
        Return whether one value of each struct of an array is 0: see
        :meth:`column()`.

        :param name: Name of the value; it is a pointer, and so is aligned
        :raises LookupError: if this kernel does not have it
        """
        size, offset = self.size, self._offset(name)
        if size % 8 or offset % 8:
            return not any(self.column(name, data, first))
        words = memoryview(data).cast("Q")[(first * size + offset) // 8 :: size // 8]
        return not any(words.tolist())

    def column(self, name: str, data: bytes, first: int = 0) -> Tuple[int, ...]:
        """
        Return one value of each struct of an array that was read already.

        :param name: Name of the value; it is an int
        :raises LookupError: if this kernel does not have it
        :param first: Index of the first struct
        """
        try:
            one = self._columns[name]
        except KeyError:
            offset = self._offset(name)
            code = next(code for at, code in self._fields if at == offset)
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
