# SPDX-License-Identifier: LGPL-2.1-or-later
"""BTF blobs made by hand, right or wrong."""

from collections.abc import Sequence
import struct
from typing import Optional

from drgn_veth.btf.parse import Btf, Kind

MAGIC = 0xEB9F
HEADER = "HBBIIIII"


class Blob:
    """
    Makes BTF. Each method that adds a type returns its id.

    :param order: ``<`` or ``>``
    :param base: What the blob goes on from, for a module's
    """

    def __init__(self, order: str = "<", base: Optional[Btf] = None) -> None:
        self.order = order
        self._first_string = base.end_of_strings if base else 0
        self._next_id = len(base) if base else 1
        self._types = bytearray()
        self._strings = bytearray(b"" if base else b"\0")

    def string(self, text: str) -> int:
        if not text:
            return 0
        offset = self._first_string + len(self._strings)
        self._strings += text.encode() + b"\0"
        return offset

    def add(
        self,
        kind: int,
        name: str = "",
        size: int = 0,
        tail: Sequence[int] = (),
        vlen: int = 0,
        flag: bool = False,
    ) -> int:
        words = [self.string(name), flag << 31 | kind << 24 | vlen, size, *tail]
        self._types += struct.pack(
            f"{self.order}{len(words)}I", *(word & 0xFFFFFFFF for word in words)
        )
        self._next_id += 1
        return self._next_id - 1

    def integer(
        self,
        name: str = "int",
        size: int = 4,
        encoding: int = 1,
        bits: Optional[int] = None,
        offset: int = 0,
    ) -> int:
        bits = 8 * size if bits is None else bits
        return self.add(Kind.INT, name, size, [encoding << 24 | offset << 16 | bits])

    def ptr(self, type: int) -> int:
        return self.add(Kind.PTR, size=type)

    def array(self, type: int, count: int) -> int:
        return self.add(Kind.ARRAY, tail=[type, type, count])

    def struct(
        self,
        name: str,
        size: int,
        members: Sequence[tuple[str, int, int]],
        kind: int = Kind.STRUCT,
        flag: bool = False,
    ) -> int:
        """Add a struct or union of (name, type, what is in the offset word)."""
        tail: list[int] = []
        for member, type, offset in members:
            tail += [self.string(member), type, offset]
        return self.add(kind, name, size, tail, len(members), flag)

    def enum(
        self,
        name: str,
        values: Sequence[tuple[str, int]],
        size: int = 4,
        flag: bool = False,
    ) -> int:
        tail: list[int] = []
        for text, value in values:
            tail += [self.string(text), value]
        return self.add(Kind.ENUM, name, size, tail, len(values), flag)

    def enum64(
        self, name: str, values: Sequence[tuple[str, int]], flag: bool = False
    ) -> int:
        tail: list[int] = []
        for text, value in values:
            tail += [self.string(text), value, value >> 32]
        return self.add(Kind.ENUM64, name, 8, tail, len(values), flag)

    def proto(self, type: int, parameters: Sequence[tuple[str, int]]) -> int:
        tail: list[int] = []
        for name, parameter in parameters:
            tail += [self.string(name), parameter]
        return self.add(Kind.FUNC_PROTO, "", type, tail, len(parameters))

    def build(
        self,
        magic: int = MAGIC,
        version: int = 1,
        flags: int = 0,
        header_length: int = 24,
    ) -> bytes:
        header = struct.pack(
            self.order + HEADER,
            magic,
            version,
            flags,
            header_length,
            0,
            len(self._types),
            len(self._types),
            len(self._strings),
        )
        header += bytes(header_length - len(header))
        return header + bytes(self._types) + bytes(self._strings)
