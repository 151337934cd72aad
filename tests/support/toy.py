# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel of a few bytes, for what no kernel of the lab shows."""

import struct
from typing import Optional

import drgn
from drgn import (
    Architecture,
    FindObjectFlags,
    Object,
    Platform,
    PlatformFlags,
    Program,
    Symbol,
    SymbolBinding,
    SymbolIndex,
    SymbolKind,
    Type,
    TypeKindSet,
    TypeMember,
    offsetof,
)

__all__ = ("BASE", "NOWHERE", "SIZE", "Toy")

BASE = 0x10000
SIZE = 1 << 16
NOWHERE = BASE + SIZE


class Toy:
    """A kernel of a few bytes: types, variables and 64 KiB of memory."""

    def __init__(self, machine: Architecture = Architecture.X86_64) -> None:
        flags = PlatformFlags.IS_64_BIT | PlatformFlags.IS_LITTLE_ENDIAN
        self.prog = Program(Platform(machine, flags))
        self._types: dict[str, Type] = {}
        self._variables: dict[str, Object] = {}
        self._memory = bytearray(SIZE)
        self._used = 0
        self.prog.add_memory_segment(BASE, SIZE, self.read)
        self.prog.register_type_finder("toy", self._find_type, enable_index=0)
        self.prog.register_object_finder("toy", self._find_object, enable_index=0)

    def read(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        return bytes(self._memory[offset : offset + count])

    def _find_type(
        self, prog: Program, kinds: TypeKindSet, name: str, filename: Optional[str]
    ) -> Optional[Type]:
        found = self._types.get(name)
        return found if found is not None and found.kind in kinds else None

    def _find_object(
        self,
        prog: Program,
        name: str,
        flags: FindObjectFlags,
        filename: Optional[str],
    ) -> Optional[Object]:
        return self._variables.get(name)

    def struct(self, name: str, /, **members: object) -> Type:
        """Declare a struct: a name of a type for each member, or a type."""
        fields = []
        offset = 0
        for member, type in members.items():
            found = self.prog.type(type) if isinstance(type, str) else type
            assert isinstance(found, Type)
            size = drgn.sizeof(found)
            offset += -offset % (min(size, 8) or 1)
            fields.append(TypeMember(found, member, offset * 8))
            offset += size
        made = self.prog.struct_type(name or None, offset + -offset % 8, fields)
        if name:
            self._types[name] = made
        return made

    def declare(self, type: Type) -> None:
        """Declare a type that is not made by struct()."""
        assert type.tag is not None
        self._types[type.tag] = type

    def place(self, type: str, count: int = 1) -> int:
        """Return the address of room for a struct."""
        address = BASE + self._used
        self._used += -(-self.prog.type(type).size * count // 8) * 8
        assert self._used <= SIZE
        return address

    def put(self, address: int, format: str, *values: int) -> None:
        struct.pack_into("<" + format, self._memory, address - BASE, *values)

    def set(self, type: str, address: int, /, **values: int) -> None:
        """Set members of a struct."""
        for path, value in values.items():
            member = path.replace("__", ".")
            found = self.prog.type(type)
            for part in member.split("."):
                found = found.member(part).type
            code = {1: "B", 2: "H", 4: "I", 8: "Q"}[drgn.sizeof(found)]
            at = address + offsetof(self.prog.type(type), member)
            self.put(at, code, value % (1 << 64))

    def text(self, text: bytes) -> int:
        address = BASE + self._used
        self._used += -(-(len(text) + 1) // 8) * 8
        self._memory[address - BASE : address - BASE + len(text)] = text
        return address

    def variable(self, name: str, type: str) -> int:
        """Declare a variable, return where it is."""
        address = self.place(type)
        self._variables[name] = Object(self.prog, type, address=address)
        return address

    def array(self, name: str, type: str, length: int) -> int:
        """Declare a variable that is an array, return where it is."""
        found = self.prog.array_type(self.prog.type(type), length)
        address = BASE + self._used
        self._used += -(-drgn.sizeof(found) // 8) * 8
        assert self._used <= SIZE
        self._variables[name] = Object(self.prog, found, address=address)
        return address

    def symbols(self, **addresses: int) -> None:
        """Add symbols."""
        kind = (SymbolBinding.UNKNOWN, SymbolKind.UNKNOWN)
        index = SymbolIndex(
            Symbol(name, at, 0, *kind) for name, at in addresses.items()
        )
        self.prog.register_symbol_finder("toy", index, enable_index=0)

    def constant(self, name: str, value: int) -> None:
        self._variables[name] = Object(self.prog, "int", value)
