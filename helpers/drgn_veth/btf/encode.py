# SPDX-License-Identifier: LGPL-2.1-or-later
"""
BTF for types that have none
----------------------------

Converts types from debug symbols to the BTF of a module, so that a slice can carry what
a dump lacks (kernels before v5.11 have no BTF of modules). Follows
Documentation/bpf/btf.rst.
"""

from collections.abc import Iterable, Sequence
import struct
from typing import Optional

from drgn import Qualifiers, Type, TypeKind

from ..core.byte_order import struct_order
from .parse import Btf, Kind

__all__ = ("encode_types",)

_MAGIC = 0xEB9F
_VERSION = 1
_HEADER = "HBBIIIII"

_SIGNED = 1
_BOOL = 4

_QUALIFIERS = (
    (Qualifiers.CONST, Kind.CONST),
    (Qualifiers.VOLATILE, Kind.VOLATILE),
    (Qualifiers.RESTRICT, Kind.RESTRICT),
)

_KIND: dict[TypeKind, Kind] = {
    TypeKind.INT: Kind.INT,
    TypeKind.BOOL: Kind.INT,
    TypeKind.FLOAT: Kind.FLOAT,
    TypeKind.STRUCT: Kind.STRUCT,
    TypeKind.UNION: Kind.UNION,
    TypeKind.ENUM: Kind.ENUM,
    TypeKind.TYPEDEF: Kind.TYPEDEF,
}


