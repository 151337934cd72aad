# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn types from BTF
-------------------

A type is made when it is first asked for, its members when they are first looked
at. What drgn could not bear, it never gets to see: a type is looked through
before it is made, and refused if it contains itself or is absurdly large.
"""

import functools
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from drgn import (
    Architecture,
    Object,
    PlatformFlags,
    Program,
    Qualifiers,
    Type,
    TypeEnumerator,
    TypeMember,
    TypeParameter,
)

from .parse import Btf, BtfError, Kind, Record

__all__ = ("BtfTypes",)

_MAX_DEPTH = 64
# What a type consists of, all that it contains counted: struct task_struct has
# a few thousand.
_MAX_PARTS = 1 << 16
_MAX_STRUCT = 1 << 24
_MAX_ARRAY = 1 << 28

_INT_SIGNED = 1 << 0
_INT_BOOL = 1 << 2

_QUALIFIERS = {
    Kind.CONST: Qualifiers.CONST,
    Kind.VOLATILE: Qualifiers.VOLATILE,
    Kind.RESTRICT: Qualifiers.RESTRICT,
}
_TRANSPARENT = frozenset((*_QUALIFIERS, Kind.TYPE_TAG, Kind.TYPEDEF))
_WRAPPERS = frozenset((*_TRANSPARENT, Kind.PTR, Kind.ARRAY, Kind.FUNC_PROTO))
_STRUCTS = frozenset((Kind.STRUCT, Kind.UNION))
_ENUMS = frozenset((Kind.ENUM, Kind.ENUM64))
_NEVER_A_SIZE = frozenset((Kind.VOID, Kind.FUNC_PROTO))
_NOT_TYPES = frozenset((Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG))

_FLOATS = frozenset(("float", "double", "long double"))
_INT_SIZES = (1, 2, 4, 8, 16)
_FLOAT_SIZES = (2, 4, 8, 12, 16)
_INT_NAMES = {1: "char", 2: "short", 4: "int", 8: "long"}


class _Extent(NamedTuple):
    # What a look through a type has found.
    size: int
    parts: int


class _Member(NamedTuple):
    name: int
    type: int
    bit_offset: int
    bit_field_size: int  # 0: it is none


def _bits_of_int(record: Record) -> Tuple[int, int]:
    # Offset and size within the bytes: old BTF has bit-fields that way.
    word = record.tail[0]
    return word >> 16 & 0xFF, word & 0xFF


class BtfTypes:
    """
    The types of one BTF blob, as types of a program.

    :param prog: Program that the types are made for
    :param btf: The blob
    :param base: The types of its base, if it has one
    """

    def __init__(
        self, prog: Program, btf: Btf, base: Optional["BtfTypes"] = None
    ) -> None:
        assert (base.btf if base else None) is btf.base
        self.prog = prog
        self.btf: Btf = btf
        self.base = base
        platform = prog.platform
        assert platform is not None
        self._address_size = 8 if platform.flags & PlatformFlags.IS_64_BIT else 4
        self._made: Dict[int, Type] = {}
        self._extents: Dict[Tuple[int, bool], _Extent] = {}
        self._looking: Set[Tuple[int, bool]] = set()
        self._tells_signed: Optional[bool] = None
        self._signed_chars: Optional[bool] = None
        self._is_x86 = platform.arch in (Architecture.X86_64, Architecture.I386)
        self._make_leaf: Dict[int, Callable[[Record], Type]] = {
            Kind.VOID: lambda record: prog.void_type(),
            Kind.INT: self._int,
            Kind.FLOAT: self._float,
            Kind.ENUM: self._enum,
            Kind.ENUM64: self._enum,
        }

    # Looking through

    def _members(self, record: Record) -> List[_Member]:
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
            members.append(_Member(name, type, offset, bits))
        return members

    def _unaliased(self, id: int) -> Record:
        for _ in range(_MAX_DEPTH):
            record = self.btf.record(id)
            if record.kind not in _TRANSPARENT:
                return record
            id = record.size
        raise BtfError(f"BTF type {id} is a name for a name for itself")

    def _extent(self, id: int, by_value: bool) -> _Extent:
        # Behind a pointer, a struct ends what is looked at: it is made without
        # its members. All else that is reached is made at once.
        if self.base and id < self.btf.first_id:
            return self.base._extent(id, by_value)
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
            extent = self._look(id, self.btf.record(id), by_value)
        finally:
            self._looking.remove(key)
        if extent.parts > _MAX_PARTS:
            raise BtfError(f"BTF type {id} has more than {_MAX_PARTS} parts")
        self._extents[key] = extent
        return extent

    def _look(self, id: int, record: Record, by_value: bool) -> _Extent:
        kind = record.kind
        if kind in _STRUCTS:
            self.btf.string(record.name)
            if not by_value:
                return _Extent(record.size, 1)
            return self._look_into_struct(id, record)
        if kind in _TRANSPARENT:
            self.btf.string(record.name)
            return self._extent(record.size, by_value)
        if kind == Kind.PTR:
            return _Extent(self._address_size, self._extent(record.size, False).parts)
        if kind == Kind.ARRAY:
            type, _, count = record.tail
            size, parts = self._extent(type, by_value)
            self._must_have_size(type, by_value)
            if size * count > _MAX_ARRAY or count > _MAX_ARRAY:
                raise BtfError(f"BTF type {id} is an array of {count} elements")
            return _Extent(size * count, parts)
        if kind == Kind.FUNC_PROTO:
            parts = 1 + self._extent(record.size, False).parts
            for name, type in zip(record.tail[::2], record.tail[1::2]):
                self.btf.string(name)
                parts += self._extent(type, False).parts
            return _Extent(0, parts)
        if kind in _NOT_TYPES:
            raise BtfError(f"BTF type {id} is no type: it is a {Kind(kind).name}")
        self._look_at_leaf(id, record)
        return _Extent(0 if kind == Kind.FWD else record.size, 1)

    def _look_into_struct(self, id: int, record: Record) -> _Extent:
        size = record.size
        if size > _MAX_STRUCT:
            raise BtfError(f"BTF type {id} has {size} bytes")
        parts = 1
        for member in self._members(record):
            self.btf.string(member.name)
            extent = self._extent(member.type, True)
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
                    f"member {self.btf.string(member.name)!r} of BTF type {id} is "
                    "not within it"
                )
        return _Extent(size, parts)

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
        self.btf.string(record.name)
        kind, size = record.kind, record.size
        sound = True
        if kind == Kind.INT:
            offset, bits = _bits_of_int(record)
            sound = size in _INT_SIZES and 0 < bits and offset + bits <= 8 * size
        elif kind == Kind.FLOAT:
            sound = size in _FLOAT_SIZES
        elif kind in _ENUMS:
            sound = size in _INT_NAMES
            for name in record.tail[:: 2 if kind == Kind.ENUM else 3]:
                self.btf.string(name)
        if not sound:
            raise BtfError(f"BTF type {id} cannot have {size} bytes")

    # Making

    def type(self, id: int) -> Type:
        """
        Return a type.

        :raises BtfError: if it cannot be made
        """
        self._extent(id, True)
        return self._type(id)

    def _type(self, id: int) -> Type:
        # The caller has looked through it.
        wrappers: List[Tuple[int, Record]] = []
        while True:
            owner = self._owner(id)
            made = owner._made.get(id)
            if made is not None:
                break
            record = owner.btf.record(id)
            if record.kind not in _WRAPPERS:
                made = owner._made[id] = owner._leaf(id, record)
                break
            wrappers.append((id, record))
            id = record.tail[0] if record.kind == Kind.ARRAY else record.size
        for id, record in reversed(wrappers):
            owner = self._owner(id)
            made = owner._made[id] = owner._wrap(record, made)
        return made

    def _owner(self, id: int) -> "BtfTypes":
        if self.base and id < self.btf.first_id:
            return self.base
        return self

    def _wrap(self, record: Record, type: Type) -> Type:
        kind = record.kind
        if kind == Kind.PTR:
            return self.prog.pointer_type(type)
        if kind == Kind.TYPEDEF:
            return self.prog.typedef_type(self.btf.string(record.name), type)
        if kind == Kind.ARRAY:
            # BTF does not tell "[]" from "[0]".
            return self.prog.array_type(type, record.tail[2] or None)
        if kind == Kind.FUNC_PROTO:
            return self._function(record, type)
        if kind == Kind.TYPE_TAG:
            return type
        return type.qualified(type.qualifiers | _QUALIFIERS[Kind(kind)])

    def _function(self, record: Record, type: Type) -> Type:
        parameters = list(zip(record.tail[::2], record.tail[1::2]))
        is_variadic = bool(parameters) and parameters[-1] == (0, 0)
        if is_variadic:
            parameters.pop()
        return self.prog.function_type(
            type,
            [
                TypeParameter(
                    functools.partial(self._type, parameter),
                    self.btf.string(name) or None,
                )
                for name, parameter in parameters
            ],
            is_variadic,
        )

    def _leaf(self, id: int, record: Record) -> Type:
        if record.kind in _STRUCTS:
            return self._struct(id, record)
        if record.kind == Kind.FWD:
            return self._forward(record)
        return self._make_leaf[record.kind](record)

    def _int(self, record: Record) -> Type:
        name = self.btf.string(record.name)
        encoding = record.tail[0] >> 24
        if encoding & _INT_BOOL:
            return self.prog.bool_type(name, record.size)
        if name in _FLOATS and record.size in _FLOAT_SIZES:
            return self.prog.float_type(name, record.size)  # before Kind.FLOAT
        is_signed = bool(encoding & _INT_SIGNED)
        if not is_signed and record.size == 1 and not self._tells_signed_chars():
            is_signed = name == "signed char" or (name == "char" and self._is_x86)
        return self.prog.int_type(name, record.size, is_signed)

    def _tells_signed_chars(self) -> bool:
        # pahole up to 1.20 did not mark even signed char as signed.
        root = self.base or self
        if root._signed_chars is None:
            btf = root.btf
            root._signed_chars = not any(
                not btf.record(id).tail[0] >> 24 & _INT_SIGNED
                for id in btf.find("signed char")
                if btf.kind(id) == Kind.INT
            )
        return root._signed_chars

    def _float(self, record: Record) -> Type:
        return self.prog.float_type(self.btf.string(record.name), record.size)

    def _enum_is_signed(self, record: Record) -> bool:
        # Since Linux kernel commit 6089fb325cf7 ("bpf: Add btf enum64 support")
        # (in v6.0), a flag says so. Before that nothing does, and -1 is more
        # likely than 0xffffffff.
        if record.flag or record.kind == Kind.ENUM64:
            return record.flag
        root = self.base or self
        if root._tells_signed is None:
            btf = root.btf
            root._tells_signed = any(btf.of_kind(Kind.ENUM64)) or any(
                btf.record(id).flag for id in btf.of_kind(Kind.ENUM)
            )
        return not root._tells_signed and any(
            value >= 0xFFFFF000 for value in record.tail[1::2]
        )

    def _enumerators(self, record: Record, is_signed: bool) -> List[TypeEnumerator]:
        tail = record.tail
        names = map(self.btf.string, tail[:: 2 if record.kind == Kind.ENUM else 3])
        if record.kind == Kind.ENUM:
            bits, values = 32, list(tail[1::2])
        else:
            bits = 64
            values = [low | high << 32 for low, high in zip(tail[1::3], tail[2::3])]
        bits = min(bits, 8 * record.size)
        mask, sign = (1 << bits) - 1, 1 << (bits - 1)
        values = [value & mask for value in values]
        if is_signed:
            values = [(value ^ sign) - sign for value in values]
        return list(map(TypeEnumerator, names, values))

    def _enum(self, record: Record) -> Type:
        name = self.btf.string(record.name) or None
        if not record.vlen:
            return self.prog.enum_type(name)  # a forward declaration
        is_signed = self._enum_is_signed(record)
        return self.prog.enum_type(
            name,
            self.prog.int_type(
                ("" if is_signed else "unsigned ") + _INT_NAMES[record.size],
                record.size,
                is_signed,
            ),
            self._enumerators(record, is_signed),
        )

    def _forward(self, record: Record) -> Type:
        name = self.btf.string(record.name)
        kind = Kind.UNION if record.flag else Kind.STRUCT
        whole = [id for id in self._find(name) if self.btf.kind(id) == kind]
        if len(whole) == 1:
            return self._type(whole[0])
        return self._incomplete(kind, name)

    def _incomplete(self, kind: int, name: str) -> Type:
        if kind == Kind.UNION:
            return self.prog.union_type(name or None)
        return self.prog.struct_type(name or None)

    def _struct(self, id: int, record: Record) -> Type:
        name = self.btf.string(record.name)
        try:
            self._extent(id, True)
        except BtfError:
            # Reached by a pointer: what points to it is sound.
            return self._incomplete(record.kind, name)
        make = (
            self.prog.union_type if record.kind == Kind.UNION else self.prog.struct_type
        )
        return make(
            name or None, record.size, list(map(self._member, self._members(record)))
        )

    def _member(self, member: _Member) -> TypeMember:
        what: Callable[[], Union[Object, Type]]
        if member.bit_field_size:
            what = functools.partial(
                self._bit_field, member.type, member.bit_field_size
            )
        else:
            what = functools.partial(self._type, member.type)
        return TypeMember(what, self.btf.string(member.name) or None, member.bit_offset)

    def _bit_field(self, id: int, bits: int) -> Object:
        return Object(self.prog, self._type(id), bit_field_size=bits)

    # Finding

    def _find(self, name: str) -> List[int]:
        return self.btf.find(name) + (self.base._find(name) if self.base else [])

    def enumerator(self, name: str) -> Optional[Object]:
        """Return an enumerator, without those of the base."""
        found = self.btf.find_enumerator(name)
        if found is None:
            return None
        id, index = found
        type = self.type(id)
        enumerators = type.enumerators
        assert enumerators is not None
        return Object(self.prog, type, enumerators[index].value)
