# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BTF types that can be made
--------------------------

Every type is checked before it is made, and refused if it contains itself, is absurdly
large, or has members that are not within it.
"""

from typing import NamedTuple, Optional

from .parse import Btf, BtfError, Kind, Record

__all__ = ("FLOAT_SIZES", "STRUCTS", "TRANSPARENT", "Extent", "Member", "SoundTypes")

_MAX_DEPTH = 64
# What a type consists of, all that it contains counted: struct task_struct has
# a few thousand.
_MAX_PARTS = 1 << 16
_MAX_STRUCT = 1 << 24
_MAX_ARRAY = 1 << 28

#: Kinds that are only another name, or a qualifier, of the type that they refer to.
TRANSPARENT = frozenset(
    (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG, Kind.TYPEDEF)
)
STRUCTS = frozenset((Kind.STRUCT, Kind.UNION))
_ENUMS = frozenset((Kind.ENUM, Kind.ENUM64))
_NEVER_A_SIZE = frozenset((Kind.VOID, Kind.FUNC_PROTO))
_NOT_TYPES = frozenset((Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG))

_INT_SIZES = (1, 2, 4, 8, 16)
FLOAT_SIZES = (2, 4, 8, 12, 16)
_ENUM_SIZES = (1, 2, 4, 8)


class Extent(NamedTuple):
    """The result of a type check."""

    size: int
    parts: int


class Member(NamedTuple):
    """A member of a struct or union."""

    name: int
    type: int
    bit_offset: int
    bit_field_size: int  # 0: it is none


def _bits_of_int(record: Record) -> tuple[int, int]:
    # Offset and size within the bytes: old BTF has bit-fields that way.
    word = record.tail[0]
    return word >> 16 & 0xFF, word & 0xFF


class SoundTypes:
    """
    The types of one BTF blob, each checked once.

    :param btf: The blob
    :param address_size: Of the program, in bytes
    :param base: The types of its base, if it has one
    """

    def __init__(
        self, btf: Btf, address_size: int, base: Optional["SoundTypes"] = None
    ) -> None:
        self._btf = btf
        self._base = base
        self._address_size = address_size
        self._extents: dict[tuple[int, bool], Extent] = {}
        self._looking: set[tuple[int, bool]] = set()

    def members(self, record: Record) -> list[Member]:
        """Return the members of a struct or union."""
        tail = record.tail
        members = []
        for pos in range(0, len(tail), 3):
            name, type, offset = tail[pos], tail[pos + 1], tail[pos + 2]
            bits = 0
            if record.flag:
                offset, bits = offset & 0xFFFFFF, offset >> 24
            if not bits:
                target = self._unaliased(type)
                if target.kind == Kind.INT:
                    int_offset, int_bits = _bits_of_int(target)
                    offset += int_offset
                    bits = int_bits if int_bits != 8 * target.size else 0
            members.append(Member(name, type, offset, bits))
        return members

    def _unaliased(self, id: int) -> Record:
        for _ in range(_MAX_DEPTH):
            record = self._btf.record(id)
            if record.kind not in TRANSPARENT:
                return record
            id = record.size
        raise BtfError(f"BTF type {id} is only another name for itself")

    def look(self, id: int, by_value: bool) -> Extent:
        """
        Look through a type.

        :param by_value: Whether it has to have a size. The check ends at a struct
            behind a pointer, which is made without its members. Everything else that it
            reaches is made at once.
        :raises BtfError: if drgn could not handle it
        """
        if self._base and id < self._btf.first_id:
            return self._base.look(id, by_value)
        key = (id, by_value)
        known = self._extents.get(key)
        if known:
            return known
        if key in self._looking:
            raise BtfError(f"BTF type {id} contains itself")
        if len(self._looking) >= _MAX_DEPTH:
            raise BtfError(f"BTF type {id} is nested more than {_MAX_DEPTH} deep")
        self._looking.add(key)
        try:
            extent = self._look(id, self._btf.record(id), by_value)
        finally:
            self._looking.remove(key)
        if extent.parts > _MAX_PARTS:
            raise BtfError(f"BTF type {id} has more than {_MAX_PARTS} parts")
        self._extents[key] = extent
        return extent

    def _look(self, id: int, record: Record, by_value: bool) -> Extent:
        kind = record.kind
        if kind in STRUCTS:
            self._btf.string(record.name)
            if not by_value:
                return Extent(record.size, 1)
            return self._look_into_struct(id, record)
        if kind in TRANSPARENT:
            self._btf.string(record.name)
            return self.look(record.size, by_value)
        if kind == Kind.PTR:
            return Extent(self._address_size, self.look(record.size, False).parts)
        if kind == Kind.ARRAY:
            type, _, count = record.tail
            size, parts = self.look(type, by_value)
            self._must_have_size(type, by_value)
            if size * count > _MAX_ARRAY or count > _MAX_ARRAY:
                raise BtfError(f"BTF type {id} is an array of {count} elements")
            return Extent(size * count, parts)
        if kind == Kind.FUNC_PROTO:
            parts = 1 + self.look(record.size, False).parts
            for name, type in zip(record.tail[::2], record.tail[1::2]):
                self._btf.string(name)
                parts += self.look(type, False).parts
            return Extent(0, parts)
        if kind in _NOT_TYPES:
            raise BtfError(f"BTF type {id} is not a type but a {Kind(kind).name}")
        self._look_at_leaf(id, record)
        return Extent(0 if kind == Kind.FWD else record.size, 1)

    def _look_into_struct(self, id: int, record: Record) -> Extent:
        size = record.size
        if size > _MAX_STRUCT:
            raise BtfError(f"BTF type {id} has {size} bytes")
        parts = 1
        for member in self.members(record):
            self._btf.string(member.name)
            extent = self.look(member.type, True)
            self._must_have_size(member.type, True)
            parts += extent.parts
            bits = member.bit_field_size
            if bits:
                sound = bits <= 8 * extent.size and self._is_integer(member.type)
            else:
                bits = 8 * extent.size
                sound = not member.bit_offset % 8
            if not sound or member.bit_offset + bits > 8 * size:
                raise BtfError(
                    f"member {self._btf.string(member.name)!r} of BTF type {id} is "
                    "not within it"
                )
        return Extent(size, parts)

    def _must_have_size(self, id: int, now: bool) -> None:
        # Behind a pointer, an array may be of what is only declared.
        record = self._unaliased(id)
        kind = record.kind
        declared = kind == Kind.FWD or (kind in _ENUMS and not record.vlen)
        if kind in _NEVER_A_SIZE or (now and declared):
            raise BtfError(f"BTF type {id} has no size, but is part of another")

    def _is_integer(self, id: int) -> bool:
        kind = self._unaliased(id).kind
        return kind == Kind.INT or kind in _ENUMS

    def _look_at_leaf(self, id: int, record: Record) -> None:
        self._btf.string(record.name)
        kind, size = record.kind, record.size
        sound = True
        if kind == Kind.INT:
            offset, bits = _bits_of_int(record)
            sound = size in _INT_SIZES and 0 < bits and offset + bits <= 8 * size
        elif kind == Kind.FLOAT:
            sound = size in FLOAT_SIZES
        elif kind in _ENUMS:
            sound = size in _ENUM_SIZES
            for name in record.tail[:: 2 if kind == Kind.ENUM else 3]:
                self._btf.string(name)
        if not sound:
            raise BtfError(f"BTF type {id} cannot have {size} bytes")