class _Encoder:
    def __init__(self, base: Btf, byteorder: str) -> None:
        self._base = base
        self._order = struct_order(byteorder)
        self._records: list[Optional[bytes]] = []
        self._strings = bytearray()
        self._string_at: dict[str, int] = {"": 0}
        self._named: dict[tuple[TypeKind, str], int] = {}

    def _pack(self, *words: int) -> bytes:
        return struct.pack(
            f"{self._order}{len(words)}I", *(w & 0xFFFFFFFF for w in words)
        )

    def _string(self, text: Optional[str]) -> int:
        text = text or ""
        if text not in self._string_at:
            at = self._base.end_of_strings + len(self._strings)
            self._string_at[text] = at
            self._strings += text.encode() + b"\0"
        return self._string_at[text]

    def _reserve(self) -> int:
        self._records.append(None)
        return len(self._base) + len(self._records) - 1

    def _put(self, id: int, record: bytes) -> None:
        self._records[id - len(self._base)] = record

    def _add(self, record: bytes) -> int:
        id = self._reserve()
        self._put(id, record)
        return id

    def _head(
        self, kind: Kind, name: Optional[str], vlen: int, flag: bool, size: int
    ) -> bytes:
        info = int(kind) << 24 | int(flag) << 31 | vlen
        return self._pack(self._string(name), info, size)

    def _in_base(self, kind: Kind, name: str) -> Optional[int]:
        for id in self._base.find(name):
            if self._base.kind(id) == kind:
                return id
        return None

    def id(self, type: Type) -> int:
        """Return the id of a type, and encode it if it is new."""
        for qualifier, kind in _QUALIFIERS:
            if type.qualifiers & qualifier:
                inner = self.id(type.qualified(type.qualifiers & ~qualifier))
                return self._add(self._head(kind, None, 0, False, inner))
        return self._unqualified(type)

    def _unqualified(self, type: Type) -> int:
        kind = type.kind
        name: Optional[str] = None
        if kind in (TypeKind.STRUCT, TypeKind.UNION, TypeKind.ENUM):
            name = type.tag
        elif kind in _KIND:
            name = type.name
        if name is None:
            return self._new(type)
        key = (kind, name)
        if key not in self._named:
            known = self._in_base(_KIND[kind], name)
            if known is not None:
                self._named[key] = known
            elif kind in (TypeKind.STRUCT, TypeKind.UNION):
                # Before its members, which may point to it.
                if type.is_complete():
                    self._named[key] = id = self._reserve()
                    self._put(id, self._struct(type))
                else:
                    is_union = kind == TypeKind.UNION
                    forward = self._head(Kind.FWD, name, 0, is_union, 0)
                    self._named[key] = self._add(forward)
            else:
                self._named[key] = self._new(type)
        return self._named[key]

    def _new(self, type: Type) -> int:
        kind = type.kind
        if kind == TypeKind.VOID:
            return 0
        if kind in (TypeKind.STRUCT, TypeKind.UNION):
            return self._add(self._struct(type))
        if kind == TypeKind.POINTER:
            return self._add(self._head(Kind.PTR, None, 0, False, self.id(type.type)))
        if kind == TypeKind.TYPEDEF:
            inner = self.id(type.type)
            return self._add(self._head(Kind.TYPEDEF, type.name, 0, False, inner))
        if kind == TypeKind.ARRAY:
            element = self.id(type.type)
            index = self._in_base(Kind.INT, "int") or 0
            head = self._head(Kind.ARRAY, None, 0, False, 0)
            return self._add(head + self._pack(element, index, type.length or 0))
        if kind in (TypeKind.INT, TypeKind.BOOL):
            encoding = _BOOL if kind == TypeKind.BOOL else 0
            if kind == TypeKind.INT and type.is_signed:
                encoding = _SIGNED
            head = self._head(Kind.INT, type.name, 0, False, type.size)
            return self._add(head + self._pack(encoding << 24 | type.size * 8))
        if kind == TypeKind.FLOAT:
            return self._add(self._head(Kind.FLOAT, type.name, 0, False, type.size))
        if kind == TypeKind.ENUM:
            return self._add(self._enum(type))
        if kind == TypeKind.FUNCTION:
            return self._add(self._function(type))
        raise NotImplementedError(f"BTF of {type.type_name()}")

    def _struct(self, type: Type) -> bytes:
        kind = Kind.UNION if type.kind == TypeKind.UNION else Kind.STRUCT
        members = type.members
        tail = b""
        for member in members:
            bits = member.bit_field_size or 0
            tail += self._pack(
                self._string(member.name),
                self.id(member.type),
                bits << 24 | member.bit_offset,
            )
        return self._head(kind, type.tag, len(members), True, type.size) + tail

    def _enum(self, type: Type) -> bytes:
        values = type.enumerators or ()
        size = type.type.size if type.type is not None else 4
        # The flag says that they are signed.
        signed = any(value.value < 0 for value in values)
        end = 1 << (31 if signed else 32)
        if all(-(1 << 31) <= value.value < end for value in values):
            return self._head(
                Kind.ENUM, type.tag, len(values), signed, size
            ) + b"".join(
                self._pack(self._string(value.name), value.value) for value in values
            )
        return self._head(Kind.ENUM64, type.tag, len(values), signed, size) + b"".join(
            self._pack(self._string(value.name), value.value, value.value >> 32)
            for value in values
        )

    def _function(self, type: Type) -> bytes:
        result = self.id(type.type)
        parameters: Sequence[tuple[Optional[str], int]] = [
            (parameter.name, self.id(parameter.type)) for parameter in type.parameters
        ]
        head = self._head(Kind.FUNC_PROTO, None, len(parameters), False, result)
        return head + b"".join(
            self._pack(self._string(name), id) for name, id in parameters
        )

    def data(self) -> bytes:
        """Return everything that was encoded, as one blob."""
        types = b"".join(record or b"" for record in self._records)
        strings = bytes(self._strings)
        length = struct.calcsize(self._order + _HEADER)
        header = (length, 0, len(types), len(types), len(strings))
        return (
            struct.pack(self._order + _HEADER, _MAGIC, _VERSION, 0, *header)
            + types
            + strings
        )


def encode_types(types: Iterable[Type], base: Btf, byteorder: str) -> bytes:
    """
    Return types, and those that they consist of, as BTF based on a kernel's.

    :param types: Complete struct or union types
    :param base: The kernel's; types that it has, by kind and name, are taken from it
    :param byteorder: ``little`` or ``big``
    """
    encoder = _Encoder(base, byteorder)
    for type in types:
        encoder.id(type)
    return encoder.data()
