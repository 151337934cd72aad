# SPDX-License-Identifier: LGPL-2.1-or-later
"""
drgn types from BTF
-------------------

A type is made when drgn first asks for it, its members when drgn first needs them. drgn
never sees a type that it could not handle: each type is checked
(:mod:`drgn_veth.btf.sound`) before it is made.
"""

import functools
from typing import Callable, Optional, Union

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
from .sound import FLOAT_SIZES, STRUCTS, TRANSPARENT, Member, SoundTypes

__all__ = ("BtfTypes",)

_INT_SIGNED = 1 << 0
_INT_BOOL = 1 << 2

_QUALIFIERS = {
    Kind.CONST: Qualifiers.CONST,
    Kind.VOLATILE: Qualifiers.VOLATILE,
    Kind.RESTRICT: Qualifiers.RESTRICT,
}
_WRAPPERS = frozenset((*TRANSPARENT, Kind.PTR, Kind.ARRAY, Kind.FUNC_PROTO))

_FLOATS = frozenset(("float", "double", "long double"))
_INT_NAMES = {1: "char", 2: "short", 4: "int", 8: "long"}


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
        word = 8 if platform.flags & PlatformFlags.IS_64_BIT else 4
        if word not in btf.made:
            btf.made[word] = SoundTypes(btf, word, base._sound if base else None)
        self._sound: SoundTypes = btf.made[word]
        self._made: dict[int, Type] = {}
        self._tells_signed: Optional[bool] = None
        self._signed_chars: Optional[bool] = None
        self._is_x86 = platform.arch in (Architecture.X86_64, Architecture.I386)
        self._make_leaf: dict[int, Callable[[Record], Type]] = {
            Kind.VOID: lambda record: prog.void_type(),
            Kind.INT: self._int,
            Kind.FLOAT: self._float,
            Kind.ENUM: self._enum,
            Kind.ENUM64: self._enum,
        }

    def type(self, id: int) -> Type:
        """
        Return a type.

        :raises BtfError: if it cannot be made
        """
        self._sound.look(id, True)
        return self._type(id)

    def _type(self, id: int) -> Type:
        # The caller has looked through it.
        wrappers: list[tuple[int, Record]] = []
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
        if record.kind in STRUCTS:
            return self._struct(id, record)
        if record.kind == Kind.FWD:
            return self._forward(record)
        return self._make_leaf[record.kind](record)

    def _int(self, record: Record) -> Type:
        name = self.btf.string(record.name)
        encoding = record.tail[0] >> 24
        if encoding & _INT_BOOL:
            return self.prog.bool_type(name, record.size)
        if name in _FLOATS and record.size in FLOAT_SIZES:
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

    def _enumerators(self, record: Record, is_signed: bool) -> list[TypeEnumerator]:
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
            self._sound.look(id, True)
        except BtfError:
            # Reached by a pointer: what points to it is sound.
            return self._incomplete(record.kind, name)
        make = (
            self.prog.union_type if record.kind == Kind.UNION else self.prog.struct_type
        )
        return make(
            name or None,
            record.size,
            list(map(self._member, self._sound.members(record))),
        )

    def _member(self, member: Member) -> TypeMember:
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

    def _find(self, name: str) -> list[int]:
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
